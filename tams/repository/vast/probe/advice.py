"""What the findings call for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tams.repository.vast.concurrency.modes import CLAIMS, SINGLE, STRIPES
from tams.repository.vast.probe.findings import Finding

NONE = "none"
_EVERYWHERE = {"at once", "not asked"}
_SEEN = {"statement", "commit", "first commit"}
_FOR = {
    CLAIMS: "Acknowledged commits are seen by whatever begins, a rollback by id from another session ends a "
    "transaction, and a commit after that is refused.",
    STRIPES: "Of two transactions that update the same row the cluster lets one through.",
    SINGLE: "One process can write.",
}


@dataclass(frozen=True, slots=True)
class Advice:
    """`concurrency`: the value of the setting that suits best, or none. `reasons`: sentences, the decisive one first.

    `against`: for each value that does not suit, why.
    """

    concurrency: str
    reasons: list[str]
    against: dict[str, list[str]]


def advised(findings: Mapping[str, Finding]) -> Advice:
    """Which setting suits a cluster of these findings, those of `DECISIVE` at least."""
    found = {name: each.finding for name, each in findings.items()}
    against = {mode: reasons for mode, reasons in _against(found).items() if reasons}
    best = next((mode for mode in (CLAIMS, STRIPES, SINGLE) if mode not in against), NONE)
    others = [f"Not {mode}: {reason}" for mode, reasons in against.items() for reason in reasons]
    if best == NONE:
        return Advice(NONE, others, against)
    reasons = [_FOR[best], *others]
    if best == SINGLE and found["snapshot"] != "one moment":
        reasons.append("A page may mix two moments, whatever the setting.")
    if best == SINGLE and found["visible_elsewhere"] not in _EVERYWHERE:
        reasons.append("TAMS_VAST_ENDPOINT has to be one address.")
    if best == CLAIMS and found["visible_elsewhere"] == "not asked":
        reasons.append("No address of the cluster could be asked but the endpoint: use no other one.")
    return Advice(best, reasons, against)


def _against(found: Mapping[str, object]) -> dict[str, list[str]]:
    """What speaks against each setting. A finding that is unknown does."""
    collides = {found["conflict_update_update_open"], found["conflict_update_update_committed"]} <= _SEEN
    is_so = {
        "a commit is seen in parts.": found["commits_atomic"] == "yes",
        "a transaction does not see one moment.": found["snapshot"] == "one moment",
        "an acknowledged commit is not seen at once by whatever begins.": found["visible_here"] == "at once",
        "an acknowledged commit is not seen at once through every address.": found["visible_elsewhere"] in _EVERYWHERE,
        "a rollback by id from another session does not end a transaction.": found["rollback_elsewhere"] == "ended",
        "a commit after a rollback is not refused.": found["commit_after_rollback"] == "refused",
        "of two transactions that update the same row the cluster lets both through.": collides,
    }
    parts, moment, here, everywhere, rollback, refused, collision = is_so
    needed = {
        CLAIMS: (parts, moment, here, everywhere, rollback, refused),
        STRIPES: (parts, moment, collision),
        SINGLE: (parts, here),
    }
    return {mode: [reason for reason in reasons if not is_so[reason]] for mode, reasons in needed.items()}

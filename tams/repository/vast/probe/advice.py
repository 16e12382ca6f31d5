"""The concurrency mode that the findings of a probe call for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tams.repository.vast.concurrency.modes import CLAIMS, SINGLE, STRIPES
from tams.repository.vast.probe.findings import Finding

NONE = "none"
_VISIBLE_EVERYWHERE = {"at once", "not asked"}
_DETECTED = {"statement", "commit", "first commit"}
_REASONS = {
    CLAIMS: "Every transaction sees the commits that were acknowledged before it began, a rollback by id from another "
    "session ends a transaction, and a commit after that is refused.",
    STRIPES: "Of two transactions that update the same row, the cluster commits only one.",
    SINGLE: "One process can write.",
}


@dataclass(frozen=True, slots=True)
class Advice:
    """The concurrency mode that suits a cluster best, with the reasons.

    `concurrency`: the value of the setting, or `none`. `reasons`: sentences, the decisive one first. `against`: the
    reasons against each mode that does not suit.
    """

    concurrency: str
    reasons: list[str]
    against: dict[str, list[str]]


def advise(findings: Mapping[str, Finding]) -> Advice:
    """Return the advice for a cluster with these findings, which include those of `DECISIVE`."""
    values = {name: finding.finding for name, finding in findings.items()}
    against = {mode: reasons for mode, reasons in _against(values).items() if reasons}
    best = next((mode for mode in (CLAIMS, STRIPES, SINGLE) if mode not in against), NONE)
    others = [f"Not {mode}: {reason}" for mode, reasons in against.items() for reason in reasons]
    if best == NONE:
        return Advice(NONE, others, against)
    reasons = [_REASONS[best], *others]
    if best == SINGLE and values["snapshot"] != "one moment":
        reasons.append("A page may mix two moments, whatever the setting is.")
    if best == SINGLE and values["visible_elsewhere"] not in _VISIBLE_EVERYWHERE:
        reasons.append("TAMS_VAST_ENDPOINT has to be one address.")
    if best == CLAIMS and values["visible_elsewhere"] == "not asked":
        reasons.append("Only the endpoint could be probed, no other address of the cluster: use this endpoint only.")
    return Advice(best, reasons, against)


def _against(values: Mapping[str, object]) -> dict[str, list[str]]:
    """Return the reasons against each mode. An unknown finding counts as a reason."""
    collides = {values["conflict_update_update_open"], values["conflict_update_update_committed"]} <= _DETECTED
    visible_elsewhere = values["visible_elsewhere"] in _VISIBLE_EVERYWHERE
    holds = {
        "a commit becomes visible in parts.": values["commits_atomic"] == "yes",
        "a transaction does not read one snapshot.": values["snapshot"] == "one moment",
        "an acknowledged commit is not visible at once to every new transaction.": values["visible_here"] == "at once",
        "an acknowledged commit is not visible at once through every address.": visible_elsewhere,
        "a rollback by id from another session does not end a transaction.": values["rollback_elsewhere"] == "ended",
        "a commit after a rollback is not refused.": values["commit_after_rollback"] == "refused",
        "of two transactions that update the same row, the cluster commits both.": collides,
    }
    parts, moment, here, everywhere, rollback, refused, collision = holds
    needed = {
        CLAIMS: (parts, moment, here, everywhere, rollback, refused),
        STRIPES: (parts, moment, collision),
        SINGLE: (parts, here),
    }
    return {mode: [reason for reason in reasons if not holds[reason]] for mode, reasons in needed.items()}

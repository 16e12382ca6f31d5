"""Conversion of a cluster's profile (`tams vast probe --json`) into settings that make the emulator behave alike."""

from collections.abc import Mapping
from typing import Any

_ROLLBACK = {
    # Result of a rollback from another session, and from the transaction's own.
    ("ended", "ended"): "final",
    ("refused", "ended"): "refused_elsewhere",
    ("not ended", "ended"): "ignored_elsewhere",
    ("not ended", "not ended"): "ignored",
}
_PAIRS = ("update/update", "update/delete", "delete/update", "delete/delete")
_UNDETECTED = ("never", "never")
_ROW_CONFLICTS = {
    # Where the conflict is reported while the first transaction is open, and after it was committed.
    ("statement", "statement"): "statement",
    ("commit", "commit"): "commit",
    ("statement", "never"): "while_open",
    _UNDETECTED: "last_writer_wins",
}
_SNAPSHOTS = {"one moment": "snapshot", "moves": "read_committed"}
_LARGEST_CELL, _LARGEST_REQUEST = 1 << 20, 8_500_000
"""The largest sizes in bytes that a probe tries."""


def is_profile(values: Mapping[str, Any]) -> bool:
    """Return True if a JSON object is a profile rather than settings."""
    return "findings" in values


def settings_of(profile: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that reproduce a profile.

    Raises:
        ValueError: The emulator cannot behave like this cluster.
    """
    findings = {name: finding["finding"] for name, finding in profile["findings"].items()}
    _one_of(findings, "same_key_inserts", "both stored")
    settings: dict[str, Any] = {
        "version": findings["version"],
        "atomic_commits": _one_of(findings, "commits_atomic", "yes", "no") == "yes",
        "visibility_delay": 0.0,
        "addresses": 0 if findings["visible_elsewhere"] == "not asked" else 1,
        "rollback": _known(_ROLLBACK, "rollback", (findings["rollback_elsewhere"], findings["rollback_own"])),
        "snapshots": _SNAPSHOTS[_one_of(findings, "snapshot", *_SNAPSHOTS)],
        "own_writes": findings["own_writes"],
        "duplicate_row_ids": _one_of(findings, "duplicate_row_ids", "refused", "first", "last"),
        "cell_limit": findings["largest_cell"],
        "oversized_cells": "stored" if findings["largest_cell"] >= _LARGEST_CELL else "refused",
        "request_limit": findings["largest_request"] if findings["largest_request"] < _LARGEST_REQUEST else 1 << 30,
        "idle_timeout": profile["idle_seconds"] / 2 if findings["idle"] == "ended" else None,
        "shuffle": findings["order"] == "none",
        "sorted_tables": findings["sorted_tables"] == "yes",
        **_conflicts(findings),
    }
    if _one_of(findings, "visible_here", "at once", "late") == "late":
        settings["visibility_delay"] = profile["findings"]["visible_here"]["measured"]
    if settings["rollback"] != "ignored":
        # A cluster that ignores every rollback also commits after one.
        settings["commit_after_rollback"] = _one_of(findings, "commit_after_rollback", "refused", "stored")
    statuses = {findings["cell_answer"], findings["request_answer"]} - {"taken"}
    if len(statuses) > 1 or "no answer" in statuses:
        raise ValueError(
            f"the emulator has one status for all oversized requests and cells; the profile has {sorted(statuses)}"
        )
    if statuses:
        settings["limit_status"] = int(statuses.pop())
    return settings


def _conflicts(findings: Mapping[str, Any]) -> dict[str, Any]:
    names = {pair: f"conflict_{pair.replace('/', '_')}" for pair in _PAIRS}
    reported = {pair: (findings[f"{name}_open"], findings[f"{name}_committed"]) for pair, name in names.items()}
    places = set(reported.values()) - {_UNDETECTED} or {_UNDETECTED}
    if len(places) > 1:
        raise ValueError(f"the emulator reports all conflicts at the same point; the profile has {sorted(places)}")
    (place,) = places
    pairs = [pair for pair in _PAIRS if reported[pair] == place]
    return {"row_conflicts": _known(_ROW_CONFLICTS, "conflicts", place), "conflict_pairs": pairs}


def _known(known: Mapping[tuple[str, str], str], what: str, findings: tuple[str, str]) -> str:
    if findings not in known:
        raise ValueError(f"the emulator cannot reproduce {what} with the findings {' and '.join(findings)}")
    return known[findings]


def _one_of(findings: Mapping[str, Any], name: str, *values: str) -> str:
    if findings[name] not in values:
        raise ValueError(f"the emulator cannot reproduce {name} {findings[name]!r}")
    return str(findings[name])

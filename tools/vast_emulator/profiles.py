"""The profile of a cluster, as `tams vast probe --json` writes it, as settings that make the emulator behave alike."""

from collections.abc import Mapping
from typing import Any

_ROLLBACK = {
    # By another session, by its own.
    ("ended", "ended"): "final",
    ("refused", "ended"): "refused_elsewhere",
    ("not ended", "ended"): "ignored_elsewhere",
    ("not ended", "not ended"): "ignored",
}
_PAIRS = ("update/update", "update/delete", "delete/update", "delete/delete")
_UNSEEN = ("never", "never")
_WHERE = {
    # While the first one is open, after it was committed.
    ("statement", "statement"): "statement",
    ("commit", "commit"): "commit",
    ("statement", "never"): "while_open",
    _UNSEEN: "last_writer_wins",
}
_SNAPSHOTS = {"one moment": "snapshot", "moves": "read_committed"}
_LARGEST_CELL, _LARGEST_REQUEST = 1 << 20, 8_500_000
"""The largest sizes that a probe tries."""


def is_profile(values: Mapping[str, Any]) -> bool:
    """Whether a JSON object is a profile, and not settings."""
    return "findings" in values


def settings_of(profile: Mapping[str, Any]) -> dict[str, Any]:
    """The settings. ValueError where the emulator cannot behave like that."""
    found = {name: finding["finding"] for name, finding in profile["findings"].items()}
    _one_of(found, "same_key_inserts", "both stored")
    settings: dict[str, Any] = {
        "version": found["version"],
        "atomic_commits": _one_of(found, "commits_atomic", "yes", "no") == "yes",
        "visibility_delay": 0.0,
        "addresses": 0 if found["visible_elsewhere"] == "not asked" else 1,
        "rollback": _known(_ROLLBACK, "rollback", (found["rollback_elsewhere"], found["rollback_own"])),
        "snapshots": _SNAPSHOTS[_one_of(found, "snapshot", *_SNAPSHOTS)],
        "own_writes": found["own_writes"],
        "duplicate_row_ids": _one_of(found, "duplicate_row_ids", "refused", "first", "last"),
        "cell_limit": found["largest_cell"],
        "oversized_cells": "stored" if found["largest_cell"] >= _LARGEST_CELL else "refused",
        "request_limit": found["largest_request"] if found["largest_request"] < _LARGEST_REQUEST else 1 << 30,
        "idle_timeout": profile["idle_seconds"] / 2 if found["idle"] == "ended" else None,
        "shuffle": found["order"] == "none",
        "sorted_tables": found["sorted_tables"] == "yes",
        **_conflicts(found),
    }
    if _one_of(found, "visible_here", "at once", "late") == "late":
        settings["visibility_delay"] = profile["findings"]["visible_here"]["measured"]
    if settings["rollback"] != "ignored":
        # What forgets every rollback commits after one, too.
        settings["commit_after_rollback"] = _one_of(found, "commit_after_rollback", "refused", "stored")
    answers = {found["cell_answer"], found["request_answer"]} - {"taken"}
    if len(answers) > 1 or "no answer" in answers:
        raise ValueError(f"the emulator has one answer to all that is too large, and not {sorted(answers)}")
    if answers:
        settings["limit_status"] = int(answers.pop())
    return settings


def _conflicts(found: Mapping[str, Any]) -> dict[str, Any]:
    names = {pair: f"conflict_{pair.replace('/', '_')}" for pair in _PAIRS}
    shown = {pair: (found[f"{name}_open"], found[f"{name}_committed"]) for pair, name in names.items()}
    places = set(shown.values()) - {_UNSEEN} or {_UNSEEN}
    if len(places) > 1:
        raise ValueError(f"the emulator shows conflicts in one place, and not in {sorted(places)}")
    (place,) = places
    pairs = [pair for pair in _PAIRS if shown[pair] == place]
    return {"row_conflicts": _known(_WHERE, "conflicts", place), "conflict_pairs": pairs}


def _known(known: Mapping[tuple[str, str], str], what: str, findings: tuple[str, str]) -> str:
    if findings not in known:
        raise ValueError(f"the emulator has no {what} that are {' and '.join(findings)}")
    return known[findings]


def _one_of(found: Mapping[str, Any], name: str, *values: str) -> str:
    if found[name] not in values:
        raise ValueError(f"the emulator has no {name} that is {found[name]!r}")
    return str(found[name])

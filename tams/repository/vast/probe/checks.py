"""The checks of a probe, in their order."""

from __future__ import annotations

from tams.repository.vast.probe import conflicts, limits, transactions, visibility
from tams.repository.vast.probe.findings import Check
from tams.repository.vast.probe.scratch import Scratch


def cluster_version(scratch: Scratch) -> tuple[str, str]:
    """Return the version of the cluster."""
    version = ".".join(map(str, scratch.here.session().api.vast_version))
    return version, f"the cluster reports VAST {version}"


_VISIBILITY = (
    Check("commits_atomic", "Does a commit make the rows of all its tables visible at once?", visibility.atomic),
    Check(
        "visible_here",
        "Does a transaction that begins see every acknowledged commit?",
        visibility.through_the_endpoint,
    ),
    Check(
        "visible_elsewhere",
        "Does it see them through every address of the cluster?",
        visibility.through_other_addresses,
    ),
)
_ENDS = (
    Check(
        "rollback_elsewhere",
        "Does a rollback by id from another session end a transaction?",
        transactions.rollback_elsewhere,
    ),
    Check("rollback_own", "Does a rollback from its own session end it?", transactions.rollback_own),
    Check(
        "commit_after_rollback", "Is a commit after a rollback refused for good?", transactions.commit_after_rollback
    ),
)
_CONFLICTS = tuple(
    Check(
        f"conflict_{first}_{second}_{when}",
        f"Where is a conflict on one row reported, {first} then {second}, {conflicts.WHEN[when]}?",
        conflicts.conflict_check(first, second, when),
    )
    for first, second in conflicts.PAIRS
    for when in conflicts.WHEN
)
_SNAPSHOT = Check("snapshot", "Does a transaction read one snapshot until its end?", transactions.snapshot)

DECISIVE = (*_VISIBILITY, *_ENDS, *(check for check in _CONFLICTS if "update_update" in check.name), _SNAPSHOT)
"""The checks that decide between the concurrency modes."""

CHECKS = (
    Check("version", "Which version has the cluster?", cluster_version),
    *_VISIBILITY,
    *_ENDS,
    *_CONFLICTS,
    Check("same_key_inserts", "What happens to two rows with the same sorting key?", conflicts.same_key_inserts),
    _SNAPSHOT,
    Check("own_writes", "Which of its own writes does a transaction see?", transactions.own_writes),
    Check("duplicate_row_ids", "What happens to an update that names a row twice?", limits.duplicate_row_ids),
    Check("largest_cell", "How many bytes does a cell hold?", limits.largest_cell),
    Check("cell_answer", "How is a larger cell answered?", limits.cell_answer),
    Check("largest_request", "How many bytes does an insert hold?", limits.largest_request),
    Check("request_answer", "How is a larger insert answered?", limits.request_answer),
    Check("idle", "What happens to an idle transaction?", transactions.idle),
    Check("order", "In which order does one split return rows?", limits.order),
    Check("sorted_tables", "Can tables have a sorting key?", limits.sorted_tables),
)
"""All checks."""

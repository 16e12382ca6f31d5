"""The checks, in their order. Each is a function of a place to probe in."""

from __future__ import annotations

from tams.repository.vast.probe import conflicts, limits, transactions, visibility
from tams.repository.vast.probe.findings import Check
from tams.repository.vast.probe.scratch import Scratch


def version(scratch: Scratch) -> tuple[str, str]:
    """The version of the cluster."""
    found = ".".join(map(str, scratch.here.session().api.vast_version))
    return found, f"the cluster says that it has VAST {found}"


_VISIBILITY = (
    Check("commits_atomic", "Does a commit make the rows of all its tables visible at once?", visibility.atomic),
    Check(
        "visible_here",
        "Does a transaction that begins see every acknowledged commit?",
        visibility.through_the_endpoint,
    ),
    Check(
        "visible_elsewhere",
        "Does it through every address of the cluster?",
        visibility.through_other_addresses,
    ),
)
_ENDS = (
    Check(
        "rollback_elsewhere",
        "Does a rollback by id from another session end a transaction?",
        transactions.rollback_elsewhere,
    ),
    Check("rollback_own", "Does one from its own session?", transactions.rollback_own),
    Check(
        "commit_after_rollback", "Is a commit after a rollback refused for good?", transactions.commit_after_rollback
    ),
)
_CONFLICTS = tuple(
    Check(
        f"conflict_{first}_{second}_{when}",
        f"Where does it show that a row was changed by two, {first} then {second}, {conflicts.WHEN[when]}?",
        conflicts.asked(first, second, when),
    )
    for first, second in conflicts.PAIRS
    for when in conflicts.WHEN
)
_SNAPSHOT = Check("snapshot", "Does a transaction see one moment, all through?", transactions.snapshot)

DECISIVE = (*_VISIBILITY, *_ENDS, *(each for each in _CONFLICTS if "update_update" in each.name), _SNAPSHOT)
"""Those that say how changes can be kept apart."""

CHECKS = (
    Check("version", "Which version has the cluster?", version),
    *_VISIBILITY,
    *_ENDS,
    *_CONFLICTS,
    Check("same_key_inserts", "What becomes of two rows of the same sorting key?", conflicts.same_key_inserts),
    _SNAPSHOT,
    Check("own_writes", "Which of its own writes does a transaction see?", transactions.own_writes),
    Check("duplicate_row_ids", "What becomes of an update that names a row twice?", limits.duplicate_row_ids),
    Check("largest_cell", "How many bytes does a cell hold?", limits.largest_cell),
    Check("cell_answer", "What is answered to more?", limits.cell_answer),
    Check("largest_request", "How many bytes does an insert hold?", limits.largest_request),
    Check("request_answer", "What is answered to more?", limits.request_answer),
    Check("idle", "What becomes of a transaction that is idle?", transactions.idle),
    Check("order", "In which order do rows come that are read in one split?", limits.order),
    Check("sorted_tables", "Can tables have a sorting key?", limits.sorted_tables),
)
"""All of them."""

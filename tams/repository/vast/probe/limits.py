"""Checks of sizes and of the order of rows."""

from __future__ import annotations

import random

from tams.domain.errors import Unavailable
from tams.repository.vast.cluster_transaction import ROW_ID
from tams.repository.vast.probe.scratch import (
    OTHER,
    PLAIN,
    SORTED,
    Scratch,
    answer_of,
    insert,
    insert_unsplit,
    row_named,
    status_of,
)
from tams.repository.vast.tables import Table

KIB = 1024
CELLS = (32 * KIB, 64 * KIB - 1, 126 * KIB, 128 * KIB - 1, 256 * KIB, 1024 * KIB)
REQUESTS = (1_000_000, 3_500_000, 5 * KIB * KIB - 20_000, 6_500_000, 8_500_000)
_ENVELOPE = 4000
_ROWS = 120


def duplicate_row_ids(scratch: Scratch) -> tuple[str, str]:
    """Update one row with two values in one request."""
    scratch.store(PLAIN, ("duplicate", 1))
    d = scratch.here.begin()
    row = row_named(d, PLAIN, "duplicate")
    try:
        d.update(PLAIN, [(row[ROW_ID], {**row, "number": number}) for number in (5, 6)])
        d.commit()
    except Unavailable as error:
        d.roll_back()
        return "refused", f"answered with {answer_of(error)}"
    number = scratch.stored(PLAIN)["duplicate"]
    return {5: "first", 6: "last"}.get(number, "other"), f"of 5 and 6 for a row with 1, {number} is stored"


def largest_cell(scratch: Scratch) -> tuple[int, str]:
    """Return the largest of some sizes of a cell that the cluster accepts (bytes)."""
    accepted, _, answer = _largest_cell(scratch)
    return accepted, f"{accepted} bytes were accepted, {answer}"


def cell_answer(scratch: Scratch) -> tuple[str, str]:
    """Return the status of the answer to the next larger cell."""
    _, status, answer = _largest_cell(scratch)
    return status, answer


def _largest_cell(scratch: Scratch) -> tuple[int, str, str]:
    return _climb(scratch, [(size, ["x" * size]) for size in CELLS])


def largest_request(scratch: Scratch) -> tuple[int, str]:
    """Return the largest of some sizes of an insert that the cluster accepts (bytes), in cells of 30 KiB."""
    accepted, _, answer = _largest_request(scratch)
    return accepted, f"{accepted} bytes were accepted, {answer}"


def request_answer(scratch: Scratch) -> tuple[str, str]:
    """Return the status of the answer to the next larger insert."""
    _, status, answer = _largest_request(scratch)
    return status, answer


def _largest_request(scratch: Scratch) -> tuple[int, str, str]:
    cell = "x" * (30 * KIB)
    return _climb(scratch, [(size, [cell] * ((size - _ENVELOPE) // len(cell))) for size in REQUESTS])


def _climb(scratch: Scratch, steps: list[tuple[int, list[str]]]) -> tuple[int, str, str]:
    """Try sizes in ascending order, and store nothing.

    Return the largest size that was accepted, the status of the answer to the next one, and a text about that answer.
    """
    largest = 0
    for size, texts in steps:
        d = scratch.here.begin()
        try:
            insert_unsplit(d, PLAIN, texts)
        except Unavailable as error:
            status = status_of(error)
            evidence = f"{size} were answered with {answer_of(error)}"
            return largest, "no answer" if status is None else str(status), evidence
        finally:
            d.roll_back()
        largest = size
    return largest, "taken", "and no larger size was tried"


def order(scratch: Scratch) -> tuple[str, str]:
    """Return the order of rows that were inserted in random order, in several transactions."""
    plain = _order_of(scratch, OTHER)
    evidence = f"a plain table: {plain}"
    if scratch.refused_sorting is None:
        evidence += f"; a sorted one: {_order_of(scratch, SORTED)}"
    return plain, evidence


def _order_of(scratch: Scratch, table: Table) -> str:
    names = [f"row {number:03}" for number in range(_ROWS)]
    random.Random(7).shuffle(names)  # noqa: S311 - no secret
    for start in range(0, _ROWS, 30):
        with scratch.here.committed() as d:
            insert(d, table, *((name, 0) for name in names[start : start + 30]))
    with scratch.here.snapshot() as snapshot:
        names_read = [row["name"] for row in snapshot.rows(table, ("name",), []) if row["name"].startswith("row ")]
    if names_read == names:
        return "as inserted"
    return "by key" if names_read == sorted(names) else "none"


def sorted_tables(scratch: Scratch) -> tuple[str, str]:
    """Return whether a table with a sorting key could be created."""
    if scratch.refused_sorting is None:
        return "yes", "a table with a sorting key was created"
    return "no", f"a table with a sorting key was answered with {scratch.refused_sorting}"

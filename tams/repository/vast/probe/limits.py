"""How much fits, and in which order rows come."""

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
    found,
    insert,
    insert_as_it_is,
    status_of,
)
from tams.repository.vast.tables import Table

KIB = 1024
CELLS = (32 * KIB, 64 * KIB - 1, 126 * KIB, 128 * KIB - 1, 256 * KIB, 1024 * KIB)
REQUESTS = (1_000_000, 3_500_000, 5 * KIB * KIB - 20_000, 6_500_000, 8_500_000)
_ENVELOPE = 4000
_ROWS = 120


def duplicate_row_ids(scratch: Scratch) -> tuple[str, str]:
    """With two values for the one row."""
    scratch.store(PLAIN, ("duplicate", 1))
    d = scratch.here.begin()
    row = found(d, PLAIN, "duplicate")
    try:
        d.update(PLAIN, [(row[ROW_ID], {**row, "number": number}) for number in (5, 6)])
        d.commit()
    except Unavailable as error:
        d.roll_back()
        return "refused", f"answered with {answer_of(error)}"
    held = scratch.stored(PLAIN)["duplicate"]
    return {5: "first", 6: "last"}.get(held, "other"), f"of 5 and 6 for a row with 1, {held} is stored"


def largest_cell(scratch: Scratch) -> tuple[int, str]:
    """Of some sizes."""
    fits, _, answer = _largest_cell(scratch)
    return fits, f"{fits} bytes were taken, {answer}"


def cell_answer(scratch: Scratch) -> tuple[str, str]:
    """To the next size."""
    _, status, answer = _largest_cell(scratch)
    return status, answer


def _largest_cell(scratch: Scratch) -> tuple[int, str, str]:
    return _climbed(scratch, [(size, ["x" * size]) for size in CELLS])


def largest_request(scratch: Scratch) -> tuple[int, str]:
    """Of some sizes, in cells of 30 KiB."""
    fits, _, answer = _largest_request(scratch)
    return fits, f"{fits} bytes were taken, {answer}"


def request_answer(scratch: Scratch) -> tuple[str, str]:
    """To the next size."""
    _, status, answer = _largest_request(scratch)
    return status, answer


def _largest_request(scratch: Scratch) -> tuple[int, str, str]:
    cell = "x" * (30 * KIB)
    return _climbed(scratch, [(size, [cell] * ((size - _ENVELOPE) // len(cell))) for size in REQUESTS])


def _climbed(scratch: Scratch, steps: list[tuple[int, list[str]]]) -> tuple[int, str, str]:
    """The largest size that was taken, the status of the answer to the next, and what was said; nothing is stored."""
    largest = 0
    for size, texts in steps:
        d = scratch.here.begin()
        try:
            insert_as_it_is(d, PLAIN, texts)
        except Unavailable as error:
            status = status_of(error)
            said = f"{size} were answered with {answer_of(error)}"
            return largest, "no answer" if status is None else str(status), said
        finally:
            d.roll_back()
        largest = size
    return largest, "taken", "and no more were tried"


def order(scratch: Scratch) -> tuple[str, str]:
    """Of rows that were inserted in no order, some at a time."""
    plain = _orders(scratch, OTHER)
    evidence = f"a plain table: {plain}"
    if scratch.refused_sorting is None:
        evidence += f"; a sorted one: {_orders(scratch, SORTED)}"
    return plain, evidence


def _orders(scratch: Scratch, table: Table) -> str:
    names = [f"row {number:03}" for number in range(_ROWS)]
    random.Random(7).shuffle(names)  # noqa: S311 - no secret
    for start in range(0, _ROWS, 30):
        with scratch.here.committed() as d:
            insert(d, table, *((name, 0) for name in names[start : start + 30]))
    with scratch.here.snapshot() as snapshot:
        read = [row["name"] for row in snapshot.rows(table, ("name",), []) if row["name"].startswith("row ")]
    if read == names:
        return "as inserted"
    return "by key" if read == sorted(names) else "none"


def sorted_tables(scratch: Scratch) -> tuple[str, str]:
    """Whether one could be made."""
    if scratch.refused_sorting is None:
        return "yes", "a table with a sorting key was made"
    return "no", f"a table with a sorting key was answered with {scratch.refused_sorting}"

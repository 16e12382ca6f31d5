"""Checks of two transactions that change the same row."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from tams.domain.errors import Unavailable
from tams.repository.vast.cluster_transaction import ROW_ID, ClusterTransaction
from tams.repository.vast.failures import LostRace
from tams.repository.vast.probe.scratch import PLAIN, SORTED, Scratch, answer_of, insert, row_named, set_number
from tams.repository.vast.tables import Row

PAIRS = (("update", "update"), ("update", "delete"), ("delete", "update"), ("delete", "delete"))
WHEN = {"open": "while the first one is open", "committed": "after the first one was committed"}
_numbers = count(10)


def conflict_check(first: str, second: str, when: str) -> Callable[[Scratch], tuple[str, str]]:
    """Return the check for one pair of changes. Both transactions begin before either changes anything."""

    def check(scratch: Scratch) -> tuple[str, str]:
        name = f"{first} {second} {when} {next(_numbers)}"
        scratch.store(PLAIN, (name, 1))
        one, other = scratch.here.begin(), scratch.there.begin()
        try:
            first_row, second_row = row_named(one, PLAIN, name), row_named(other, PLAIN, name)
            _change(one, first, first_row, 2)
            if when == "committed":
                one.commit()
            where, answer = _change_second(one, other, second, second_row, is_open=when == "open")
        finally:
            one.roll_back()
            other.roll_back()
        return where, f"{answer}; afterwards the row is {scratch.stored(PLAIN).get(name, 'not there')}"

    return check


def _change_second(
    one: ClusterTransaction, other: ClusterTransaction, kind: str, row: Row, *, is_open: bool
) -> tuple[str, str]:
    try:
        _change(other, kind, row, 3)
    except LostRace as error:
        if is_open:
            one.commit()
        return "statement", f"the second statement was answered with {answer_of(error)}"
    if is_open:
        try:
            one.commit()
        except LostRace as error:
            # The first to commit loses. That suits as well, as long as only one of them is stored.
            other.commit()
            return "first commit", f"the commit of the first was answered with {answer_of(error)}"
    try:
        other.commit()
    except LostRace as error:
        return "commit", f"the second commit was answered with {answer_of(error)}"
    return "never", "both were committed"


def _change(snapshot: ClusterTransaction, kind: str, row: Row, number: int) -> None:
    if kind == "update":
        set_number(snapshot, PLAIN, row, number)
    else:
        snapshot.delete(PLAIN, [row[ROW_ID]])


def same_key_inserts(scratch: Scratch) -> tuple[str, str]:
    """Insert rows with the same key in two transactions, in a sorted table if there is one."""
    table = PLAIN if scratch.refused_sorting else SORTED
    one, other = scratch.here.begin(), scratch.there.begin()
    try:
        for number, snapshot in enumerate((one, other)):
            insert(snapshot, table, ("twice", number))
        one.commit()
        other.commit()
    except Unavailable as error:
        return "refused", f"answered with {answer_of(error)}"
    finally:
        one.roll_back()
        other.roll_back()
    # Once this row is visible, both are.
    scratch.store(table, ("after two", 0))
    with scratch.here.snapshot() as snapshot:
        rows = [row for row in snapshot.rows(table, ("name",), []) if row["name"] == "twice"]
    return ("both stored" if len(rows) == 2 else f"{len(rows)} stored"), f"{len(rows)} rows after two inserts"

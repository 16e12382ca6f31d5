"""Checks of when a commit becomes visible to other transactions."""

from __future__ import annotations

import threading
import time

from tams.domain.errors import Unavailable
from tams.repository.vast.connection import Cluster
from tams.repository.vast.predicates import equal
from tams.repository.vast.probe.scratch import OTHER, PATIENCE, PLAIN, Scratch, insert
from tams.repository.vast.tables import Table

_PAIR = "pair"
_ROUNDS = 20
_LOOKS = 1.5


def atomic(scratch: Scratch) -> tuple[str, str]:
    """Check whether a reader finds a commit in the table that it reads first and not in the one that it reads next."""
    for table in (PLAIN, OTHER):
        scratch.store(table, (_PAIR, 0))
    stop, failed = threading.Event(), list[Unavailable]()

    def write() -> None:
        number = 0
        try:
            while not stop.is_set():
                number += 1
                with scratch.there.committed() as snapshot:
                    # New rows: if commits become visible late, repeated updates of one row may conflict.
                    for table in (PLAIN, OTHER):
                        insert(snapshot, table, (_PAIR, number))
        except Unavailable as error:
            failed.append(error)

    writer = threading.Thread(target=write, name="probe-writer")
    writer.start()
    looks, halves, last = 0, 0, 0
    deadline = time.monotonic() + _LOOKS
    try:
        while not halves and time.monotonic() < deadline:
            # In both orders: it is unknown which table becomes visible first.
            for tables in ((PLAIN, OTHER), (OTHER, PLAIN)):
                looks += 1
                first, last = _pair(scratch.here, tables)
                halves += last < first
    finally:
        stop.set()
        writer.join()
    if failed:
        raise failed[0]
    return "no" if halves else "yes", f"{halves} of {looks} transactions saw half of a commit, while {last} were made"


def _pair(cluster: Cluster, tables: tuple[Table, Table]) -> tuple[int, int]:
    with cluster.snapshot() as snapshot:
        first, second = (
            max(row["number"] for row in snapshot.rows(table, ("number",), [equal("name", _PAIR)])) for table in tables
        )
        return first, second


def through_the_endpoint(scratch: Scratch) -> tuple[str, str, float]:
    """Check whether another session sees a commit at once."""
    late, longest = _lags(scratch, scratch.there, "here")
    evidence = f"{late} of {_ROUNDS} commits were invisible to a transaction that began after their answer"
    return "late" if late else "at once", f"{evidence}, at most for {longest:.2f} s", round(longest, 2)


def through_other_addresses(scratch: Scratch) -> tuple[str, str]:
    """Check whether sessions through every other address that answers see a commit at once."""
    late, asked, evidence = 0, 0, []
    for number, endpoint in enumerate(scratch.addresses()):
        cluster = scratch.elsewhere(endpoint)
        try:
            lags, longest = _lags(scratch, cluster, f"address {number}")
            late, asked = late + lags, asked + 1
            evidence.append(f"{endpoint}: {lags} of {_ROUNDS} late, {longest:.2f} s at most")
        except Unavailable as error:
            evidence.append(f"{endpoint}: not asked, {error}")
        finally:
            cluster.forget()
    finding = "late" if late else "at once" if asked else "not asked"
    return finding, "; ".join(evidence) or "the cluster reports no addresses"


def _lags(scratch: Scratch, reader: Cluster, name: str) -> tuple[int, float]:
    """Return how many commits were not visible at once, and the longest delay in seconds."""
    # This connects, so that the time for it is not measured.
    reader.begin().roll_back()
    late, longest = 0, 0.0
    for number in range(_ROUNDS):
        with scratch.here.committed() as writing:
            insert(writing, PLAIN, (f"{name} {number}", number))
        answered, is_late = time.monotonic(), False
        while not _is_visible(reader, f"{name} {number}"):
            is_late = True
            if time.monotonic() > answered + PATIENCE:
                raise Unavailable(f"a commit was not visible for {PATIENCE:.0f} s")
            time.sleep(0.01)
        if is_late:
            late, longest = late + 1, max(longest, time.monotonic() - answered)
            if late == 3:
                break
    return late, longest


def _is_visible(cluster: Cluster, name: str) -> bool:
    with cluster.snapshot() as snapshot:
        return any(row["name"] == name for row in snapshot.rows(PLAIN, ("name",), []))

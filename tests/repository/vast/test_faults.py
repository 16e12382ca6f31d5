"""Faults during a write: the write is stored exactly once, or it raises and nothing is stored.

By default every commit of every write fails in every way, and a sample of the other requests. With
`TAMS_TEST_VAST_FAULTS=all` every request of every write fails in every way.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tams.domain.errors import Unavailable
from tams.repository.port import Repository
from tams.repository.vast import VastRepository
from tams.repository.vast.concurrency.lock_rows import lock_row
from tams.repository.vast.failures import LostRace
from tams.repository.vast.tables import LOCKS
from tests.support.vast_clusters import opened
from tests.support.vast_invariants import check, rows_of
from tests.support.vast_writes import CHANGES, Change, count_up
from tools.vast_emulator.emulator import Emulator
from tools.vast_emulator.faults import Way
from tools.vast_emulator.settings import Settings

pytestmark = [pytest.mark.vast, pytest.mark.fault]

EVERYTHING = os.environ.get("TAMS_TEST_VAST_FAULTS") == "all"
OF_COMMITS = [
    Way.CONFLICT,
    Way.SLOW_DOWN,
    Way.BAD_GATEWAY,
    Way.CUT,
    Way.LOST,
    Way.LOST_BAD_GATEWAY,
    Way.LOST_SLOW_DOWN,
    Way.LATE,
    Way.EXPIRED,
]
OF_OTHERS = [Way.CONFLICT, Way.SLOW_DOWN, Way.BAD_GATEWAY, Way.CUT, Way.LOST, Way.UNAVAILABLE, Way.EXPIRED]
OTHERS = ("begin", "select", "insert", "update", "delete", "rollback")
SAMPLE = 4
IN_A_ROW = ([Way.LOST, Way.CUT, Way.LATE], OF_OTHERS) if EVERYTHING else ([Way.LOST], [Way.CONFLICT, Way.BAD_GATEWAY])
"""The faults of a commit, and those of the queries about its outcome, which fail `OUTCOME_QUERIES` times."""
OUTCOME_QUERIES = 3


CLUSTERS = {
    "claims": Settings(row_conflicts="last_writer_wins"),
    # Another session cannot end a transaction, and a new connection after a cut counts as another session.
    "stripes": Settings(row_conflicts="commit", rollback="ignored_elsewhere"),
    "single": Settings(row_conflicts="last_writer_wins", rollback="ignored_elsewhere", idle_timeout=0.5),
}


@pytest.fixture(scope="module", params=CLUSTERS if EVERYTHING else ["claims", "stripes"])
def cluster(request: pytest.FixtureRequest) -> Iterator[tuple[Emulator, VastRepository]]:
    """Yield one cluster in this process for all faults of one concurrency mode."""
    with opened(replace(CLUSTERS[request.param]), request.param, claim_timeout=1) as pair:
        yield pair


def requests_of(emulator: Emulator, change: Change) -> dict[str, int]:
    """Return how many requests of each kind the change takes without faults."""
    with emulator.counting() as counts:
        change.make()
    assert change.state() == change.after
    return dict(counts.requests)


def check_change_with_fault(emulator: Emulator, change: Change, kind: str, way: Way, nth: int, times: int = 1) -> None:
    """Make the change while its nth request of the kind fails, and the following ones up to `times` in a row."""
    emulator.fail(kind, way, nth=nth, times=times, seconds=0.15 if way is Way.LATE else None)
    try:
        change.make()
    except Unavailable:
        emulator.faults.clear()
        assert change.state() == change.before, (kind, way, nth)
    else:
        emulator.faults.clear()
        assert change.state() == change.after, (kind, way, nth)


@pytest.mark.parametrize("prepare", CHANGES, ids=lambda prepare: prepare.__name__)
def test_a_write_with_a_fault_is_stored_once_or_refused(
    cluster: tuple[Emulator, VastRepository],
    prepare: Callable[[Repository], Change],
    record_property: Callable[[str, object], None],
) -> None:
    emulator, repository = cluster
    requests = requests_of(emulator, prepare(repository))
    cases = list(itertools.product(["commit"], OF_COMMITS, range(1, requests["commit"] + 1)))
    others = [(kind, way, nth) for kind in OTHERS for way in OF_OTHERS for nth in range(1, requests.get(kind, 0) + 1)]
    cases += others if EVERYTHING else random.Random(prepare.__name__).sample(others, SAMPLE)
    # `--junitxml` reports the number of faults.
    record_property("faults", len(cases))
    for kind, way, nth in cases:
        check_change_with_fault(emulator, prepare(repository), kind, way, nth)
    check(emulator)


def test_a_commit_that_lands_late_is_stored_once(cluster: tuple[Emulator, VastRepository]) -> None:
    emulator, repository = cluster
    last = requests_of(emulator, count_up(repository))["commit"]
    change = count_up(repository)
    emulator.fail("commit", Way.LATE, nth=last)
    change.make()
    assert change.state() == change.after
    assert emulator.faults.release() == 1
    assert change.state() == change.after


@contextmanager
def counting_cluster(concurrency: str, **waits: float) -> Iterator[tuple[Emulator, VastRepository, dict[str, int]]]:
    """Yield a cluster, a repository, and how many requests of each kind `count_up` takes there.

    The number is the same each time: the claim timeout is so long that the single writer does not renew its record.
    """
    waits["claim_timeout"] = 600 if concurrency == "single" else 1
    with opened(replace(CLUSTERS[concurrency]), concurrency, **waits) as (emulator, repository):
        yield emulator, repository, requests_of(emulator, count_up(repository))


@pytest.mark.parametrize("concurrency", CLUSTERS)
def test_an_unanswered_commit_is_stored_once_even_if_outcome_queries_fail(
    concurrency: str, record_property: Callable[[str, object], None]
) -> None:
    with counting_cluster(concurrency) as (emulator, repository, requests):
        # The next request of this kind after the commit is a query about the outcome.
        outcome_queries = {kind: requests[kind] + 1 for kind in ("begin", "select")}
        cases = [
            (lost, kind, way, nth)
            for kind, query in outcome_queries.items()
            for lost, way in itertools.product(*IN_A_ROW)
            for nth in range(1 if EVERYTHING else query, query + 1)
        ]
        record_property("faults", len(cases))
        for lost, kind, way, nth in cases:
            change = count_up(repository)
            emulator.fail("commit", lost, nth=requests["commit"], seconds=0.15 if lost is Way.LATE else None)
            # A failed read is repeated twice at once, unless the fault is a conflict.
            check_change_with_fault(
                emulator, change, kind, way, nth, times=OUTCOME_QUERIES if way is Way.CONFLICT else 3 * OUTCOME_QUERIES
            )
        check(emulator)


@pytest.mark.parametrize("kind", ["begin", "select"] if EVERYTHING else ["begin"])
@pytest.mark.parametrize("concurrency", CLUSTERS)
def test_a_commit_whose_outcome_stays_in_doubt_is_not_repeated(concurrency: str, kind: str) -> None:
    with counting_cluster(concurrency, operation_timeout=1) as (emulator, repository, requests):
        change = count_up(repository)
        emulator.fail("commit", Way.LOST, nth=requests["commit"])
        emulator.fail(kind, Way.UNAVAILABLE, nth=requests[kind] + 1, times=0)
        with pytest.raises(Unavailable, match="look whether the change was made"):
            change.make()
        emulator.faults.clear()
        assert change.state() == change.after


@pytest.mark.parametrize("concurrency", CLUSTERS)
def test_a_request_that_fails_leaves_no_transaction_open(concurrency: str) -> None:
    with counting_cluster(concurrency) as (emulator, repository, requests):
        for kind, times in itertools.product(("select", "insert", "update", "commit"), (1, 2)):
            for nth in range(1, requests.get(kind, 0) + 1):
                check_change_with_fault(emulator, count_up(repository), kind, Way.CONFLICT, nth, times)
                assert emulator.engine.open_transactions == [], (kind, nth)


@pytest.mark.parametrize("refused", ["insert", "commit"])
def test_a_failed_rollback_does_not_hide_the_first_error(refused: str) -> None:
    with opened() as (emulator, repository):
        before = rows_of(emulator, LOCKS)
        emulator.fail(refused, Way.CONFLICT)
        emulator.fail("rollback", Way.UNAVAILABLE)
        with pytest.raises(LostRace), repository._cluster.committed() as transaction:
            transaction.insert(LOCKS, [lock_row("key", "kind", "op", 0)])
        assert emulator.faults.pending == []
        assert rows_of(emulator, LOCKS) == before

"""Injected faults: how the SDK reacts to them, and what is stored afterwards."""

import time
from collections.abc import Callable

import pytest
import requests
import urllib3
from vastdb import errors
from vastdb.config import BackoffConfig
from vastdb.session import Session
from vastdb.table_metadata import TableMetadata

from tools.vast_emulator.emulator import Emulator
from tools.vast_emulator.faults import Way
from tools.vast_emulator.tests.steps import create, insert, put, read

pytestmark = pytest.mark.vast


@pytest.fixture
def table(session: Session) -> TableMetadata:
    """Create an empty table."""
    return create(session, "t")


@pytest.mark.parametrize(
    ("way", "error"),
    [
        ("conflict", errors.Conflict),
        ("slow_down", errors.Slowdown),
        ("unavailable", errors.ServiceUnavailable),
        ("internal_error", errors.InternalServerError),
        ("bad_gateway", ValueError),
        ("gateway_timeout", ValueError),
        ("expired", errors.NotFound),
        ("cut", errors.ConnectionError),
    ],
)
@pytest.mark.parametrize("kind", ["insert", "commit"])
def test_a_request_that_fails_stores_nothing(
    emulator: Emulator, session: Session, table: TableMetadata, kind: str, way: str, error: type[Exception]
) -> None:
    emulator.fail(kind, way)
    with pytest.raises(error):
        insert(session, table, ("a", 1))
    assert read(emulator, session, table) == []
    assert emulator.faults.pending == []


@pytest.mark.parametrize(
    ("way", "error"),
    [("lost", errors.ConnectionError), ("lost_bad_gateway", ValueError), ("lost_slow_down", errors.Slowdown)],
)
def test_a_commit_whose_answer_is_lost_is_stored(
    emulator: Emulator, session: Session, table: TableMetadata, way: str, error: type[Exception]
) -> None:
    emulator.fail("commit", way)
    with pytest.raises(error):
        insert(session, table, ("a", 1))
    assert read(emulator, session, table) == [("a", 1)]


def test_a_late_commit_lands_when_it_is_released(emulator: Emulator, session: Session, table: TableMetadata) -> None:
    emulator.fail("commit", "late")
    with pytest.raises(errors.ConnectionError):
        insert(session, table, ("a", 1))
    assert read(emulator, session, table) == []
    assert emulator.faults.release() == 1
    assert read(emulator, session, table) == [("a", 1)]


def test_a_late_commit_lands_by_itself(emulator: Emulator, session: Session, table: TableMetadata) -> None:
    emulator.fail("commit", "late", seconds=0.2)
    with pytest.raises(errors.ConnectionError):
        insert(session, table, ("a", 1))
    assert read(emulator, session, table) == []
    time.sleep(0.4)
    assert read(emulator, session, table) == [("a", 1)]


def test_a_rollback_overtakes_a_late_commit(emulator: Emulator, session: Session, table: TableMetadata) -> None:
    emulator.fail("commit", "late")
    number = 0

    def write() -> None:
        nonlocal number
        with session.transaction() as tx:
            number = tx.txid
            put(tx, table, ("a", 1))

    with pytest.raises(errors.ConnectionError):
        write()
    session.api.rollback_transaction(number)
    emulator.faults.release()
    assert read(emulator, session, table) == []
    with pytest.raises(errors.NotFound):
        session.api.rollback_transaction(number)


def test_a_stalled_request_outlasts_the_client(emulator: Emulator, table: TableMetadata) -> None:
    impatient = emulator.connect(timeout=0.3)
    emulator.fail("insert", "stall", seconds=1)
    with pytest.raises(requests.exceptions.ReadTimeout):
        insert(impatient, table, ("a", 1))


def _selecting(emulator: Emulator, session: Session, table: TableMetadata) -> Callable[[], object]:
    insert(session, table, *((f"name{n}", n) for n in range(100)))
    return lambda: read(emulator, session, table)


def test_a_stream_that_is_cut_is_an_error(emulator: Emulator, session: Session, table: TableMetadata) -> None:
    select = _selecting(emulator, session, table)
    emulator.fail("select", "cut_stream")
    with pytest.raises((errors.ConnectionError, urllib3.exceptions.HTTPError, EOFError, OSError)):
        select()


def test_a_query_that_fails_midway_is_an_error(emulator: Emulator, session: Session, table: TableMetadata) -> None:
    select = _selecting(emulator, session, table)
    emulator.fail("select", "failed_stream")
    with pytest.raises(Exception, match="Query failed due to server error"):
        select()


def test_the_sdk_resumes_after_a_page_that_failed(emulator: Emulator, session: Session, table: TableMetadata) -> None:
    insert(session, table, *((f"name{n}", n) for n in range(100)))
    emulator.settings.update({"page_rows": 10})
    emulator.fail("select", "slow_down", nth=3, times=2)
    patient = emulator.connect(backoff_config=BackoffConfig(max_value=0.05))
    assert len(set(read(emulator, patient, table))) == 100


def test_the_nth_request_fails_and_so_many_after_it(emulator: Emulator, session: Session, table: TableMetadata) -> None:
    emulator.fail("insert", "conflict", nth=2, times=2)
    outcomes = []
    for number in range(4):
        try:
            insert(session, table, ("a", number))
            outcomes.append("stored")
        except errors.Conflict:
            outcomes.append("refused")
    assert outcomes == ["stored", "refused", "refused", "stored"]


def test_a_fault_may_be_for_one_table(emulator: Emulator, session: Session, table: TableMetadata) -> None:
    other = create(session, "other")
    emulator.fail("write", "conflict", table="other")
    insert(session, table, ("a", 1))
    with pytest.raises(errors.Conflict):
        insert(session, other, ("a", 1))


def test_chaos_fails_many_requests_and_loses_no_acknowledged_row(
    emulator: Emulator, session: Session, table: TableMetadata
) -> None:
    emulator.settings.update({"chaos_rate": 0.2})
    stored, failed = [], 0
    for number in range(60):
        try:
            insert(session, table, ("a", number))
            stored.append(("a", number))
        except (errors.HttpError, errors.ConnectionError, ValueError):
            failed += 1
    emulator.settings.update({"chaos_rate": 0.0})
    assert failed
    assert set(stored) <= set(read(emulator, session, table))


@pytest.mark.parametrize("way", Way)
def test_every_way_has_an_outcome(emulator: Emulator, session: Session, table: TableMetadata, way: Way) -> None:
    number = int(session.api.begin_transaction().headers["tabular-txid"])
    emulator.fail("keep_alive", way, seconds=0.01)
    try:
        session.api.get_transaction(number)
        outcome = "answered"
    except (errors.HttpError, errors.ConnectionError, ValueError):
        outcome = "failed"
    # The response has no body that could be cut.
    assert outcome == ("answered" if way in (Way.STALL, Way.CUT_STREAM) else "failed")
    insert(session, table, ("a", 1))
    assert read(emulator, session, table) == [("a", 1)]

"""Transactions: snapshots, own writes, commit and rollback, and the models in which clusters differ."""

import time

import pytest
from vastdb import errors
from vastdb.session import Session

from tools.vast_emulator.emulator import Emulator
from tools.vast_emulator.tests.steps import connect, create, delete_name, insert, put, read, rows, set_number

pytestmark = pytest.mark.vast


def test_a_transaction_sees_what_was_committed_before_it_began(emulator: Emulator, session: Session) -> None:
    table = create(session, "t")
    insert(session, table, ("before", 1))
    with session.transaction() as early:
        insert(session, table, ("after", 2))
        assert rows(emulator, early, table) == [("before", 1)]
    assert read(emulator, session, table) == [("after", 2), ("before", 1)]


def test_only_the_transaction_sees_its_own_writes(emulator: Emulator, session: Session) -> None:
    table = create(session, "t")
    insert(session, table, ("kept", 1), ("changed", 2), ("gone", 3))
    with session.transaction() as tx:
        put(tx, table, ("new", 4))
        set_number(emulator, tx, table, "changed", 20)
        delete_name(emulator, tx, table, "gone")
        assert sorted(rows(emulator, tx, table)) == [("changed", 20), ("kept", 1), ("new", 4)]
        assert read(emulator, session, table) == [("changed", 2), ("gone", 3), ("kept", 1)]
    assert read(emulator, session, table) == [("changed", 20), ("kept", 1), ("new", 4)]


def test_a_rollback_leaves_nothing(emulator: Emulator, session: Session) -> None:
    table = create(session, "t")

    def fail() -> None:
        with session.transaction() as tx:
            put(tx, table, ("lost", 1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert read(emulator, session, table) == []
    assert emulator.engine.open_transactions == []


def test_concurrent_inserts_all_stay(emulator: Emulator, session: Session) -> None:
    table = create(session, "t", sorting_key=["name", "number"])
    with session.transaction() as first, session.transaction() as second:
        put(first, table, ("a", 1))
        put(second, table, ("a", 1))
    assert read(emulator, session, table) == [("a", 1), ("a", 1)]


def test_a_commit_on_what_others_changed_keeps_both_changes(emulator: Emulator, session: Session) -> None:
    table = create(session, "t")
    insert(session, table, ("a", 1), ("b", 2))
    with session.transaction() as slow:
        set_number(emulator, slow, table, "a", 10)
        with session.transaction() as quick:
            set_number(emulator, quick, table, "b", 20)
            put(quick, table, ("c", 3))
    assert read(emulator, session, table) == [("a", 10), ("b", 20), ("c", 3)]


def test_an_ended_transaction_is_not_found(session: Session) -> None:
    number = int(session.api.begin_transaction().headers["tabular-txid"])
    session.api.commit_transaction(number)
    for action in (session.api.commit_transaction, session.api.rollback_transaction, session.api.get_transaction):
        with pytest.raises(errors.NotFound):
            action(number)


def test_a_rollback_by_id_from_another_session_prevents_the_commit(emulator: Emulator, session: Session) -> None:
    table = create(session, "t")
    other = connect(emulator)

    def commit_too_late() -> None:
        with session.transaction() as tx:
            put(tx, table, ("late", 1))
            other.api.rollback_transaction(tx.txid)

    with pytest.raises(errors.NotFound):
        commit_too_late()
    assert read(emulator, session, table) == []


@pytest.mark.parametrize("model", ["ignored", "ignored_elsewhere"])
def test_a_cluster_may_ignore_a_rollback(emulator: Emulator, session: Session, model: str) -> None:
    emulator.settings.update({"rollback": model})
    table = create(session, "t")
    other = connect(emulator)
    with session.transaction() as tx:
        put(tx, table, ("stays", 1))
        other.api.rollback_transaction(tx.txid)
    assert read(emulator, session, table) == [("stays", 1)]


def test_a_cluster_may_refuse_a_rollback_from_elsewhere(emulator: Emulator, session: Session) -> None:
    emulator.settings.update({"rollback": "refused_elsewhere"})
    other = connect(emulator)
    with session.transaction() as tx, pytest.raises(errors.Forbidden):
        other.api.rollback_transaction(tx.txid)


def test_a_cluster_may_read_what_was_committed_meanwhile(emulator: Emulator, session: Session) -> None:
    emulator.settings.update({"snapshots": "read_committed"})
    table = create(session, "t")
    with session.transaction() as tx:
        put(tx, table, ("own", 1))
        insert(session, table, ("other", 2))
        assert sorted(rows(emulator, tx, table)) == [("other", 2), ("own", 1)]


def test_a_cluster_may_hide_own_writes(emulator: Emulator, session: Session) -> None:
    emulator.settings.update({"own_writes": []})
    table = create(session, "t")
    with session.transaction() as tx:
        put(tx, table, ("own", 1))
        assert rows(emulator, tx, table) == []
    assert read(emulator, session, table) == [("own", 1)]


def test_a_cluster_may_show_commits_late(emulator: Emulator, session: Session) -> None:
    table = create(session, "t")
    emulator.settings.update({"visibility_delay": 0.3})
    insert(session, table, ("soon", 1))
    assert read(emulator, session, table) == []
    time.sleep(0.35)
    assert read(emulator, session, table) == [("soon", 1)]


def test_a_cluster_may_commit_table_by_table(emulator: Emulator, session: Session) -> None:
    import threading

    first, second = create(session, "first"), create(session, "second")
    emulator.settings.update({"atomic_commits": False, "commit_gap": 0.5})

    def write() -> None:
        with connect(emulator).transaction() as tx:
            put(tx, first, ("a", 1))
            put(tx, second, ("a", 1))

    writer = threading.Thread(target=write)
    writer.start()
    deadline = time.monotonic() + 5
    while not read(emulator, session, first) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (read(emulator, session, first), read(emulator, session, second)) == ([("a", 1)], [])
    writer.join()
    assert read(emulator, session, second) == [("a", 1)]


def test_an_idle_transaction_expires(emulator: Emulator, session: Session) -> None:
    table = create(session, "t")
    insert(session, table, ("a", 1))
    number = int(session.api.begin_transaction().headers["tabular-txid"])
    emulator.settings.update({"idle_timeout": 0.1})
    time.sleep(0.15)
    with pytest.raises(errors.NotFound):
        session.api.commit_transaction(number)


def test_definitions_belong_to_the_transaction_too(emulator: Emulator, session: Session) -> None:
    def fail() -> None:
        with session.transaction() as tx:
            schema = tx.bucket("vastdb").create_schema("s")
            schema.create_table("t", create(session, "other").arrow_schema)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with session.transaction() as tx:
        assert [schema.name for schema in tx.bucket("vastdb").schemas()] == ["tests"]
        assert emulator.tables("tests") == ["other"]


def test_many_small_commits_keep_every_row_through_all_merges(emulator: Emulator, session: Session) -> None:
    table = create(session, "t", sorting_key=["name"])
    for number in range(100):
        insert(session, table, (f"name{number % 10}", number))
        if number % 10 == 9:
            with session.transaction() as tx:
                delete_name(emulator, tx, table, f"name{number % 7}")
    stored = read(emulator, session, table)
    assert len({number for _, number in stored}) == len(stored)
    expected: list[tuple[str, int]] = []
    for number in range(100):
        expected.append((f"name{number % 10}", number))
        if number % 10 == 9:
            expected = [row for row in expected if row[0] != f"name{number % 7}"]
    assert stored == sorted(expected)

"""Creation and checks of the tables, the pruning of old locks, and a cluster that does not answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tams.domain.clock import now
from tams.domain.errors import Unavailable
from tams.repository.vast import VastRepository, missing, upgrade
from tams.repository.vast.connection import Cluster
from tams.repository.vast.tables import LOCKS, TABLES, VERSIONS
from tests.support.factories import seconds
from tests.support.repository_steps import fill, new_flow, stored
from tests.support.vast_clusters import SCHEMA, address_of, opened, url_of
from tests.support.vast_invariants import check, rows_of
from tools.vast_emulator.emulator import Emulator
from tools.vast_emulator.faults import Way
from tools.vast_emulator.settings import Settings

pytestmark = pytest.mark.vast


def test_an_upgrade_creates_every_table_and_a_second_one_changes_nothing() -> None:
    with Emulator() as emulator:
        address = address_of(url_of(emulator.endpoint))
        repository = VastRepository(address)
        with pytest.raises(Unavailable):
            repository.check()
        assert missing(address) != []
        upgrade(address)
        assert set(emulator.tables(SCHEMA)) == {table.name for table in (*TABLES, VERSIONS)}
        assert missing(address) == []
        repository.check()
        with emulator.counting() as counts:
            upgrade(address)
        assert counts.rows_written == 0


def test_concurrent_upgrades_all_succeed() -> None:
    with Emulator() as emulator:
        address = address_of(url_of(emulator.endpoint))
        with ThreadPoolExecutor(3) as pool:
            for done in [pool.submit(upgrade, address) for _ in range(3)]:
                done.result(120)
        assert missing(address) == []
        VastRepository(address).check()


@pytest.mark.parametrize("kind", ["create_schema", "create_table", "create_projection", "commit"])
def test_an_upgrade_continues_after_faults(kind: str) -> None:
    with Emulator() as emulator:
        address = address_of(url_of(emulator.endpoint))
        emulator.fail(kind, Way.LOST)
        emulator.fail(kind, Way.BAD_GATEWAY, nth=3)
        upgrade(address)
        assert missing(address) == []


def test_a_cluster_without_sorted_tables_has_projections() -> None:
    with Emulator(Settings(version="5.2.0.0")) as emulator:
        address = address_of(url_of(emulator.endpoint))
        upgrade(address)
        assert missing(address) == []
        repository = VastRepository(address)
        flow = new_flow(repository)
        segments = fill(repository, flow, [seconds(n, n + 1) for n in range(3)])
        assert stored(repository, flow) == segments


def test_a_database_of_a_newer_version_is_refused() -> None:
    with opened() as (emulator, repository):
        address = address_of(url_of(emulator.endpoint))
        snapshot = Cluster(address).begin()
        snapshot.insert(VERSIONS, [{"revision": "9999", "at": now()}])
        snapshot.commit()
        for refused in (repository.check, lambda: upgrade(address)):
            with pytest.raises(Unavailable, match="9999"):
                refused()


def test_missing_parts_of_the_schema_are_named() -> None:
    with opened() as (emulator, _), emulator.connect().transaction() as tx:
        schema = tx.bucket("vastdb").schema(SCHEMA)
        schema.table("jobs").drop()
        schema.table("segments").projection("by_object_id").drop()
        tx._rpc.api.commit_transaction(tx.txid)
        sentences = " ".join(missing(address_of(url_of(emulator.endpoint))))
        assert "no table jobs" in sentences
        assert "segments has no projection by object_id" in sentences
        tx.txid = int(emulator.connect().api.begin_transaction().headers["tabular-txid"])


def test_old_locks_are_pruned_and_writing_continues() -> None:
    with opened(Settings(row_conflicts="last_writer_wins")) as (emulator, repository):
        flow = new_flow(repository)
        for number in range(3):
            fill(repository, flow, [seconds(number, number + 1)])
        before = len(rows_of(emulator, LOCKS))
        repository.prune(now() - 3_600_000_000)
        assert len(rows_of(emulator, LOCKS)) >= before
        repository.prune(now() + 1)
        repository.prune(now() + 1)
        left = rows_of(emulator, LOCKS)
        # The record of the last operation is left, and its claims, until the next operation removes them.
        assert not [row for row in left if row["key"] == f"flow {flow.id}" and row["kind"] == "state"]
        assert len(left) < before
        fill(repository, flow, [seconds(9, 10)])
        assert len(stored(repository, flow)) == 4
        check(emulator)


def test_a_cluster_that_does_not_answer_is_unavailable_and_never_empty() -> None:
    with opened(request_timeout=1) as (emulator, repository):
        flow = new_flow(repository)
        for way in (Way.BAD_GATEWAY, Way.UNAVAILABLE, Way.CUT, Way.CUT_STREAM, Way.FAILED_STREAM, Way.EXPIRED):
            emulator.fail("select", way, times=0)
            with pytest.raises(Unavailable), repository.read() as snapshot:
                snapshot.flow(flow.id)
            emulator.faults.clear()
        with repository.read() as snapshot:
            assert snapshot.flow(flow.id) == flow

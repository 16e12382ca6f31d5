"""The concurrency mode: a database and all its processes have the same one, and a single writer is alone."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tams.domain.errors import Unavailable
from tams.repository.port import Document, Repository
from tams.repository.vast import VastRepository, check_alone, upgrade
from tams.repository.vast.cluster_transaction import ROW_ID
from tams.repository.vast.tables import LOCKS
from tests.support.factories import seconds
from tests.support.repository_steps import fill, new_flow, read, stored, write
from tests.support.vast_clusters import address_of, opened, url_of
from tests.support.vast_invariants import rows_of
from tools.vast_emulator.emulator import Emulator
from tools.vast_emulator.faults import Way
from tools.vast_emulator.settings import Settings

pytestmark = pytest.mark.vast

ROOT = Path(__file__).parents[3]
WITHOUT_CONFLICTS = Settings(row_conflicts="last_writer_wins", rollback="ignored", idle_timeout=2)


def change(repository: Repository) -> None:
    write(repository, lambda tx: tx.put_document(Document("k", "1", {})))


class TestStoredMode:
    @pytest.mark.parametrize("other", ["stripes", "single"])
    def test_a_process_with_another_mode_than_the_database_writes_nothing(self, other: str) -> None:
        with opened(claim_timeout=1) as (emulator, repository):
            change(repository)
            address = address_of(url_of(emulator.endpoint, other), claim_timeout=1)
            with pytest.raises(Unavailable, match="TAMS_VAST_CONCURRENCY=claims"):
                upgrade(address)
            stranger = VastRepository(address)
            repository.check()
            with pytest.raises(Unavailable, match=f"this process has {other}"):
                stranger.check()
            before = rows_of(emulator, LOCKS)
            with pytest.raises(Unavailable, match=f"this process has {other}"):
                change(stranger)
            stranger.close()
            assert [row for row in rows_of(emulator, LOCKS) if row["kind"] != "writer"] == before
            change(repository)

    def test_a_change_takes_an_option_and_stops_writers_with_the_old_mode(self) -> None:
        with opened(operation_timeout=1) as (emulator, repository):
            change(repository)
            address = address_of(url_of(emulator.endpoint, "stripes"), operation_timeout=1)
            begun = time.monotonic()
            upgrade(address, change_concurrency=True)
            # Writes that were under way have ended.
            assert time.monotonic() - begun > 1
            change(VastRepository(address))
            with pytest.raises(Unavailable, match="this process has claims"):
                change(repository)
            upgrade(address)

    def test_a_database_without_a_stored_mode_has_claims(self) -> None:
        with opened() as (emulator, repository):
            change(repository)
            mode_rows = [row for row in rows_of(emulator, LOCKS) if row["kind"] == "mode"]
            assert len(mode_rows) == 1
            remove_locks(repository, "mode")
            change(repository)
            with pytest.raises(Unavailable, match="TAMS_VAST_CONCURRENCY=claims"):
                upgrade(address_of(url_of(emulator.endpoint, "stripes")))

    def test_stripes_are_created_once_and_required_for_writing(self) -> None:
        with opened(concurrency="stripes") as (emulator, repository):
            stripes = [row for row in rows_of(emulator, LOCKS) if row["kind"] == "stripe"]
            assert len({row["key"] for row in stripes}) == len(stripes) == 4096
            address = address_of(url_of(emulator.endpoint, "stripes"))
            with emulator.counting() as counts:
                upgrade(address)
            assert counts.rows_written == 0
            remove_locks(repository, "stripe")
            with pytest.raises(Unavailable, match="tams db upgrade"):
                change(repository)
            upgrade(address)
            change(repository)

    def test_concurrent_upgrades_create_stripes_that_work(self) -> None:
        with Emulator(Settings(row_conflicts="commit")) as emulator:
            address = address_of(url_of(emulator.endpoint, "stripes"))
            with ThreadPoolExecutor(3) as pool:
                for done in [pool.submit(upgrade, address) for _ in range(3)]:
                    done.result(120)
            repository = VastRepository(address)
            flow = new_flow(repository)
            segments = fill(repository, flow, [seconds(n, n + 1) for n in range(3)])
            assert stored(repository, flow) == segments


def remove_locks(repository: VastRepository, kind: str) -> None:
    """Delete the rows of a kind from the table of locks, without the adapter's protocol."""
    snapshot = repository._cluster.begin()
    row_ids = [row[ROW_ID] for row in snapshot.rows(LOCKS, ("kind",), [], row_ids=True) if row["kind"] == kind]
    snapshot.delete(LOCKS, row_ids)
    snapshot.commit()


class TestSingleWriter:
    def test_a_second_writer_is_refused_and_the_first_continues(self) -> None:
        with opened(replace(WITHOUT_CONFLICTS), "single", claim_timeout=1) as (emulator, repository):
            change(repository)
            address = address_of(url_of(emulator.endpoint, "single"), claim_timeout=1)
            second = VastRepository(address)
            for refused in (lambda: change(second), lambda: change(second), lambda: check_alone(address)):
                with pytest.raises(Unavailable, match="there is another process that writes"):
                    refused()
            change(repository)
            assert read(second, lambda snapshot: snapshot.document("k", "1")) is not None

    def test_the_next_writer_does_not_wait_after_a_close(self) -> None:
        with opened(replace(WITHOUT_CONFLICTS), "single", claim_timeout=9) as (emulator, repository):
            change(repository)
            repository.close()
            begun = time.monotonic()
            address = address_of(url_of(emulator.endpoint, "single"), claim_timeout=9)
            check_alone(address)
            second = VastRepository(address)
            change(second)
            assert time.monotonic() - begun < 5
            second.close()

    def test_a_killed_writer_is_replaced_after_the_claim_timeout(self) -> None:
        with opened(replace(WITHOUT_CONFLICTS), "single", claim_timeout=1) as (emulator, repository):
            url = url_of(emulator.endpoint, "single")
            code = (
                "import sys, os; from tests.repository.vast.test_modes import change;"
                "from tests.support.repository_steps import open_repository;"
                "change(open_repository(sys.argv[1])); os._exit(0)"
            )
            subprocess.run([sys.executable, "-c", code, url], cwd=ROOT, check=True, timeout=60)
            begun = time.monotonic()
            change(repository)
            assert time.monotonic() - begun > 1

    def test_a_replaced_writer_stops_writing(self) -> None:
        with opened(replace(WITHOUT_CONFLICTS), "single", claim_timeout=1) as (emulator, repository):
            change(repository)
            # It cannot renew its record, so another process considers it dead.
            emulator.fail("update", Way.UNAVAILABLE, table="locks", times=0)
            second = VastRepository(address_of(url_of(emulator.endpoint, "single"), claim_timeout=1))
            change(second)
            emulator.faults.clear()
            with pytest.raises(Unavailable, match="writes no more"):
                change(repository)
            change(second)
            second.close()

    def test_nothing_is_written_while_a_commit_may_still_land(self) -> None:
        with opened(replace(WITHOUT_CONFLICTS), "single", claim_timeout=1, operation_timeout=1) as (
            emulator,
            repository,
        ):
            change(repository)
            emulator.settings.update({"idle_timeout": None})
            emulator.fail("commit", Way.LATE)
            with pytest.raises(Unavailable, match="look whether"):
                write(repository, lambda tx: tx.put_document(Document("k", "2", {})))
            with pytest.raises(Unavailable, match="until then nothing is written"):
                change(repository)
            assert emulator.faults.release() == 1
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                try:
                    change(repository)
                    break
                except Unavailable:
                    time.sleep(0.2)
            change(repository)
            assert read(repository, lambda snapshot: snapshot.document("k", "2")) is not None

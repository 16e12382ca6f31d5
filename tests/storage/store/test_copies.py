"""Copies of Objects between Storage Backends, also when requests fail, workers die or Objects are deleted meanwhile."""

from __future__ import annotations

import io
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tams.domain.identifiers import new_id
from tams.repository.port import Job
from tams.services.objects import copies
from tams.services.objects.copies import COPY_INSTANCE
from tams.worker.copies import MOST_ATTEMPTS
from tests.support.faulty_proxy import FaultyProxy
from tests.support.s3_endpoint import Endpoint
from tests.support.storage_site import FIRST, SECOND, Site, open_site, s3_backend

MEDIA = bytes(range(256)) * 100


class TestACopy:
    def test_is_shown_when_its_bytes_are_there(self, site: Site) -> None:
        (object_id,) = site.record(MEDIA)
        site.ask_for_copy(object_id)
        assert list(site.downloads(object_id)) == ["first"]
        site.copy()
        assert site.downloads(object_id) == {"first": MEDIA, "second": MEDIA}
        assert site.jobs() == []
        site.require_consistent()
        (stored,) = site.second.listing()
        assert site.second.object_id_of(stored.key) == object_id

    def test_that_exists_or_is_under_way_is_not_made_twice(self, site: Site) -> None:
        (object_id,) = site.record(MEDIA)
        for _ in range(2):
            site.ask_for_copy(object_id)
        site.ask_for_copy(object_id, FIRST)
        assert site.jobs() == [COPY_INSTANCE]
        assert site.copy() == 1
        site.ask_for_copy(object_id)
        assert site.jobs() == []
        assert site.contents(site.first) == site.contents(site.second) == [MEDIA]

    def test_goes_within_the_server_where_it_can(self, watched: Site, proxy: FaultyProxy) -> None:
        (object_id,) = watched.record(MEDIA)
        watched.ask_for_copy(object_id)
        proxy.steps.clear()
        watched.copy()
        operations = [step.operation for step in proxy.steps]
        assert "copy_object" in operations
        assert not {"get_object", "put_object"} & set(operations)
        assert watched.downloads(object_id)["second"] == MEDIA

    @pytest.mark.parametrize("kinds", ["S3 to local", "local to S3", "S3 to another server"])
    def test_goes_through_the_worker_where_it_has_to(
        self, endpoint: Endpoint, proxy: FaultyProxy, tmp_path: Path, kinds: str
    ) -> None:
        s3, local = s3_backend(endpoint), {"type": "local", "directory": tmp_path / "media"}
        first, second = {
            "S3 to local": (s3, local),
            "local to S3": (local, s3),
            "S3 to another server": (s3, s3_backend(endpoint, endpoint=proxy.url)),
        }[kinds]
        large = MEDIA * 400  # sent in parts
        with open_site(tmp_path / "site", first, second) as site:
            object_ids = site.record(MEDIA, b".", large)
            for object_id in object_ids:
                site.ask_for_copy(object_id)
            site.copy()
            assert [site.downloads(object_id)["second"] for object_id in object_ids] == [MEDIA, b".", large]
            site.require_consistent()

    def test_may_be_made_of_a_copy(self, site: Site) -> None:
        (object_id,) = site.record(MEDIA)
        site.ask_for_copy(object_id)
        site.copy()
        assert site.delete_instance(object_id, storage_id=FIRST) == 204
        assert site.downloads(object_id) == {"second": MEDIA}
        site.catch_up()
        assert site.contents(site.first) == []
        site.ask_for_copy(object_id, FIRST)
        site.copy()
        assert site.downloads(object_id) == {"second": MEDIA, "first": MEDIA}
        site.require_consistent()

    def test_goes_with_its_object(self, site: Site) -> None:
        (object_id,) = site.record(MEDIA)
        site.ask_for_copy(object_id)
        site.copy()
        site.delete_object(object_id)
        site.catch_up()
        assert site.contents(site.first) == site.contents(site.second) == []

    def test_is_made_of_another_instance_where_the_first_has_lost_its_bytes(self, site: Site) -> None:
        (object_id,) = site.record(MEDIA)
        site.ask_for_copy(object_id)
        site.copy()
        (lost,) = site.first.listing()
        site.first.delete(lost.key)
        url = site.client.get(f"/objects/{object_id}").json["get_urls"][1]["url"]
        site.delete_instance(object_id, label="second")
        site.client.post(f"/objects/{object_id}/instances", json={"url": url, "label": "kept elsewhere"})
        site.ask_for_copy(object_id)
        site.copy()
        assert site.downloads(object_id)["second"] == MEDIA

    def test_is_refused_for_an_unknown_object_or_backend(self, site: Site) -> None:
        (object_id,) = site.record(MEDIA)
        answer = site.client.post(f"/objects/{object_id}/instances", json={"storage_id": new_id()})
        assert (answer.status_code, list(answer.json["errors"])) == (400, ["storage_id"])
        answer = site.client.post("/objects/unknown/instances", json={"storage_id": SECOND})
        assert answer.status_code == 404
        assert site.jobs() == []


class TestTheLastInstance:
    def test_is_the_last_one_that_is_there(self, site: Site) -> None:
        (object_id,) = site.record(MEDIA)
        site.ask_for_copy(object_id)
        assert site.delete_instance(object_id, storage_id=FIRST) == 400
        assert site.delete_instance(object_id, label="second") == 204
        assert site.delete_instance(object_id, label="second") == 404
        assert site.downloads(object_id) == {"first": MEDIA}
        site.catch_up()
        site.require_consistent()


def by_label(site: Site, object_id: str) -> None:
    assert site.delete_instance(object_id, label="second") == 204


def by_id(site: Site, object_id: str) -> None:
    assert site.delete_instance(object_id, storage_id=SECOND) == 204


def with_its_object(site: Site, object_id: str) -> None:
    site.delete_object(object_id)


@pytest.mark.parametrize("deletion", [by_label, by_id, with_its_object])
class TestWhatIsDeletedWhileItIsCopied:
    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_leaves_nothing(
        self, watched: Site, proxy: FaultyProxy, deletion: Callable[[Site, str], None], moment: str
    ) -> None:
        """Record and bytes are deleted just before or just after the server makes the copy."""
        (object_id,) = watched.record(MEDIA)
        watched.ask_for_copy(object_id)

        def delete() -> None:
            deletion(watched, object_id)
            watched.delete()

        getattr(proxy, moment)("copy_object", delete)
        watched.copy()
        watched.delete()
        assert watched.contents(watched.second) == []
        watched.catch_up()
        watched.require_consistent()

    def test_leaves_nothing_where_the_worker_is_killed_after_it(
        self, site: Site, deletion: Callable[[Site, str], None]
    ) -> None:
        (object_id,) = site.record(MEDIA)
        site.ask_for_copy(object_id)
        (job,) = site.store.repository.lease(COPY_INSTANCE, "the one that is killed", 1, 60)
        copy = copies.begin(site.store, job)
        assert copy is not None
        deletion(site, object_id)
        site.delete()
        (source,) = [instance for instance in copy.sources if instance.storage_key]
        if deletion is not with_its_object:
            site.second.copy(source.storage_key or "", job.job_id, site.first)
        else:
            # The server carries out a copy that was requested before the source was deleted.
            site.second.put(job.job_id, io.BytesIO(MEDIA), "video/mp2t")
        assert site.contents(site.second) == [MEDIA]
        site.catch_up()
        assert site.contents(site.second) == []
        site.require_consistent()

    def test_leaves_nothing_where_the_attempt_fails(
        self, watched: Site, proxy: FaultyProxy, deletion: Callable[[Site, str], None]
    ) -> None:
        (object_id,) = watched.record(MEDIA)
        watched.ask_for_copy(object_id)
        proxy.before("copy_object", lambda: deletion(watched, object_id))
        with proxy.failing("copy_object", "500 after"):
            watched.copy()
        watched.catch_up()
        assert watched.contents(watched.second) == []
        watched.require_consistent()


class TestAWorker:
    def test_that_dies_is_replaced(self, site: Site) -> None:
        (object_id,) = site.record(MEDIA)
        site.ask_for_copy(object_id)
        (job,) = site.store.repository.lease(COPY_INSTANCE, "the one that dies", 1, 0)
        copy = copies.begin(site.store, job)
        assert copy is not None
        # The dead worker left a copy.
        site.first.copy(copy.sources[0].storage_key or "", job.job_id)
        assert site.copy("another") == 1
        assert site.downloads(object_id) == {"first": MEDIA, "second": MEDIA}

    def test_that_was_paused_and_another_agree(self, watched: Site, proxy: FaultyProxy) -> None:
        (object_id,) = watched.record(MEDIA)
        watched.ask_for_copy(object_id)
        others: list[int] = []

        def another() -> None:
            if not others:
                others.append(0)
                watched.time_passes()
                others[0] = watched.copy("another")

        proxy.after("copy_object", another)
        watched.copy("paused")
        assert others == [1]
        assert watched.downloads(object_id) == {"first": MEDIA, "second": MEDIA}
        assert watched.jobs() == []
        watched.require_consistent()

    def test_holds_its_lease_while_it_copies(self, endpoint: Endpoint, proxy: FaultyProxy, tmp_path: Path) -> None:
        slow = s3_backend(endpoint, endpoint=proxy.url)
        with open_site(tmp_path / "site", slow, s3_backend(endpoint, endpoint=proxy.url), job_lease=5) as site:
            (object_id,) = site.record(MEDIA)
            site.ask_for_copy(object_id)
            jobs: list[Job] = []

            def take_long() -> None:
                time.sleep(7)
                jobs.extend(site.store.repository.lease(COPY_INSTANCE, "another", 1, 60))

            proxy.before("copy_object", take_long)
            assert site.copy() == 1
            assert jobs == []
            assert list(site.downloads(object_id)) == ["first", "second"]

    def test_shares_the_work_with_others(self, watched: Site, proxy: FaultyProxy) -> None:
        object_ids = watched.record(*[MEDIA] * 12)
        for object_id in object_ids:
            watched.ask_for_copy(object_id)
        workers = [threading.Thread(target=watched.copy, args=(f"worker {number}",)) for number in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert [step.operation for step in proxy.steps].count("copy_object") == 12
        assert all(watched.downloads(object_id)["second"] == MEDIA for object_id in object_ids)
        watched.require_consistent()

    def test_gives_up_what_cannot_be_copied_and_is_asked_again(self, site: Site) -> None:
        (object_id,) = site.record(MEDIA)
        (source,) = site.first.listing()
        site.first.delete(source.key)
        site.ask_for_copy(object_id)
        assert site.copy() == 1
        assert site.jobs() == [COPY_INSTANCE]

        (job,) = _leased(site)
        site.store.write(lambda tx: tx.finish(job.kind, job.job_id))
        # All attempts but the last have been made.
        site.store.write(lambda tx: tx.enqueue([Job(job.kind, job.job_id, job.payload, 0, MOST_ATTEMPTS - 1)]))
        assert site.copy() == 1
        assert COPY_INSTANCE not in site.jobs()
        assert site.store.repository.lease(COPY_INSTANCE, "worker", 1, 60) == []
        site.catch_up()

        site.first.put(source.key, io.BytesIO(MEDIA), "video/mp2t")
        site.ask_for_copy(object_id)
        site.copy()
        assert site.downloads(object_id) == {"first": MEDIA, "second": MEDIA}
        site.require_consistent()

    def test_gives_up_what_kills_every_worker(self, site: Site) -> None:
        (object_id,) = site.record(MEDIA)
        site.ask_for_copy(object_id)
        for _ in range(MOST_ATTEMPTS):
            assert len(site.store.repository.lease(COPY_INSTANCE, "one more that dies", 1, 0)) == 1
        site.copy()
        assert COPY_INSTANCE not in site.jobs()
        assert site.downloads(object_id) == {"first": MEDIA}

    def test_waits_longer_and_longer(self, site: Site) -> None:
        (object_id,) = site.record(MEDIA)
        (source,) = site.first.listing()
        site.first.delete(source.key)
        site.ask_for_copy(object_id)
        waits = []
        for _ in range(3):
            site.time_passes()
            start = site.store.now()
            site.copy()
            waits.append(_due(site) - start)
        assert waits[0] < waits[1] < waits[2]
        assert waits[2] > 6_000_000


def _leased(site: Site) -> list[Job]:
    site.time_passes()
    return site.store.repository.lease(COPY_INSTANCE, "test", 1, 60)


def _due(site: Site) -> int:
    with sqlite3.connect(site.settings.data_dir / "tams.db") as database:
        return int(database.execute("SELECT due FROM jobs").fetchone()[0])

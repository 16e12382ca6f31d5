"""`tams storage reconcile`: discrepancies between the database and the backends."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tams.commands import storage as storage_commands
from tams.domain.clock import MICROSECONDS
from tams.services.objects.missing_media import last_comparisons, segments_without_media
from tams.services.objects.reconciliation import Discrepancy, Reconciliation
from tams.storage.local.storage import LocalStorage
from tams.storage.port import Storage
from tams.storage.s3.storage import S3Storage
from tams.worker.deletion import collect_allocations
from tests.support.api_steps import make_flow, register
from tests.support.faulty_proxy import FaultyProxy
from tests.support.s3_endpoint import Endpoint
from tests.support.storage_site import A_DAY_LATER, FIRST, SECOND, STORE_ID, TYPE, Site, open_site, s3_backend

MEDIA = b"media" * 100


@pytest.fixture(scope="module", params=["s3", "local"])
def site(request: pytest.FixtureRequest, endpoint: Endpoint, tmp_path_factory: Any) -> Iterator[Site]:
    """Open a store whose first backend is of either kind; each test leaves it empty."""
    directory = tmp_path_factory.mktemp("reconcile")
    local = {"type": "local", "directory": directory / "media"}
    first = s3_backend(endpoint, prefix="media") if request.param == "s3" else local
    with open_site(directory / "site", first, s3_backend(endpoint)) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _empty(site: Site) -> Iterator[None]:
    yield
    for storage in site.store.storages.values():
        for item in storage.listing():
            storage.delete(item.key)
    for flow in site.client.get("/flows").json:
        site.client.delete(f"/flows/{flow['id']}")
    moment = site.store.now() + A_DAY_LATER
    collect_allocations(replace(site.store, now=lambda: moment))
    site.catch_up()


def put(storage: Storage, name: str = "unreferenced") -> str:
    """Store bytes that the database does not reference; return their key."""
    key = storage.new_key(name)
    storage.put(key, io.BytesIO(MEDIA), TYPE)
    return key


def discrepancies(site: Site, *, repair: bool = False, later: int = 0, page: int = 1000) -> list[Discrepancy]:
    """Return the discrepancies of the first backend, now or `later` seconds later."""
    moment = site.store.now() + later * MICROSECONDS
    store = replace(site.store, now=lambda: moment)
    return list(Reconciliation(store, site.first, repair=repair, page=page).discrepancies())


PAGES = pytest.mark.parametrize("page", [1, 2, 1000])


@PAGES
def test_a_consistent_store_has_no_discrepancies(site: Site, page: int) -> None:
    object_ids = site.record(*[MEDIA] * 5)
    site.allocate(make_flow(site.client), 3)
    site.ask_for_copy(object_ids[0])
    compared = Reconciliation(site.store, site.first, repair=True, page=page)
    assert list(compared.discrepancies()) == []
    assert (compared.stored, compared.named) == (5, 8)
    assert list(Reconciliation(site.store, site.second, repair=True).discrepancies()) == []


@PAGES
def test_orphaned_and_missing_bytes_are_told_apart(site: Site, page: int) -> None:
    object_ids = site.record(*[MEDIA] * 4)
    lost = site.first.listing()[1].key
    lost_object = _object_of(site, lost)
    site.first.delete(lost)
    orphans = sorted(put(site.first, "unreferenced") for _ in range(3))
    report = discrepancies(site, page=page)
    assert [(item.finding, item.key) for item in report if item.finding == "missing"] == [("missing", lost)]
    assert [item.object_id for item in report if item.finding == "missing"] == [lost_object]
    assert sorted(item.key for item in report if item.finding == "orphan") == orphans
    for item in report:
        if item.finding == "orphan":
            assert (item.size, item.deleted, item.problem) == (len(MEDIA), False, None)
            assert item.object_id in (None, "unreferenced")
    assert lost_object in object_ids
    # The search has changed nothing.
    assert sorted(discrepancies(site), key=str) == sorted(report, key=str)


def _object_of(site: Site, key: str) -> str:
    with site.store.repository.read() as read:
        return next(
            object_id
            for object_id, instance in read.instances_of(FIRST, after=None, limit=100).items
            if instance.storage_key == key
        )


def test_only_old_orphans_are_deleted(site: Site) -> None:
    (object_id,) = site.record(MEDIA)
    key = put(site.first)
    (orphan,) = discrepancies(site, repair=True)
    assert (orphan.key, orphan.deleted, orphan.problem) == (key, False, "not deleted: too young to be judged")
    assert site.first.head(key) is not None
    age = site.settings.min_object_timeout + site.settings.object_grace
    assert not discrepancies(site, repair=True, later=age - 10)[0].deleted
    (orphan,) = discrepancies(site, repair=True, later=age + 10)
    assert (orphan.key, orphan.deleted, orphan.problem) == (key, True, None)
    assert discrepancies(site) == []
    assert site.downloads(object_id) == {"first": MEDIA}


def test_a_repair_removes_records_of_local_media_that_are_gone(site: Site) -> None:
    if not isinstance(site.first, LocalStorage):
        assert site.first.tidy(-60) == 0
        return
    (kept,) = site.record(MEDIA)
    key = put(site.first)
    directory, _, name = key.partition("/")
    (media,) = (path for path in site.settings.data_dir.parents[1].rglob(name) if path.parent.name == directory)
    media.unlink()
    record = media.with_name(f"{name}.meta")
    assert discrepancies(site, repair=True) == []
    assert record.exists()
    os.utime(record, (1, 1))
    assert discrepancies(site) == []
    assert record.exists()
    assert discrepancies(site, repair=True) == []
    assert not record.exists()
    assert site.downloads(kept) == {"first": MEDIA}


def test_bytes_that_a_job_is_about_to_delete_are_no_orphans(site: Site) -> None:
    (object_id,) = site.record(MEDIA)
    site.delete_object(object_id)
    assert len(site.first.listing()) == 1
    assert discrepancies(site, repair=True, later=10**6) == []
    site.catch_up()
    assert discrepancies(site) == []


def test_a_copy_under_way_is_no_discrepancy(site: Site) -> None:
    (object_id,) = site.record(MEDIA)
    site.ask_for_copy(object_id)
    with site.store.repository.read() as read:
        ((_, target),) = read.instances_of(SECOND, after=None, limit=5).items
    second = Reconciliation(site.store, site.second, repair=True)
    assert list(second.discrepancies()) == []
    site.second.put(target.storage_key or "", io.BytesIO(MEDIA), TYPE)
    assert list(Reconciliation(site.store, site.second, repair=True).discrepancies()) == []


def test_bytes_uploaded_or_deleted_during_the_comparison_are_no_discrepancy(site: Site) -> None:
    """The pages of the backend and of the database are read at different moments."""
    (object_id,) = site.record(MEDIA)

    class Busy(type(site.first)):  # type: ignore[misc]
        """A backend on which clients write and delete between its page and the page of the database."""

        def listing(self, after: str | None = None, limit: int = 1000) -> Any:
            page = super().listing(after, limit)
            if after is None:
                site.record(MEDIA, MEDIA)
                site.delete_object(object_id)
                site.catch_up()
            return page

    busy = object.__new__(Busy)
    busy.__dict__.update(site.first.__dict__)
    assert list(Reconciliation(site.store, busy, repair=True).discrepancies()) == []


def test_other_stores_in_the_same_bucket_are_left_alone(site: Site, endpoint: Endpoint) -> None:
    assert isinstance(site.second, S3Storage)
    bucket = site.second.bucket.name
    for key in ("stranger", f"media/{STORE_ID[:-1]}0/000/{'0' * 29}.id.x"):
        endpoint.client.put_object(Bucket=bucket, Key=key, Body=b"theirs")
    assert list(Reconciliation(site.store, site.second, repair=True).discrepancies()) == []


def run(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as operators do."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TAMS_")}
    variables = {
        "ENVIRONMENT": "development",
        "TAMS_DATA_DIR": str(site.settings.data_dir),
        "TAMS_STORE_ID": STORE_ID,
        "TAMS_STORAGE_CONFIG": str(site.settings.storage_config),
    }
    return subprocess.run(
        [sys.executable, "-m", "tams.commands.main", "storage", "reconcile", *arguments],
        env=inherited | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class TestSegmentsWithoutMedia:
    """A client has registered before its upload, and never came back."""

    def test_they_are_counted_for_the_overview_and_listed_for_their_flow(self, site: Site) -> None:
        site.record(MEDIA)
        flow_id = make_flow(site.client)
        arrived, absent, _ = site.allocate(flow_id, 3)
        site.put(arrived, MEDIA)
        for second, item in enumerate((arrived, absent, absent)):
            timerange, offset = f"[{second}:0_{second + 1}:0)", f"{max(0, second - 1)}:0"
            register(site.client, flow_id, item["object_id"], timerange, ts_offset=offset)
        register(site.client, flow_id, "theirs", "[9:0_10:0)", get_urls=[{"url": "https://x.example/", "label": "x"}])

        process = run(site, "first")
        assert process.returncode == 1
        assert f"object {absent['object_id']}, 2 segments without media" in process.stdout
        assert process.stdout.endswith("1 missing, 2 segments without media\n")
        comparison = last_comparisons(site.store)[0]
        assert (comparison.storage_id, comparison.missing, comparison.segments) == (FIRST, 1, 2)
        assert 0 <= site.store.now() - comparison.finished < 120 * MICROSECONDS

        process = run(site, "--flow", flow_id, "--json")
        assert process.returncode == 1
        assert [json.loads(line) for line in process.stdout.splitlines()] == [
            *(
                {
                    "finding": "segment",
                    "flow_id": flow_id,
                    "timerange": f"[{second}:0_{second + 1}:0)",
                    "object_ids": [absent["object_id"]],
                }
                for second in (1, 2)
            ),
            {"finding": "summary", "flow_id": flow_id, "segments": 2},
        ]

        site.put(absent, MEDIA)
        process = run(site, "--flow", flow_id)
        assert (process.returncode, process.stdout) == (0, f"  Flow {flow_id}: 0 segments without media\n")
        assert run(site).returncode == 0
        assert {item.storage_id: item.segments for item in last_comparisons(site.store)} == {FIRST: 0, SECOND: 0}

    def test_a_missing_initialisation_object_leaves_its_segments_without_media(self, site: Site) -> None:
        flow_id = make_flow(site.client, essence_parameters={"init_segments": True})
        media, init = site.allocate(flow_id, 2)
        site.put(media, MEDIA)
        register(site.client, flow_id, media["object_id"], "[0:0_1:0)", init_object_id=init["object_id"])
        (item,) = segments_without_media(site.store, flow_id)
        assert item.object_ids == (init["object_id"],)
        (discrepancy,) = discrepancies(site)
        assert (discrepancy.object_id, discrepancy.segments) == (init["object_id"], 1)

    def test_media_in_another_backend_count(self, site: Site) -> None:
        (object_id,) = site.record(MEDIA)
        site.ask_for_copy(object_id)
        site.catch_up()
        (first,) = site.first.listing()
        site.first.delete(first.key)
        (discrepancy,) = discrepancies(site)
        assert (discrepancy.finding, discrepancy.segments) == ("missing", 0)
        (second,) = site.second.listing()
        site.second.delete(second.key)
        both = [*discrepancies(site), *Reconciliation(site.store, site.second, repair=False).discrepancies()]
        assert [item.segments for item in both] == [1, 0]

    def test_an_unknown_flow_is_refused(self, site: Site) -> None:
        process = run(site, "--flow", FIRST)
        assert process.returncode == 2
        assert f"There is no Flow {FIRST}" in process.stderr
        assert run(site, "--flow", FIRST, "--repair").returncode == 2


class TestTheCommand:
    def test_prints_a_report_and_exits_with_1_if_there_is_a_discrepancy(self, site: Site) -> None:
        site.record(MEDIA)
        clean = run(site)
        assert (clean.returncode, clean.stderr) == (0, "")
        assert clean.stdout.splitlines() == [
            f"first ({FIRST})",
            "  1 keys with bytes, 1 instances: 0 orphaned (0 deleted), 0 missing, 0 segments without media",
            f"second ({SECOND})",
            "  0 keys with bytes, 0 instances: 0 orphaned (0 deleted), 0 missing, 0 segments without media",
        ]
        key = put(site.first)
        process = run(site, "--repair", "first")
        assert process.returncode == 1
        assert process.stdout.splitlines()[1].startswith(f"  orphan  {key}, ")
        assert process.stdout.splitlines()[1].endswith("not deleted: too young to be judged")
        totals = "2 keys with bytes, 1 instances: 1 orphaned (0 deleted), 0 missing, 0 segments without media"
        assert process.stdout.splitlines()[2] == f"  {totals}"

    def test_prints_json(self, site: Site) -> None:
        (object_id,) = site.record(MEDIA)
        (lost,) = site.first.listing()
        site.first.delete(lost.key)
        process = run(site, "--json", FIRST)
        assert process.returncode == 1
        backend = {"storage_id": FIRST, "label": "first"}
        assert [json.loads(line) for line in process.stdout.splitlines()] == [
            {
                **backend,
                "finding": "missing",
                "key": lost.key,
                "object_id": object_id,
                "size": None,
                "modified": None,
                "deleted": False,
                "problem": None,
                "segments": 1,
            },
            {
                **backend,
                "finding": "summary",
                "stored": 0,
                "instances": 1,
                "orphan": 0,
                "missing": 1,
                "deleted": 0,
                "segments": 1,
            },
        ]

    def test_refuses_an_unknown_backend(self, site: Site) -> None:
        process = run(site, "elsewhere")
        assert process.returncode == 2
        assert "There is no storage backend elsewhere" in process.stderr


@pytest.mark.parametrize("as_json", [False, True])
def test_a_backend_that_does_not_answer_is_an_error_and_not_a_discrepancy(
    endpoint: Endpoint, proxy: FaultyProxy, tmp_path: Path, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    impatient = s3_backend(endpoint, endpoint=proxy.url, connect_timeout=1, read_timeout=1, attempts=1)
    with open_site(tmp_path / "site", impatient, s3_backend(endpoint)) as site:
        site.record(MEDIA)
        (lost,) = site.first.listing()
        site.first.delete(lost.key)
        for step in ("list", "head_object"):
            with proxy.failing(step, "500"):
                assert storage_commands.reconcile(site.settings, [], repair=True, as_json=as_json) == 2
            out = capsys.readouterr().out
            assert f"S3 refused {step.replace('list', 'list_objects_v2')}" in out
            assert "missing  " not in out
            assert '"finding":"missing"' not in out
            assert "second" in out
            assert ("summary" if as_json else "0 missing") in out

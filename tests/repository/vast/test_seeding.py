"""Seeding: Segments created in bulk are like registered ones."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tams.commands.development import seed
from tams.config import Settings
from tams.domain.errors import IntegrityBroken, NotFound
from tams.domain.timerange import ETERNITY
from tams.repository.vast import seeding
from tams.repository.vast.scan import density
from tams.repository.vast.tables import FLOWS, LOCKS
from tests.support import factories
from tests.support.factories import STORAGE, seconds
from tests.support.repository_steps import environment_of, fill, new_flow, read, stored, write
from tests.support.vast_clusters import address_of, opened, url_of
from tests.support.vast_invariants import check, rows_of

pytestmark = pytest.mark.vast


def test_segments_are_added_after_the_existing_ones() -> None:
    with opened() as (emulator, repository):
        address = address_of(url_of(emulator.endpoint))
        flow, empty = new_flow(repository), new_flow(repository)
        fill(repository, flow, [seconds(0, 3)])
        assert list(seeding.add_segments(address, [flow.id, empty.id], 2, STORAGE, now=10)) == [4]
        assert list(seeding.add_segments(address, [flow.id], 1, STORAGE, now=10)) == [1]
        check(emulator)
        assert [str(segment.timerange) for segment in stored(repository, flow)] == [
            "[0:0_3:0)",
            "[3:0_4:0)",
            "[4:0_5:0)",
            "[5:0_6:0)",
        ]
        changed = read(repository, lambda snapshot: snapshot.flow(flow.id))
        assert changed is not None
        assert changed.segments_updated is not None
        assert changed.segments_updated > flow.metadata_updated
        with repository.read() as snapshot:
            objects = snapshot.objects([segment.object_id for segment in stored(repository, empty)])
        assert sorted((media.kind, str(media.timerange)) for media in objects.values()) == [
            ("media", "[0:0_1:0)"),
            ("media", "[1:0_2:0)"),
        ]
        # Registration continues after them.
        fill(repository, empty, [seconds(2, 3)])
        check(emulator)


def test_requests_are_few_and_bounded_and_the_histogram_is_right() -> None:
    with opened() as (emulator, repository):
        flow = new_flow(repository)
        with emulator.counting() as counts:
            added = list(
                seeding.add_segments(address_of(url_of(emulator.endpoint)), [flow.id], 12_000, STORAGE, now=10)
            )
        assert added == [5000, 5000, 2000]
        # The emulator refuses requests above its limits. A transaction takes about twenty requests.
        assert counts.total < 100
        assert counts.rows_written < 3 * 12_000 + 100
        check(emulator)
        (row,) = rows_of(emulator, FLOWS)
        histogram = density.parse(row["sketch"])
        assert (histogram[0].start, histogram[-1].end, sum(bucket.segments for bucket in histogram)) == (
            0,
            12_000 * 10**9,
            12_000,
        )
        assert len(rows_of(emulator, LOCKS)) < 50


def test_the_flow_must_exist_and_objects_are_not_created_twice() -> None:
    with opened() as (emulator, repository):
        address = address_of(url_of(emulator.endpoint))
        with pytest.raises(NotFound):
            list(seeding.add_segments(address, [factories.uuid()], 1, STORAGE, now=10))
        flow = new_flow(repository)
        list(seeding.add_segments(address, [flow.id], 2, STORAGE, now=10))
        segments = stored(repository, flow)
        write(repository, lambda tx: tx.remove_segments(flow.flow_key, segments, at=99))
        with pytest.raises(IntegrityBroken):
            list(seeding.add_segments(address, [flow.id], 2, STORAGE, now=100))
        assert stored(repository, flow) == []


def test_the_command_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with opened() as (emulator, repository):
        settings = Settings.from_env(
            environment_of(url_of(emulator.endpoint)), environment="development", data_dir=tmp_path
        )
        assert seed(settings, flows=3, segments=4, flow_id=None, number=1) == 0
        assert f"{emulator.endpoint}/vastdb/tams: 3 Flows, 4 Segments each" in capsys.readouterr().out
        check(emulator)
        flows = rows_of(emulator, FLOWS)
        assert sorted(orjson.loads(row["document"])["label"] for row in flows) == [f"Seeded {n:06d}" for n in range(3)]
        assert {row["segment_count"] for row in flows} == {4}
        with repository.read() as snapshot:
            assert {str(snapshot.extent(row["key"], ETERNITY)) for row in flows} == {"[0:0_4:0)"}

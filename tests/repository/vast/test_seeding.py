"""Segments that are made in bulk: they are as if they had been registered."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tams.commands.seed import seed
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


def test_segments_are_added_behind_those_that_are_there() -> None:
    with opened() as (emulator, repository):
        address = address_of(url_of(emulator.endpoint))
        flow, empty = new_flow(repository), new_flow(repository)
        fill(repository, flow, [seconds(0, 3)])
        assert list(seeding.add_segments(address, [flow.id, empty.id], 2, STORAGE, now=10)) == [4]
        assert list(seeding.add_segments(address, [flow.id], 1, STORAGE, now=10)) == [1]
        check(emulator)
        assert [str(each.timerange) for each in stored(repository, flow)] == [
            "[0:0_3:0)",
            "[3:0_4:0)",
            "[4:0_5:0)",
            "[5:0_6:0)",
        ]
        found = read(repository, lambda snapshot: snapshot.flow(flow.id))
        assert found is not None
        assert found.segments_updated is not None
        assert found.segments_updated > flow.metadata_updated
        with repository.read() as snapshot:
            objects = snapshot.objects([each.object_id for each in stored(repository, empty)])
        assert sorted((made.kind, str(made.timerange)) for made in objects.values()) == [
            ("media", "[0:0_1:0)"),
            ("media", "[1:0_2:0)"),
        ]
        # Registering goes on behind them.
        fill(repository, empty, [seconds(2, 3)])
        check(emulator)


def test_requests_are_few_and_bounded_and_the_sketch_is_right() -> None:
    with opened() as (emulator, repository):
        flow = new_flow(repository)
        with emulator.counting() as counts:
            added = list(
                seeding.add_segments(address_of(url_of(emulator.endpoint)), [flow.id], 12_000, STORAGE, now=10)
            )
        assert added == [5000, 5000, 2000]
        # Limits are the emulator's: no request of it was refused. A transaction is about twenty of them.
        assert counts.total < 100
        assert counts.rows_written < 3 * 12_000 + 100
        check(emulator)
        (row,) = rows_of(emulator, FLOWS)
        hint = density.parse(row["sketch"])
        assert (hint[0].start, hint[-1].end, sum(each.segments for each in hint)) == (0, 12_000 * 10**9, 12_000)
        assert len(rows_of(emulator, LOCKS)) < 50


def test_there_has_to_be_such_a_flow_and_objects_are_not_made_twice() -> None:
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

"""Sources: a Source is read as it was stored, and stays as long as it has Flows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tams.domain.errors import IntegrityBroken
from tams.repository.port import Repository
from tests.support import factories
from tests.support.repository_steps import new_flow, put_sources, read, write


def test_a_source_is_read_as_it_was_stored(repository: Repository) -> None:
    collector = factories.source()
    source = factories.source(
        label="Studio",
        description="A \U0001f3ac",
        tags={"a": ["1"], "b": "2"},
        created=1,
        updated=2,
        implicit=True,
        collection=({"id": factories.uuid(), "role": "video"},),
        collected_by=(collector.id,),
    )
    put_sources(repository, collector, source)
    assert read(repository, lambda snapshot: snapshot.source(source.id)) == source


def test_an_unknown_source_is_none(repository: Repository) -> None:
    assert read(repository, lambda snapshot: snapshot.source(factories.uuid())) is None


def test_sources_by_id_are_those_that_exist(repository: Repository) -> None:
    source = factories.source()
    put_sources(repository, source)
    assert read(repository, lambda snapshot: snapshot.sources_by_id([source.id, factories.uuid()])) == {
        source.id: source
    }


def test_putting_a_source_again_replaces_it(repository: Repository) -> None:
    source = factories.source(label="before", tags={"a": "1"})
    put_sources(repository, source)
    changed = replace(source, metadata={"id": source.id, "format": factories.VIDEO}, updated=9, implicit=True)
    put_sources(repository, changed)
    assert read(repository, lambda snapshot: snapshot.source(source.id)) == changed


def test_a_source_with_flows_is_not_deleted(repository: Repository) -> None:
    flow = new_flow(repository)
    with pytest.raises(IntegrityBroken):
        write(repository, lambda tx: tx.delete_source(flow.source_id))
    write(repository, lambda tx: tx.delete_flow(flow.id))
    write(repository, lambda tx: tx.delete_source(flow.source_id))
    assert read(repository, lambda snapshot: snapshot.source(flow.source_id)) is None


def test_flows_of_a_source_are_counted_up_to_a_cap(repository: Repository) -> None:
    flow = new_flow(repository)
    for _ in range(4):
        write(repository, lambda tx: tx.put_flow(factories.flow(source_id=flow.source_id)))
    with repository.read() as snapshot:
        assert snapshot.count_up_to("flows of source", flow.source_id, 10) == 5
        assert snapshot.count_up_to("flows of source", flow.source_id, 3) == 3
        assert snapshot.count_up_to("flows of source", factories.uuid(), 3) == 0

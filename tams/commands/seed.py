"""`tams dev seed`: archives of any size to try things out on. The same number makes the same Flows."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from tams.adapters import add_seed_segments
from tams.app import opened_store
from tams.domain.flows import Flow, Source
from tams.domain.identifiers import new_id, new_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tams.config import Settings
    from tams.repository.port import Key, Write
    from tams.services.store import Store

_FLOWS_AT_ONCE = 200
_FORMAT = "urn:x-nmos:format:video"
_PLACES = ("Cardiff", "Glasgow", "London", "Salford")


def seed(settings: Settings, flows: int, segments: int, flow_id: str | None, number: int) -> int:
    """Make `flows` Flows, each with so many Segments, or give these to the one Flow; the exit code."""
    # Nothing of it is a secret: the same number makes the same ids.
    source = random.Random(number)  # noqa: S311
    with opened_store(settings) as store:
        made = [_flow(source, position, flow_id, store.now()) for position in range(flows)]
        _put(store, made)
        if segments:
            storage_id = store.storage(None).backend.id
            with click.progressbar(length=len(made) * segments, label="Segments") as bar:
                flow_ids = [flow.id for flow in made]
                for added in add_seed_segments(settings, flow_ids, segments, storage_id, store.now()):
                    bar.update(added)
    named = made[0].id if len(made) == 1 else f"{len(made)} Flows"
    click.echo(f"{settings.shown_database_url()}: {named}, {segments} Segments each, without bytes.")
    return 0


def _flow(source: random.Random, position: int, flow_id: str | None, now: int) -> Flow:
    made_id, source_id = (str(UUID(int=source.getrandbits(128), version=4)) for _ in range(2))
    document: dict[str, Any] = {
        "id": flow_id or made_id,
        "source_id": source_id,
        "label": f"Seeded {position:06d}",
        "format": _FORMAT,
        "codec": "video/h264",
        "container": "video/mp2t",
        "generation": 0,
        "segment_duration": {"numerator": 1, "denominator": 1},
        "tags": {"place": source.choice(_PLACES), "seeded": "yes"},
        "essence_parameters": {
            "frame_rate": {"numerator": 25, "denominator": 1},
            "frame_width": 1920,
            "frame_height": 1080,
        },
    }
    at = now + position
    return Flow(document["id"], new_key(), source_id, document, created=at, metadata_updated=at)


def _source(flow: Flow) -> Source:
    document = {"id": flow.source_id, "format": _FORMAT, "label": flow.metadata["label"], "tags": {}}
    return Source(flow.source_id, document, created=flow.created, updated=flow.created, implicit=True)


def _put(store: Store, flows: Sequence[Flow]) -> None:
    """Store those of the Flows that are not there, with their Sources."""
    for batch in _batches(flows):

        def transact(tx: Write, batch: Sequence[Flow] = batch) -> None:
            flow_keys: list[Key] = [("flow", flow.id) for flow in batch]
            source_keys: list[Key] = [("source", flow.source_id) for flow in batch]
            tx.claim(*flow_keys, *source_keys)
            there = tx.flows_by_id([flow.id for flow in batch])
            for flow in batch:
                if flow.id not in there:
                    tx.put_source(_source(flow))
                    tx.put_flow(flow)

        store.repository.write(new_id(), transact)


def _batches(flows: Sequence[Flow]) -> Iterator[Sequence[Flow]]:
    for first in range(0, len(flows), _FLOWS_AT_ONCE):
        yield flows[first : first + _FLOWS_AT_ONCE]

"""`tams dev`: a demonstration, and archives of any size, to try the store with."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from tams import adapters
from tams.app import opened_store
from tams.commands import options
from tams.commands.new_database import upgrade_database
from tams.commands.startup import start
from tams.domain.flows import Flow, Source
from tams.domain.identifiers import is_uuid, new_id, new_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tams.config import Settings
    from tams.repository.port import Key, Write
    from tams.services.store import Store

_BATCH = 200
_FORMAT = "urn:x-nmos:format:video"
_PLACES = ("Cardiff", "Glasgow", "London", "Salford")


@click.group()
def dev() -> None:
    """Create data to try the store with."""


@dev.command("seed")
@options.data_dir
@click.option("--flows", type=click.IntRange(1), default=1, show_default=True, help="Number of Flows.")
@click.option("--segments", type=click.IntRange(0), default=0, show_default=True, help="Number of Segments per Flow.")
@click.option("--flow", "flow_id", metavar="ID", help="Add the Segments to this Flow; create it if it does not exist.")
@click.option("--seed", "number", type=int, default=1, show_default=True, help="The same number gives the same Flows.")
def seed_command(data_dir: Path | None, flows: int, segments: int, flow_id: str | None, number: int) -> None:
    """Create an archive of any size, quickly.

    The Segments last a second each and follow the last one of their Flow. Their Objects have no bytes, so their URLs
    answer 404. Brings the database up to date first. Not for an archive in use: no events are sent.
    """
    if flow_id is not None and (flows != 1 or not is_uuid(flow_id)):
        raise click.UsageError("--flow takes the UUID of one Flow, and no --flows.")
    settings = start(data_dir=data_dir)
    upgrade_database(settings)
    sys.exit(seed(settings, flows, segments, flow_id, number))


@dev.command("demo")
@options.data_dir
def demo_command(data_dir: Path | None) -> None:
    """Add a minute of test picture and tone, to have something to look at.

    Six Flows of three Sources: a transport stream and fragmented MP4, with real media in the default storage backend.
    Safe to repeat: adds what is missing. Brings the database up to date first.
    """
    from tams.commands.demo import demo

    settings = start(data_dir=data_dir)
    upgrade_database(settings)
    sys.exit(demo(settings))


def seed(settings: Settings, flows: int, segments: int, flow_id: str | None, number: int) -> int:
    """Create `flows` Flows with `segments` Segments each, or add these to the Flow `flow_id`; return the exit code.

    The same `number` gives the same Flows.
    """
    # The numbers are no secrets, and they have to repeat.
    generator = random.Random(number)  # noqa: S311
    with opened_store(settings) as store:
        seeded = [_flow(generator, position, flow_id, store.now()) for position in range(flows)]
        _put(store, seeded)
        if segments:
            storage_id = store.storage(None).backend.id
            with click.progressbar(length=len(seeded) * segments, label="Segments") as bar:
                flow_ids = [flow.id for flow in seeded]
                for added in adapters.add_seed_segments(settings, flow_ids, segments, storage_id, store.now()):
                    bar.update(added)
    name = seeded[0].id if len(seeded) == 1 else f"{len(seeded)} Flows"
    click.echo(f"{settings.shown_database_url()}: {name}, {segments} Segments each, without bytes.")
    return 0


def _flow(generator: random.Random, position: int, flow_id: str | None, now: int) -> Flow:
    random_id, source_id = (str(UUID(int=generator.getrandbits(128), version=4)) for _ in range(2))
    metadata: dict[str, Any] = {
        "id": flow_id or random_id,
        "source_id": source_id,
        "label": f"Seeded {position:06d}",
        "format": _FORMAT,
        "codec": "video/h264",
        "container": "video/mp2t",
        "generation": 0,
        "segment_duration": {"numerator": 1, "denominator": 1},
        "tags": {"place": generator.choice(_PLACES), "seeded": "yes"},
        "essence_parameters": {
            "frame_rate": {"numerator": 25, "denominator": 1},
            "frame_width": 1920,
            "frame_height": 1080,
        },
    }
    created = now + position
    return Flow(metadata["id"], new_key(), source_id, metadata, created=created, metadata_updated=created)


def _source(flow: Flow) -> Source:
    metadata = {"id": flow.source_id, "format": _FORMAT, "label": flow.metadata["label"], "tags": {}}
    return Source(flow.source_id, metadata, created=flow.created, updated=flow.created, implicit=True)


def _put(store: Store, flows: Sequence[Flow]) -> None:
    """Store the Flows that do not exist yet, with their Sources."""
    for batch in _batches(flows):

        def transact(tx: Write, batch: Sequence[Flow] = batch) -> None:
            flow_keys: list[Key] = [("flow", flow.id) for flow in batch]
            source_keys: list[Key] = [("source", flow.source_id) for flow in batch]
            tx.claim(*flow_keys, *source_keys)
            existing = tx.flows_by_id([flow.id for flow in batch])
            for flow in batch:
                if flow.id not in existing:
                    tx.put_source(_source(flow))
                    tx.put_flow(flow)

        store.repository.write(new_id(), transact)


def _batches(flows: Sequence[Flow]) -> Iterator[Sequence[Flow]]:
    for first in range(0, len(flows), _BATCH):
        yield flows[first : first + _BATCH]

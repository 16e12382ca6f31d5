"""Assigning classes to media that have none, in an archive that is older than its classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tams.domain.access import AUTH_CLASSES, document_classes
from tams.domain.filters import FlowFilter, SourceFilter
from tams.domain.flows import Flow, Metadata, Source
from tams.domain.identifiers import new_id
from tams.domain.limits import check_document_size
from tams.repository.port import Cursor, Page, Write, pages
from tams.services.outbox import Outbox
from tams.services.store import Store

_BATCH: Final = 100
_UPDATED_BY: Final = "tams classes assign"


@dataclass(frozen=True, slots=True)
class Step:
    """The result of a batch: how many Sources or Flows it read, and how many of them had no class."""

    looked_at: int
    changed: int


def classify(store: Store, names: Sequence[str], *, dry_run: bool = False) -> Iterator[Step]:
    """Give the classes to every Source and Flow that has none, one batch per transaction; yield the result of each.

    With `dry_run`, only count them.
    """

    def list_sources(after: Cursor | None) -> Page[Source]:
        with store.repository.read() as read:
            return read.list_sources(SourceFilter(), order="created", reverse=True, after=after, limit=_BATCH)

    def list_flows(after: Cursor | None) -> Page[Flow]:
        with store.repository.read() as read:
            return read.list_flows(FlowFilter(), order="created", reverse=True, after=after, limit=_BATCH)

    for sources in pages(list_sources):
        unclassified = [source.id for source in sources if not document_classes(source.metadata)]
        yield Step(len(sources), len(unclassified) if dry_run else _classify_sources(store, unclassified, names))
    for flows in pages(list_flows):
        unclassified = [flow.id for flow in flows if not document_classes(flow.metadata)]
        yield Step(len(flows), len(unclassified) if dry_run else _classify_flows(store, unclassified, names))


def _classify_sources(store: Store, source_ids: Sequence[str], names: Sequence[str]) -> int:
    def transact(tx: Write) -> int:
        tx.claim(*(("source", source_id) for source_id in source_ids))
        outbox = Outbox(tx)
        changed = 0
        for source in tx.sources_by_id(source_ids).values():
            if document_classes(source.metadata):
                continue
            metadata = _classified(source.metadata, names)
            classified = replace(source, metadata=metadata, updated=source.next_change(store.now()))
            tx.put_source(classified)
            outbox.source_updated(classified)
            changed += 1
        return changed

    return store.write(transact) if source_ids else 0


def _classify_flows(store: Store, flow_ids: Sequence[str], names: Sequence[str]) -> int:
    versions = {flow_id: new_id() for flow_id in flow_ids}

    def transact(tx: Write) -> int:
        tx.claim(*(("flow", flow_id) for flow_id in flow_ids))
        outbox = Outbox(tx)
        changed = 0
        for flow in tx.flows_by_id(flow_ids).values():
            if document_classes(flow.metadata):
                continue
            metadata = {**_classified(flow.metadata, names), "metadata_version": versions[flow.id]}
            classified = replace(flow, metadata=metadata, metadata_updated=flow.next_change(store.now()))
            tx.put_flow(classified)
            outbox.flow_updated(classified)
            changed += 1
        return changed

    return store.write(transact) if flow_ids else 0


def _classified(metadata: Metadata, names: Sequence[str]) -> Metadata:
    tags = {**metadata.get("tags", {}), AUTH_CLASSES: list(names)}
    classified = {**metadata, "tags": tags, "updated_by": _UPDATED_BY}
    check_document_size(classified)
    return classified

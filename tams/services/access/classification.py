"""Giving classes to media that have none, in an archive that is older than its classes."""

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
_BY: Final = "tams classes assign"


@dataclass(frozen=True, slots=True)
class Step:
    """One batch: how many Sources or Flows it looked at, and how many of them had no class."""

    looked_at: int
    changed: int


def classify(store: Store, names: Sequence[str], *, dry_run: bool = False) -> Iterator[Step]:
    """Give the classes to every Source and every Flow without any, batch by batch, a transaction for each; with
    `dry_run` only find them."""

    def list_sources(after: Cursor | None) -> Page[Source]:
        with store.repository.read() as read:
            return read.list_sources(SourceFilter(), order="created", reverse=True, after=after, limit=_BATCH)

    def list_flows(after: Cursor | None) -> Page[Flow]:
        with store.repository.read() as read:
            return read.list_flows(FlowFilter(), order="created", reverse=True, after=after, limit=_BATCH)

    for sources in pages(list_sources):
        bare = [source.id for source in sources if not document_classes(source.metadata)]
        yield Step(len(sources), len(bare) if dry_run else _classify_sources(store, bare, names))
    for flows in pages(list_flows):
        bare = [flow.id for flow in flows if not document_classes(flow.metadata)]
        yield Step(len(flows), len(bare) if dry_run else _classify_flows(store, bare, names))


def _classify_sources(store: Store, source_ids: Sequence[str], names: Sequence[str]) -> int:
    def transact(tx: Write) -> int:
        tx.claim(*(("source", source_id) for source_id in source_ids))
        outbox = Outbox(tx)
        changed = 0
        for source in tx.sources_by_id(source_ids).values():
            if document_classes(source.metadata):
                continue
            document = _classified(source.metadata, names)
            now_classified = replace(source, metadata=document, updated=source.next_change(store.now()))
            tx.put_source(now_classified)
            outbox.source_updated(now_classified)
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
            document = {**_classified(flow.metadata, names), "metadata_version": versions[flow.id]}
            now_classified = replace(flow, metadata=document, metadata_updated=flow.next_change(store.now()))
            tx.put_flow(now_classified)
            outbox.flow_updated(now_classified)
            changed += 1
        return changed

    return store.write(transact) if flow_ids else 0


def _classified(document: Metadata, names: Sequence[str]) -> Metadata:
    changed = {**document, "tags": {**document.get("tags", {}), AUTH_CLASSES: list(names)}, "updated_by": _BY}
    check_document_size(changed)
    return changed

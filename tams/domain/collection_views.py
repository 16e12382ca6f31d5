"""Collections of which a reader may see only a part: hiding the other members, and keeping them when it is rewritten.

In every function `readable` holds the ids of the Flows or Sources that the reader may read.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from tams.domain.flows import Flow, Metadata, Source

_COLLECTIONS: Final = ("flow_collection", "source_collection")


def visible_flow(flow: Flow, readable: Collection[str]) -> Flow:
    """Return the Flow with only the readable Flows among those that it collects and is collected by."""
    metadata = _visible_collection(flow.metadata, "flow_collection", readable)
    collected_by = tuple(flow_id for flow_id in flow.collected_by if flow_id in readable)
    if metadata is flow.metadata and len(collected_by) == len(flow.collected_by):
        return flow
    return replace(flow, metadata=metadata, collected_by=collected_by)


def visible_source(source: Source, readable: Collection[str]) -> Source:
    """Return the Source with only the readable Sources among those that it collects and is collected by."""
    return replace(
        source,
        collection=tuple(item for item in source.collection if item["id"] in readable),
        collected_by=tuple(source_id for source_id in source.collected_by if source_id in readable),
    )


def visible_json(resource: Metadata, readable: Collection[str]) -> Metadata:
    """Return a Flow or Source in its JSON form with only the readable ids of its collection and its collectors."""
    for name in _COLLECTIONS:
        resource = _visible_collection(resource, name, readable)
    if "collected_by" in resource:
        collectors = [resource_id for resource_id in resource["collected_by"] if resource_id in readable]
        rest = {name: value for name, value in resource.items() if name != "collected_by"}
        resource = {**rest, "collected_by": collectors} if collectors else rest
    return resource


def related_flow_ids(flow: Flow) -> set[str]:
    """Return the ids of the Flows that a Flow collects and is collected by."""
    return {item["id"] for item in flow.metadata.get("flow_collection", ())} | set(flow.collected_by)


def related_source_ids(source: Source) -> set[str]:
    """Return the ids of the Sources that a Source collects and is collected by."""
    return {item["id"] for item in source.collection} | set(source.collected_by)


def related_ids(resource: Metadata) -> set[str]:
    """Return the ids that a Flow or Source in its JSON form collects and is collected by."""
    members = {item["id"] for name in _COLLECTIONS for item in resource.get(name, ())}
    return members | set(resource.get("collected_by", ()))


def with_hidden_members(
    members: list[Metadata], stored: Collection[Metadata], readable: Collection[str]
) -> list[Metadata]:
    """Return the new collection, `members`, with the stored members that its writer cannot see put back in.

    Each hidden member stays behind the member that it stood behind. If that member is removed, the hidden one moves
    behind the nearest earlier member that stays.
    """
    member_ids = {item["id"] for item in members}
    behind: dict[str | None, list[Metadata]] = {}
    anchor: str | None = None
    for item in stored:
        if item["id"] not in readable:
            behind.setdefault(anchor, []).append(item)
        elif item["id"] in member_ids:
            anchor = item["id"]
    merged = behind.pop(None, [])
    for item in members:
        merged.append(item)
        merged += behind.pop(item["id"], [])
    return merged


def _visible_collection(document: Metadata, name: str, readable: Collection[str]) -> Metadata:
    """Return the document with the readable items of one collection, or without the collection if none is readable.

    So a collection of hidden members looks like no collection.
    """
    collection = document.get(name)
    if not collection:
        return document
    visible = [item for item in collection if item["id"] in readable]
    if len(visible) == len(collection):
        return document
    rest = {property_name: value for property_name, value in document.items() if property_name != name}
    return {**rest, name: visible} if visible else rest

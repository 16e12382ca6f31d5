"""Flow collections, and the collections of Sources that follow from them.

A Flow lists its members in `flow_collection`. A Source collects the Sources of its Flows' members: the union over all
its Flows, in an order and with roles that none of them contradicts (specification, `source.json` and `PUT
/flows/{flowId}`: "role or ordering in source_collection and flow_collection not matching").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import NamedTuple

from tams.domain.flows import Metadata


class Member(NamedTuple):
    """A collected Source, and the role that one Flow gives it."""

    source_id: str
    role: str | None


class Disagreement(NamedTuple):
    """A contradiction between Flows of a Source: a sentence for the client, and the Sources that it names."""

    sentence: str
    source_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SourceCollection:
    """A Source's collection, as items of `collection-item.json`, and the contradictions between its Flows."""

    items: tuple[Metadata, ...]
    disagreements: tuple[Disagreement, ...]


def member_ids(metadata: Metadata) -> tuple[str, ...]:
    """Return the ids of the Flows that a Flow collects, each once, in its order."""
    return tuple(dict.fromkeys(item["id"] for item in metadata.get("flow_collection", ())))


def without(metadata: Metadata, flow_id: str) -> Metadata:
    """Return the Flow's metadata with one member removed from its collection."""
    return {**metadata, "flow_collection": [item for item in metadata["flow_collection"] if item["id"] != flow_id]}


def derive(collections: Sequence[Sequence[Member]]) -> SourceCollection:
    """Return the union of the collections of a Source's Flows, which are given in order of age, the oldest first.

    If a Flow orders two Sources, the union keeps that order. If the Flows leave it open, the older Flow's members come
    first. A Source that one Flow collects twice (two qualities of it, for example) has the place of its first
    occurrence. A Flow that gives no role does not contradict one that does.
    """
    orders = [list(dict.fromkeys(member.source_id for member in members)) for members in collections]
    roles, disagreements = _roles(member for members in collections for member in members)
    merged, contradictory = _merge(orders)
    if contradictory:
        sentence = f"the order of {' and '.join(contradictory)} differs between Flows of the Source"
        disagreements.append(Disagreement(sentence, tuple(contradictory)))
    items = tuple(
        {"id": source_id, "role": roles[source_id]} if source_id in roles else {"id": source_id} for source_id in merged
    )
    return SourceCollection(items, tuple(disagreements))


def _roles(members: Iterable[Member]) -> tuple[dict[str, str], list[Disagreement]]:
    roles: dict[str, str] = {}
    disagreements: list[Disagreement] = []
    for source_id, role in members:
        if role is not None and roles.setdefault(source_id, role) != role:
            sentence = f'the role of Source {source_id} is "{roles[source_id]}" and cannot be "{role}" too'
            disagreements.append(Disagreement(sentence, (source_id,)))
    return roles, disagreements


def _merge(orders: Sequence[Sequence[str]]) -> tuple[list[str], list[str]]:
    """Return one order that keeps each of `orders`; where they leave it open, the first occurrence decides.

    If there is no such order, the earlier orders win, and the second list names two items that stand the other way
    round.
    """
    rank: dict[str, int] = {}
    successors: dict[str, set[str]] = {}
    for order in orders:
        for item in order:
            rank.setdefault(item, len(rank))
            successors.setdefault(item, set())
        for first, second in pairwise(order):
            successors[first].add(second)
    waiting_for = dict.fromkeys(rank, 0)
    for followers in successors.values():
        for item in followers:
            waiting_for[item] += 1
    names = list(rank)
    ready = [rank[item] for item in names if waiting_for[item] == 0]
    heapify(ready)
    merged: dict[str, None] = {}
    contradictory: list[str] = []
    while len(merged) < len(names):
        if ready:
            item = names[heappop(ready)]
        else:
            item = next(name for name in names if name not in merged)
            if not contradictory:
                earlier = next(name for name in names if name not in merged and item in successors[name])
                contradictory = [item, earlier]
        if item in merged:
            continue
        merged[item] = None
        for follower in successors[item]:
            waiting_for[follower] -= 1
            if waiting_for[follower] == 0 and follower not in merged:
                heappush(ready, rank[follower])
    return list(merged), contradictory

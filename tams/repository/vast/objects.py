"""Objects, their instances, and what refers to them. References are the rows themselves: nothing is counted."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import orjson
from typing_extensions import override

from tams.domain.filters import NO_TAGS, TagFilter
from tams.domain.objects import Instance, Object
from tams.domain.timerange import TimeRange
from tams.repository.index import allocation_cursor, parse_allocation_cursor, tag_filter
from tams.repository.port import Counted, Cursor, Page
from tams.repository.vast.base import ReadPart, WritePart
from tams.repository.vast.facets import facet_terms
from tams.repository.vast.predicates import Predicate, among, equal
from tams.repository.vast.rows import encoded
from tams.repository.vast.tables import (
    DELIVERIES,
    DOCUMENTS,
    FLOWS,
    OBJECTS,
    OUTBOX,
    SEGMENTS,
    STORAGE_KEYS,
    Row,
    Table,
)

StorageKey = tuple[str, str]

_SAMPLE = 2000
_COUNTS: dict[str, tuple[Table, str | None, tuple[Predicate, ...]]] = {
    "flows of source": (FLOWS, "source_id", (equal("detached", False),)),
    "segments of object": (SEGMENTS, "object_id", ()),
    "objects of init": (OBJECTS, "init_object_id", ()),
    "documents of kind": (DOCUMENTS, "kind", ()),
    "deliveries of webhook": (DELIVERIES, "webhook_id", ()),
    "events in outbox": (OUTBOX, None, ()),
}


class ObjectReads(ReadPart):
    """What can be asked about Objects."""

    @override
    def objects(self, object_ids: Collection[str]) -> dict[str, Object]:
        return {row["id"]: _object(row) for row in self._view.look_up(OBJECTS, "id", object_ids)}

    @override
    def instances(self, object_ids: Collection[str]) -> dict[str, tuple[Instance, ...]]:
        found = {row["id"]: _instances(row) for row in self._view.look_up(OBJECTS, "id", object_ids)}
        return {object_id: instances for object_id, instances in found.items() if instances}

    @override
    def still_referenced(self, object_ids: Collection[str]) -> set[str]:
        wanted = set(object_ids)
        referenced = self._held(OBJECTS, "init_object_id", wanted)
        return referenced | self._held(SEGMENTS, "object_id", wanted - referenced)

    @override
    def references(
        self, object_id: str, *, flow_tags: TagFilter = NO_TAGS, after: Cursor | None = None, limit: int = 100
    ) -> Page[str]:
        # The cursor is the last id.
        predicates = facet_terms(tag_filter(flow_tags))
        keys = self._flow_keys("object_id", object_id) | self._flow_keys("init_object_id", object_id)
        if predicates is None or not keys:
            return Page([], None)
        predicates += [among("key", keys), equal("detached", False)]
        if after is not None:
            predicates.append(Predicate("id", ">", after))
        found = [flow_id for flow_id, _ in self._view.first(FLOWS, "id", predicates, limit + 1)]
        return Page(found[:limit], found[limit - 1] if len(found) > limit else None)

    @override
    def referred_to(self, object_ids: Collection[str], flow_tags: TagFilter) -> set[str]:
        predicates = facet_terms(tag_filter(flow_tags))
        ids = set(object_ids)
        if predicates is None or not ids:
            return set()
        users: dict[int, set[str]] = {}
        for column in ("object_id", "init_object_id"):
            for row in self._view.select(SEGMENTS, ("flow_key", column), [among(column, ids)]):
                users.setdefault(row["flow_key"], set()).add(row[column])
        if not users:
            return set()
        flows = self._view.select(FLOWS, (), [*predicates, among("key", users), equal("detached", False)])
        return {object_id for row in flows for object_id in users[row["key"]]}

    @override
    def allocations_before(self, created: int, *, after: Cursor | None, limit: int) -> Page[Object]:
        predicates = [Predicate("kind", "null"), Predicate("created", "<", created)]
        last: tuple[int, str] | None = None
        if after is not None:
            last = parse_allocation_cursor(after)
            predicates.append(Predicate("created", ">=", last[0]))
        rows = self._view.select(OBJECTS, ("id", "created"), predicates)
        order = sorted((row["created"], row["id"]) for row in rows)
        order = [each for each in order if last is None or each > last][: limit + 1]
        found = self.objects([object_id for _, object_id in order[:limit]])
        cursor = allocation_cursor(*order[limit - 1]) if len(order) > limit else None
        return Page([found[object_id] for _, object_id in order[:limit]], cursor)

    @override
    def instances_of(self, storage_id: str, *, after: Cursor | None, limit: int) -> Page[tuple[str, Instance]]:
        # The cursor is the last storage key.
        predicates = [equal("storage_id", storage_id)]
        if after is not None:
            predicates.append(Predicate("storage_key", ">", after))
        keys = [key for key, _ in self._view.first(STORAGE_KEYS, "storage_key", predicates, limit + 1)]
        shown = keys[:limit]
        rows = self._view.look_up(STORAGE_KEYS, "storage_key", shown)
        owners = {row["storage_key"]: row["object_id"] for row in rows if row["storage_id"] == storage_id}
        objects = self.objects(set(owners.values()))
        items = [
            (owners[key], instance)
            for key in shown
            for instance in objects[owners[key]].instances
            if (instance.storage_id, instance.storage_key) == (storage_id, key)
        ]
        return Page(items, shown[-1] if len(keys) > limit else None)

    @override
    def keys_known(self, storage_id: str, keys: Collection[str]) -> set[str]:
        rows = self._view.look_up(STORAGE_KEYS, "storage_key", keys)
        return {row["storage_key"] for row in rows if row["storage_id"] == storage_id}

    @override
    def object_at(self, storage_id: str, key: str) -> str | None:
        rows = self._view.look_up(STORAGE_KEYS, "storage_key", [key])
        return next((row["object_id"] for row in rows if row["storage_id"] == storage_id), None)

    @override
    def count_up_to(self, what: Counted, owner: str, cap: int) -> int:
        table, column, predicates = _COUNTS[what]
        mine = () if column is None else (equal(column, owner),)
        rows, _ = self._view.bounded(table, (), [*mine, *predicates], cap)
        return min(len(rows), cap)

    def _held(self, table: Table, column: str, wanted: set[str]) -> set[str]:
        """Those of the values that some row has in the column. Each look finds at least one, or is the last."""
        found: set[str] = set()
        rest = wanted
        while rest:
            rows, complete = self._view.bounded(table, (column,), [among(column, rest)], _SAMPLE)
            hits = {row[column] for row in rows}
            found |= hits
            rest = set() if complete else rest - hits
        return found

    def _flow_keys(self, column: str, object_id: str) -> set[int]:
        """The keys of the Flows with a Segment of the Object. Each look finds at least one, or is the last."""
        return {row["flow_key"] for row in self._view.select(SEGMENTS, ("flow_key",), [equal(column, object_id)])}


class ObjectWrites(ObjectReads, WritePart):
    """What can be done to Objects."""

    @override
    def still_referenced(self, object_ids: Collection[str]) -> set[str]:
        wanted = set(object_ids) - self._unreferenced
        referenced = super().still_referenced(wanted)
        self._unreferenced |= wanted - referenced
        return referenced

    @override
    def put_objects(self, objects: Iterable[Object]) -> None:
        given = {each.id: each for each in objects}
        if not given:
            return
        self._require_objects(*given)
        before = {row["id"]: _object(row) for row in self._view.look_up(OBJECTS, "id", given)}
        self._check_init(given, before)
        self._name_storage(given, before)
        for each in given.values():
            self._view.put(OBJECTS, object_row(each))

    @override
    def delete_objects(self, object_ids: Collection[str]) -> None:
        self._require_objects(*object_ids)
        for row in self._view.look_up(OBJECTS, "id", object_ids):
            self._view.remove(OBJECTS, (row["id"],))
            for key in _storage_keys(_object(row)):
                self._view.remove(STORAGE_KEYS, key)
        # Asked afterwards: an init Object may go together with those that need it.
        held = self.still_referenced(object_ids)
        if held:
            raise self._broken(f"Object {min(held)} is referred to")

    def _check_init(self, given: dict[str, Object], before: dict[str, Object]) -> None:
        """The init Objects that are named are there."""
        named = {
            each.init_object_id
            for each in given.values()
            if each.init_object_id is not None
            and (each.id not in before or before[each.id].init_object_id != each.init_object_id)
        }
        self._unreferenced -= named
        if named:
            self._require_objects(*named)
            stored = {row["id"] for row in self._view.look_up(OBJECTS, "id", named)}
            if not named <= stored | given.keys():
                raise self._broken(f"there is no init Object {min(named - stored)}")

    def _name_storage(self, given: dict[str, Object], before: dict[str, Object]) -> None:
        """A storage key is never used twice, and an Object has one instance for each Storage Backend and label."""
        fresh: dict[StorageKey, str] = {}
        for each in given.values():
            places = [(instance.storage_id, instance.label) for instance in each.instances]
            names = [storage_id or f"label {label}" for storage_id, label in places if storage_id or label is not None]
            if len(set(names)) < len(names):
                raise self._broken(f"Object {each.id} has two instances in one place")
            old = _storage_keys(before[each.id]) if each.id in before else set()
            kept = _storage_keys(each)
            for key in kept - old:
                if fresh.setdefault(key, each.id) != each.id:
                    raise self._broken(f"the storage key {key[1]} is used twice")
            for key in old - kept:
                self._view.remove(STORAGE_KEYS, key)
        if fresh:
            for row in self._view.look_up(STORAGE_KEYS, "storage_key", {key[1] for key in fresh}):
                if STORAGE_KEYS.key_of(row) in fresh:
                    raise self._broken(f"the storage key {row['storage_key']} is used by Object {row['object_id']}")
            for (storage_id, storage_key), object_id in fresh.items():
                row = {"storage_id": storage_id, "storage_key": storage_key, "object_id": object_id}
                self._view.add(STORAGE_KEYS, row)


def _storage_keys(each: Object) -> set[StorageKey]:
    return {
        (instance.storage_id, instance.storage_key)
        for instance in each.instances
        if instance.storage_id is not None and instance.storage_key is not None
    }


def _instances(row: Row) -> tuple[Instance, ...]:
    return tuple([Instance(*fields) for fields in orjson.loads(row["instances"])])


def _object(row: Row) -> Object:
    timerange = None if row["start_ns"] is None else TimeRange(row["start_ns"], row["end_ns"], row["closed"])
    return Object(
        row["id"],
        row["created"],
        _instances(row),
        row["allocated_to"],
        row["content_type"],
        row["kind"],
        row["registered"],
        timerange,
        row["key_frame_count"],
        row["init_object_id"],
        row["first_flow_id"],
    )


def object_row(each: Object) -> Row:
    """The row of an Object."""
    timerange = each.timerange
    instances: list[list[Any]] = [
        [instance.storage_id, instance.storage_key, instance.put_until, instance.url, instance.label, instance.ready]
        for instance in each.instances
    ]
    return {
        "id": each.id,
        "created": each.created,
        "allocated_to": each.allocated_to,
        "content_type": each.content_type,
        "kind": each.kind,
        "registered": each.registered,
        "start_ns": None if timerange is None else timerange.start,
        "end_ns": None if timerange is None else timerange.end,
        "closed": None if timerange is None else timerange.closed,
        "key_frame_count": each.key_frame_count,
        "init_object_id": each.init_object_id,
        "first_flow_id": each.first_flow_id,
        "instances": encoded(instances),
    }

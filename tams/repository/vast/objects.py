"""Objects, their instances, and the references to them.

The rows of Segments and Objects are the references. There are no counters.
"""

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
"""The id of a Storage Backend and a storage key in it: the key of a row of `STORAGE_KEYS`."""

_SAMPLE = 2000
"""Rows read at once when looking for any reference to each of several Objects."""
_COUNTS: dict[str, tuple[Table, str | None, tuple[Predicate, ...]]] = {
    "flows of source": (FLOWS, "source_id", (equal("detached", False),)),
    "segments of object": (SEGMENTS, "object_id", ()),
    "objects of init": (OBJECTS, "init_object_id", ()),
    "documents of kind": (DOCUMENTS, "kind", ()),
    "deliveries of webhook": (DELIVERIES, "webhook_id", ()),
    "events in outbox": (OUTBOX, None, ()),
}


class ObjectReads(ReadPart):
    """Reads of Objects."""

    @override
    def objects(self, object_ids: Collection[str]) -> dict[str, Object]:
        return {row["id"]: _object(row) for row in self._view.look_up(OBJECTS, "id", object_ids)}

    @override
    def instances(self, object_ids: Collection[str]) -> dict[str, tuple[Instance, ...]]:
        by_id = {row["id"]: _instances(row) for row in self._view.look_up(OBJECTS, "id", object_ids)}
        return {object_id: instances for object_id, instances in by_id.items() if instances}

    @override
    def still_referenced(self, object_ids: Collection[str]) -> set[str]:
        ids = set(object_ids)
        referenced = self._values_in_use(OBJECTS, "init_object_id", ids)
        return referenced | self._values_in_use(SEGMENTS, "object_id", ids - referenced)

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
        flow_ids = [flow_id for flow_id, _ in self._view.first(FLOWS, "id", predicates, limit + 1)]
        return Page(flow_ids[:limit], flow_ids[limit - 1] if len(flow_ids) > limit else None)

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
        order = [position for position in order if last is None or position > last][: limit + 1]
        objects = self.objects([object_id for _, object_id in order[:limit]])
        cursor = allocation_cursor(*order[limit - 1]) if len(order) > limit else None
        return Page([objects[object_id] for _, object_id in order[:limit]], cursor)

    @override
    def instances_of(self, storage_id: str, *, after: Cursor | None, limit: int) -> Page[tuple[str, Instance]]:
        # The cursor is the last storage key.
        predicates = [equal("storage_id", storage_id)]
        if after is not None:
            predicates.append(Predicate("storage_key", ">", after))
        storage_keys = [key for key, _ in self._view.first(STORAGE_KEYS, "storage_key", predicates, limit + 1)]
        page = storage_keys[:limit]
        rows = self._view.look_up(STORAGE_KEYS, "storage_key", page)
        owners = {row["storage_key"]: row["object_id"] for row in rows if row["storage_id"] == storage_id}
        objects = self.objects(set(owners.values()))
        items = [
            (owners[storage_key], instance)
            for storage_key in page
            for instance in objects[owners[storage_key]].instances
            if (instance.storage_id, instance.storage_key) == (storage_id, storage_key)
        ]
        return Page(items, page[-1] if len(storage_keys) > limit else None)

    @override
    def keys_known(self, storage_id: str, storage_keys: Collection[str]) -> set[str]:
        rows = self._view.look_up(STORAGE_KEYS, "storage_key", storage_keys)
        return {row["storage_key"] for row in rows if row["storage_id"] == storage_id}

    @override
    def object_at(self, storage_id: str, storage_key: str) -> str | None:
        rows = self._view.look_up(STORAGE_KEYS, "storage_key", [storage_key])
        return next((row["object_id"] for row in rows if row["storage_id"] == storage_id), None)

    @override
    def count_up_to(self, what: Counted, owner: str, cap: int) -> int:
        table, column, predicates = _COUNTS[what]
        owned = () if column is None else (equal(column, owner),)
        rows, _ = self._view.bounded(table, (), [*owned, *predicates], cap)
        return min(len(rows), cap)

    def _values_in_use(self, table: Table, column: str, values: set[str]) -> set[str]:
        """Return those of the values that any row has in the column. Each query finds at least one, or is the last."""
        in_use: set[str] = set()
        rest = values
        while rest:
            rows, complete = self._view.bounded(table, (column,), [among(column, rest)], _SAMPLE)
            hits = {row[column] for row in rows}
            in_use |= hits
            rest = set() if complete else rest - hits
        return in_use

    def _flow_keys(self, column: str, object_id: str) -> set[int]:
        """Return the keys of the Flows that have a Segment with the Object in this column."""
        return {row["flow_key"] for row in self._view.select(SEGMENTS, ("flow_key",), [equal(column, object_id)])}


class ObjectWrites(ObjectReads, WritePart):
    """Writes of Objects."""

    @override
    def still_referenced(self, object_ids: Collection[str]) -> set[str]:
        # An Object that was found to be unreferenced in this transaction is not queried again.
        unknown = set(object_ids) - self._unreferenced
        referenced = super().still_referenced(unknown)
        self._unreferenced |= unknown - referenced
        return referenced

    @override
    def put_objects(self, objects: Iterable[Object]) -> None:
        after = {media_object.id: media_object for media_object in objects}
        if not after:
            return
        self._require_objects(*after)
        before = {row["id"]: _object(row) for row in self._view.look_up(OBJECTS, "id", after)}
        self._check_init_objects(before, after)
        self._put_storage_keys(before, after)
        for media_object in after.values():
            self._view.put(OBJECTS, object_row(media_object))

    @override
    def delete_objects(self, object_ids: Collection[str]) -> None:
        self._require_objects(*object_ids)
        for row in self._view.look_up(OBJECTS, "id", object_ids):
            self._view.remove(OBJECTS, (row["id"],))
            for place in _storage_keys(_object(row)):
                self._view.remove(STORAGE_KEYS, place)
        # Checked after the removal: an init Object may be deleted together with the Objects that refer to it.
        referenced = self.still_referenced(object_ids)
        if referenced:
            raise self._broken(f"Object {min(referenced)} is referred to")

    def _check_init_objects(self, before: dict[str, Object], after: dict[str, Object]) -> None:
        """Raise `IntegrityBroken` if an Object gets a reference to an init Object that does not exist."""
        init_ids = {
            media_object.init_object_id
            for media_object in after.values()
            if media_object.init_object_id is not None
            and (media_object.id not in before or before[media_object.id].init_object_id != media_object.init_object_id)
        }
        self._unreferenced -= init_ids
        if init_ids:
            self._require_objects(*init_ids)
            stored = {row["id"] for row in self._view.look_up(OBJECTS, "id", init_ids)}
            if not init_ids <= stored | after.keys():
                raise self._broken(f"there is no init Object {min(init_ids - stored)}")

    def _put_storage_keys(self, before: dict[str, Object], after: dict[str, Object]) -> None:
        """Stage the rows of storage keys that change with the Objects.

        Raises:
            IntegrityBroken: a storage key is used twice, or an Object has two instances in one Storage Backend or with
                one label.
        """
        added: dict[StorageKey, str] = {}
        for media_object in after.values():
            places = [(instance.storage_id, instance.label) for instance in media_object.instances]
            names = [storage_id or f"label {label}" for storage_id, label in places if storage_id or label is not None]
            if len(set(names)) < len(names):
                raise self._broken(f"Object {media_object.id} has two instances in one place")
            old = _storage_keys(before[media_object.id]) if media_object.id in before else set()
            new = _storage_keys(media_object)
            for place in new - old:
                if added.setdefault(place, media_object.id) != media_object.id:
                    raise self._broken(f"the storage key {place[1]} is used twice")
            for place in old - new:
                self._view.remove(STORAGE_KEYS, place)
        if added:
            for row in self._view.look_up(STORAGE_KEYS, "storage_key", {place[1] for place in added}):
                if STORAGE_KEYS.key_of(row) in added:
                    raise self._broken(f"the storage key {row['storage_key']} is used by Object {row['object_id']}")
            for (storage_id, storage_key), object_id in added.items():
                row = {"storage_id": storage_id, "storage_key": storage_key, "object_id": object_id}
                self._view.add(STORAGE_KEYS, row)


def _storage_keys(media_object: Object) -> set[StorageKey]:
    return {
        (instance.storage_id, instance.storage_key)
        for instance in media_object.instances
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


def object_row(media_object: Object) -> Row:
    """Return the row of an Object."""
    timerange = media_object.timerange
    instances: list[list[Any]] = [
        [instance.storage_id, instance.storage_key, instance.put_until, instance.url, instance.label, instance.ready]
        for instance in media_object.instances
    ]
    return {
        "id": media_object.id,
        "created": media_object.created,
        "allocated_to": media_object.allocated_to,
        "content_type": media_object.content_type,
        "kind": media_object.kind,
        "registered": media_object.registered,
        "start_ns": None if timerange is None else timerange.start,
        "end_ns": None if timerange is None else timerange.end,
        "closed": None if timerange is None else timerange.closed,
        "key_frame_count": media_object.key_frame_count,
        "init_object_id": media_object.init_object_id,
        "first_flow_id": media_object.first_flow_id,
        "instances": encoded(instances),
    }

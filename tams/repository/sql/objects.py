"""Objects and their instances: read, list, store and delete."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    bindparam,
    delete,
    insert,
    select,
    tuple_,
)
from typing_extensions import override

from tams.domain.objects import Instance, Object
from tams.domain.timerange import TimeRange
from tams.repository.index import allocation_cursor, parse_allocation_cursor
from tams.repository.port import Cursor, Page
from tams.repository.sql.base import ReadPart, WritePart
from tams.repository.sql.dialects import texts, upsert
from tams.repository.sql.engine import Row
from tams.repository.sql.fast_rows import instances_by_object
from tams.repository.sql.tables import object_instances, objects

_OBJECT = (
    objects.c.id,
    objects.c.created,
    objects.c.allocated_to,
    objects.c.content_type,
    objects.c.kind,
    objects.c.registered,
    objects.c.start_ns,
    objects.c.end_ns,
    objects.c.closed,
    objects.c.key_frame_count,
    objects.c.init_object_id,
    objects.c.first_flow_id,
)
_OBJECT_NAMES = tuple(column.name for column in _OBJECT)
_INSTANCE = (
    object_instances.c.position,
    object_instances.c.storage_id,
    object_instances.c.storage_key,
    object_instances.c.put_until,
    object_instances.c.url,
    object_instances.c.label,
    object_instances.c.ready,
)
_INSTANCE_ROW = ("object_id", *(column.name for column in _INSTANCE))
_WIDTH = len(_OBJECT)

_ids = texts("ids")
_BY_ID = select(*_OBJECT, *_INSTANCE).select_from(
    _ids.join(objects, objects.c.id == _ids.c.value).outerjoin(
        object_instances, object_instances.c.object_id == objects.c.id
    )
)
_INSTANCES = select(object_instances.c.object_id, *_INSTANCE).select_from(
    _ids.join(object_instances, object_instances.c.object_id == _ids.c.value)
)

_ALLOCATIONS = (
    select(objects.c.id, objects.c.created)
    .where(objects.c.registered.is_(None), objects.c.created < bindparam("before"))
    .order_by(objects.c.created, objects.c.id)
    .limit(bindparam("limit"))
)
_MORE_ALLOCATIONS = _ALLOCATIONS.where(
    tuple_(objects.c.created, objects.c.id) > tuple_(bindparam("after_created"), bindparam("after_id"))
)
_OF_STORAGE = (
    select(object_instances.c.object_id, *_INSTANCE)
    .where(object_instances.c.storage_id == bindparam("storage_id"))
    .order_by(object_instances.c.storage_key)
    .limit(bindparam("limit"))
)
_MORE_OF_STORAGE = _OF_STORAGE.where(object_instances.c.storage_key > bindparam("after"))

_storage_keys = texts("storage_keys")
_KNOWN = select(object_instances.c.storage_key).select_from(
    _storage_keys.join(
        object_instances,
        (object_instances.c.storage_id == bindparam("storage_id"))
        & (object_instances.c.storage_key == _storage_keys.c.value),
    )
)

_AT = select(object_instances.c.object_id).where(
    object_instances.c.storage_id == bindparam("storage_id"), object_instances.c.storage_key == bindparam("storage_key")
)


_PUT = upsert(objects)
_DELETE = delete(objects).where(objects.c.id.in_(select(_ids.c.value)))
_DELETE_INSTANCES = delete(object_instances).where(object_instances.c.object_id == bindparam("owner"))
_ADD_INSTANCES = insert(object_instances)


def _instance(row: Row) -> Instance:
    _, storage_id, key, put_until, url, label, ready = row
    return Instance(storage_id, key, put_until, url, label, ready == 1)


def _object(rows: list[Row]) -> Object:
    """Build an Object from its rows: one row per instance, or a single row without an instance."""
    if len(rows) > 1:
        rows.sort(key=itemgetter(_WIDTH))
    object_id, created, flow, content, kind, registered, start, end, closed, key_frames, init, first = rows[0][:_WIDTH]
    return Object(
        object_id,
        created,
        () if rows[0][_WIDTH] is None else tuple([_instance(row[_WIDTH:]) for row in rows]),
        flow,
        content,
        kind,
        registered,
        None if start is None else TimeRange(start, end, closed == 1),
        key_frames,
        init,
        first,
    )


class ObjectReads(ReadPart):
    """Read and list Objects and instances."""

    @override
    def objects(self, object_ids: Collection[str]) -> dict[str, Object]:
        if not object_ids:
            return {}
        rows = self._session.rows(_BY_ID, {"ids": self._session.array(sorted(set(object_ids)))})
        groups: dict[str, list[Row]] = {}
        for row in rows:
            groups.setdefault(row[0], []).append(row)
        return {object_id: _object(group) for object_id, group in groups.items()}

    @override
    def instances(self, object_ids: Collection[str]) -> dict[str, tuple[Instance, ...]]:
        if not object_ids:
            return {}
        return instances_by_object(
            self._session.rows(_INSTANCES, {"ids": self._session.array(sorted(set(object_ids)))})
        )

    @override
    def allocations_before(self, created: int, *, after: Cursor | None, limit: int) -> Page[Object]:
        values: dict[str, Any] = {"before": created, "limit": limit + 1}
        if after is None:
            rows = self._session.rows(_ALLOCATIONS, values)
        else:
            moment, object_id = parse_allocation_cursor(after)
            rows = self._session.rows(_MORE_ALLOCATIONS, {**values, "after_created": moment, "after_id": object_id})
        objects = self.objects([row[0] for row in rows[:limit]])
        cursor = allocation_cursor(rows[limit - 1][1], rows[limit - 1][0]) if len(rows) > limit else None
        return Page([objects[row[0]] for row in rows[:limit]], cursor)

    @override
    def instances_of(self, storage_id: str, *, after: Cursor | None, limit: int) -> Page[tuple[str, Instance]]:
        # The cursor is the last storage key.
        values: dict[str, Any] = {"storage_id": storage_id, "after": after, "limit": limit + 1}
        rows = self._session.rows(_OF_STORAGE if after is None else _MORE_OF_STORAGE, values)
        items = [(row[0], _instance(row[1:])) for row in rows[:limit]]
        return Page(items, items[-1][1].storage_key if len(rows) > limit else None)

    @override
    def keys_known(self, storage_id: str, storage_keys: Collection[str], /) -> set[str]:
        if not storage_keys:
            return set()
        parameters = {"storage_id": storage_id, "storage_keys": self._session.array(sorted(set(storage_keys)))}
        return {row[0] for row in self._session.rows(_KNOWN, parameters)}

    @override
    def object_at(self, storage_id: str, storage_key: str, /) -> str | None:
        row = self._session.row(_AT, {"storage_id": storage_id, "storage_key": storage_key})
        return None if row is None else str(row[0])


class ObjectWrites(ObjectReads, WritePart):
    """Store and delete Objects."""

    _known: dict[str, tuple[Instance, ...]]
    """Stored instances that this transaction has read since its claim, by the id of their Object."""

    @override
    def objects(self, object_ids: Collection[str]) -> dict[str, Object]:
        stored = super().objects(object_ids)
        self._known.update((each.id, each.instances) for each in stored.values())
        return stored

    @override
    def put_objects(self, objects: Iterable[Object]) -> None:
        by_id = {each.id: each for each in objects}
        if not by_id:
            return
        session = self._session
        self._known.update(self.instances([object_id for object_id in by_id if object_id not in self._known]))
        # An initialisation Object is stored before the Objects that refer to it.
        ordered = sorted(by_id.values(), key=lambda each: (each.kind != "init", each.id))
        session.run_many(_PUT, _OBJECT_NAMES, [_object_row(each) for each in ordered])
        # Instances that stay as they are cost no statement.
        changed = [each for each in ordered if each.instances != self._known.get(each.id, ())]
        session.run_many(_DELETE_INSTANCES, ("owner",), [(each.id,) for each in changed if self._known.get(each.id)])
        session.run_many(
            _ADD_INSTANCES,
            _INSTANCE_ROW,
            [
                (each.id, position, *_instance_row(instance))
                for each in changed
                for position, instance in enumerate(each.instances)
            ],
        )
        self._known.update((each.id, each.instances) for each in ordered)

    @override
    def delete_objects(self, object_ids: Collection[str]) -> None:
        if object_ids:
            self._session.run(_DELETE, {"ids": self._session.array(sorted(set(object_ids)))})
            for object_id in object_ids:
                self._known.pop(object_id, None)


def _object_row(each: Object) -> Row:
    timerange = each.timerange
    start, end, closed = (None, None, None) if timerange is None else (timerange.start, timerange.end, timerange.closed)
    return (
        each.id,
        each.created,
        each.allocated_to,
        each.content_type,
        each.kind,
        each.registered,
        start,
        end,
        closed,
        each.key_frame_count,
        each.init_object_id,
        each.first_flow_id,
    )


def _instance_row(each: Instance) -> Row:
    return (each.storage_id, each.storage_key, each.put_until, each.url, each.label, each.ready)

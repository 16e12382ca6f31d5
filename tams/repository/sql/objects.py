"""Objects, their instances, and what refers to them. References are the rows themselves: nothing is counted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    Select,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    tuple_,
)

from tams.domain.filters import NO_TAGS, TagFilter
from tams.domain.objects import Instance, Object
from tams.domain.timerange import TimeRange
from tams.repository.index import allocation_cursor, parse_allocation_cursor, tag_filter
from tams.repository.port import Counted, Cursor, Page
from tams.repository.sql.dialects import texts, upsert
from tams.repository.sql.engine import Row, Session
from tams.repository.sql.facets import FacetShape, digest_filter, filtered
from tams.repository.sql.tables import (
    deliveries,
    documents,
    flow_facets,
    flows,
    object_instances,
    objects,
    outbox,
    segments,
)

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
_PLACE = itemgetter(0, 1)

_ids = texts("ids")
_BY_ID = select(*_OBJECT, *_INSTANCE).select_from(
    _ids.join(objects, objects.c.id == _ids.c.value).outerjoin(
        object_instances, object_instances.c.object_id == objects.c.id
    )
)
_INSTANCES = select(object_instances.c.object_id, *_INSTANCE).select_from(
    _ids.join(object_instances, object_instances.c.object_id == _ids.c.value)
)

_dependents = objects.alias("dependents")
_REFERENCED = select(_ids.c.value).where(
    or_(
        exists(select(literal_column("1")).select_from(segments).where(segments.c.object_id == _ids.c.value)),
        exists(
            select(literal_column("1")).select_from(_dependents).where(_dependents.c.init_object_id == _ids.c.value)
        ),
    )
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

_keys_asked = texts("keys")
_KNOWN = select(object_instances.c.storage_key).select_from(
    _keys_asked.join(
        object_instances,
        (object_instances.c.storage_id == bindparam("storage_id"))
        & (object_instances.c.storage_key == _keys_asked.c.value),
    )
)

_AT = select(object_instances.c.object_id).where(
    object_instances.c.storage_id == bindparam("storage_id"), object_instances.c.storage_key == bindparam("key")
)


def _capped(column: ColumnElement[Any]) -> Executable:
    found: Select[Any] = (
        select(literal_column("1").label("one")).where(column == bindparam("owner")).limit(bindparam("cap"))
    )
    return select(func.count()).select_from(found.subquery())


_OUTBOX: Select[Any] = select(literal_column("1").label("one")).select_from(outbox).limit(bindparam("cap"))

_COUNTS: dict[str, Executable] = {
    "flows of source": _capped(flows.c.source_id),
    "segments of object": _capped(segments.c.object_id),
    "objects of init": _capped(objects.c.init_object_id),
    "documents of kind": _capped(documents.c.kind),
    "deliveries of webhook": _capped(deliveries.c.webhook_id),
    "events in outbox": select(func.count()).select_from(_OUTBOX.subquery()),
}

_PUT = upsert(objects)
_DELETE = delete(objects).where(objects.c.id.in_(select(_ids.c.value)))
_DELETE_INSTANCES = delete(object_instances).where(object_instances.c.object_id == bindparam("owner"))
_ADD_INSTANCES = insert(object_instances)


@lru_cache(maxsize=64)
def _references(continued: bool, shape: FacetShape) -> Executable:
    """Flows that use an Object, one look into the index for each, however many Segments they use it in."""
    statement = select(flows.c.id)
    used = _keys("used", segments.c.object_id).union(_keys("needed", segments.c.init_object_id)).subquery()
    statement = statement.select_from(used.join(flows, flows.c.key == used.c.flow_key))
    if continued:
        statement = statement.where(flows.c.id > bindparam("after"))
    statement = filtered(statement, shape, _has_any_facet)
    # Sorted once they are found: PostgreSQL would rather walk through all Flows, which are in order.
    found = statement.cte("found").prefix_with("MATERIALIZED", dialect="postgresql")
    return select(found.c.id).order_by(found.c.id).limit(bindparam("limit"))


@lru_cache(maxsize=64)
def _referred_to(shape: FacetShape) -> Executable:
    """Those of the Objects that a Flow uses, as media or to initialise media."""

    def used(column: ColumnElement[Any]) -> ColumnElement[bool]:
        statement: Select[Any] = (
            select(literal_column("1"))
            .select_from(segments.join(flows, flows.c.key == segments.c.flow_key))
            .where(column == _ids.c.value)
        )
        return exists(filtered(statement, shape, _has_any_facet))

    return select(_ids.c.value).where(or_(used(segments.c.object_id), used(segments.c.init_object_id)))


def _keys(name: str, column: ColumnElement[Any]) -> Any:
    key = segments.c.flow_key
    mine = column == bindparam("object_id")
    first = select(select(key).where(mine).order_by(key).limit(1).scalar_subquery().label("flow_key"))
    walk = first.cte(name, recursive=True)
    following = select(key).where(mine, key > walk.c.flow_key).order_by(key).limit(1).correlate(walk).scalar_subquery()
    walk = walk.union_all(select(following).where(walk.c.flow_key.is_not(None)))
    return select(walk.c.flow_key).where(walk.c.flow_key.is_not(None))


def _has_any_facet(alias: str, names: Sequence[str]) -> ColumnElement[bool]:
    held = flow_facets.alias(alias)
    return exists(
        select(literal_column("1"))
        .select_from(held)
        .where(held.c.flow_id == flows.c.id, held.c.facet.in_([bindparam(name) for name in names]))
        .correlate(flows)
    )


_new = tuple.__new__


def _instance(row: Row) -> Instance:
    _, storage_id, key, put_until, url, label, ready = row
    return Instance(storage_id, key, put_until, url, label, ready == 1)


def _object(rows: list[Row]) -> Object:
    """An Object of its rows: one for each instance, or a single one without."""
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


class ObjectReads:
    """What can be asked about Objects."""

    _session: Session

    def objects(self, object_ids: Collection[str]) -> dict[str, Object]:
        """Those of the Objects that exist, each with all its instances."""
        if not object_ids:
            return {}
        rows = self._session.rows(_BY_ID, {"ids": self._session.array(sorted(set(object_ids)))})
        groups: dict[str, list[Row]] = {}
        for row in rows:
            groups.setdefault(row[0], []).append(row)
        return {object_id: _object(group) for object_id, group in groups.items()}

    def instances(self, object_ids: Collection[str]) -> dict[str, tuple[Instance, ...]]:
        """The instances of those of the Objects that have any, in their order."""
        if not object_ids:
            return {}
        rows = self._session.rows(_INSTANCES, {"ids": self._session.array(sorted(set(object_ids)))})
        # SQLite gives them in this order already, which makes the sort one comparison for each.
        rows.sort(key=_PLACE)
        found: dict[str, tuple[Instance, ...]] = {}
        for object_id, _, storage_id, key, put_until, url, label, ready in rows:
            instance = _new(Instance, (storage_id, key, put_until, url, label, ready == 1))
            others = found.get(object_id)
            found[object_id] = (instance,) if others is None else (*others, instance)
        return found

    def still_referenced(self, object_ids: Collection[str]) -> set[str]:
        """Those that a Segment of any Flow or, as init Object, another Object refers to."""
        if not object_ids:
            return set()
        rows = self._session.rows(_REFERENCED, {"ids": self._session.array(sorted(set(object_ids)))})
        return {row[0] for row in rows}

    def references(
        self, object_id: str, *, flow_tags: TagFilter = NO_TAGS, after: Cursor | None = None, limit: int = 100
    ) -> Page[str]:
        """Ids of the Flows that refer to the Object, each once, by id. The cursor is the last id."""
        filters = tag_filter(flow_tags)
        if filters.matches_nothing:
            return Page([], None)
        digests = digest_filter(filters)
        values = {"object_id": object_id, "after": after, "limit": limit + 1, **digests.parameters}
        statement = _references(after is not None, digests.shape)
        found = [row[0] for row in self._session.rows(statement, values)]
        return Page(found[:limit], found[limit - 1] if len(found) > limit else None)

    def referred_to(self, object_ids: Collection[str], flow_tags: TagFilter) -> set[str]:
        """Those of the Objects that `references` has a Flow for."""
        filters = tag_filter(flow_tags)
        if not object_ids or filters.matches_nothing:
            return set()
        digests = digest_filter(filters)
        values = {"ids": self._session.array(sorted(set(object_ids))), **digests.parameters}
        statement = _referred_to(digests.shape)
        return {row[0] for row in self._session.rows(statement, values)}

    def allocations_before(self, created: int, *, after: Cursor | None, limit: int) -> Page[Object]:
        """Unregistered Objects that were allocated before the moment (microseconds), oldest first."""
        values: dict[str, Any] = {"before": created, "limit": limit + 1}
        if after is None:
            rows = self._session.rows(_ALLOCATIONS, values)
        else:
            moment, object_id = parse_allocation_cursor(after)
            rows = self._session.rows(_MORE_ALLOCATIONS, {**values, "after_created": moment, "after_id": object_id})
        found = self.objects([row[0] for row in rows[:limit]])
        cursor = allocation_cursor(rows[limit - 1][1], rows[limit - 1][0]) if len(rows) > limit else None
        return Page([found[row[0]] for row in rows[:limit]], cursor)

    def instances_of(self, storage_id: str, *, after: Cursor | None, limit: int) -> Page[tuple[str, Instance]]:
        """The instances in the Storage Backend, each with the id of its Object. The cursor is the last key."""
        values: dict[str, Any] = {"storage_id": storage_id, "after": after, "limit": limit + 1}
        rows = self._session.rows(_OF_STORAGE if after is None else _MORE_OF_STORAGE, values)
        items = [(row[0], _instance(row[1:])) for row in rows[:limit]]
        return Page(items, items[-1][1].storage_key if len(rows) > limit else None)

    def keys_known(self, storage_id: str, keys: Collection[str]) -> set[str]:
        """Those of the storage keys that instances in the Storage Backend have."""
        if not keys:
            return set()
        rows = self._session.rows(_KNOWN, {"storage_id": storage_id, "keys": self._session.array(sorted(set(keys)))})
        return {row[0] for row in rows}

    def object_at(self, storage_id: str, key: str) -> str | None:
        """The id of the Object that has an instance under the storage key."""
        row = self._session.row(_AT, {"storage_id": storage_id, "key": key})
        return None if row is None else str(row[0])

    def count_up_to(self, what: Counted, owner: str, cap: int) -> int:
        """min(count, cap), at a cost bounded by `cap`."""
        row = self._session.row(_COUNTS[what], {"owner": owner, "cap": cap})
        return 0 if row is None else int(row[0])


class ObjectWrites(ObjectReads):
    """What can be done to Objects."""

    _known: dict[str, tuple[Instance, ...]]
    """Stored instances, as far as this transaction has seen them since its claim."""

    def objects(self, object_ids: Collection[str]) -> dict[str, Object]:
        """Those of the Objects that exist, each with all its instances."""
        found = super().objects(object_ids)
        self._known.update((each.id, each.instances) for each in found.values())
        return found

    def put_objects(self, objects: Iterable[Object]) -> None:
        """Store Objects, new or changed, instances included. Instances that are the same are left alone."""
        given = {each.id: each for each in objects}
        if not given:
            return
        session = self._session
        self._learn_instances([object_id for object_id in given if object_id not in self._known])
        # An init Object goes before those that need it.
        ordered = sorted(given.values(), key=lambda each: (each.kind != "init", each.id))
        session.run_many(_PUT, _OBJECT_NAMES, [_object_row(each) for each in ordered])
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

    def delete_objects(self, object_ids: Collection[str]) -> None:
        """Remove Objects and their instances. `IntegrityBroken` while anything refers to one."""
        if object_ids:
            self._session.run(_DELETE, {"ids": self._session.array(sorted(set(object_ids)))})
            for object_id in object_ids:
                self._known.pop(object_id, None)

    def _learn_instances(self, object_ids: list[str]) -> None:
        self._known.update(self.instances(object_ids))


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

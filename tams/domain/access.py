"""Classes of media, and who may do what with them.

Sources, Flows, webhooks and Storage Backends carry classes in the tag `auth_classes`. An operator says for each class
which groups may read, write and delete what carries it; no permission includes another. One class is enough, so what
carries several is shared by all who may use any of them. Media without a class are for the admin scope alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from tams.domain.errors import Forbidden, Invalid
from tams.domain.filters import NO_TAGS, TagFilter
from tams.domain.flows import Flow, Metadata, Source

AUTH_CLASSES: Final = "auth_classes"
"""The tag that holds the classes: one as a text, or a list of them."""

Permission = Literal["read", "write", "delete"]

PERMISSIONS: Final[tuple[Permission, ...]] = ("read", "write", "delete")
"""What groups can be given for a class."""


def classes_of(tags: Mapping[str, Any]) -> tuple[str, ...]:
    """The classes of whatever has these tags."""
    held = tags.get(AUTH_CLASSES, ())
    return (held,) if isinstance(held, str) else tuple(held)


def document_classes(document: Metadata) -> tuple[str, ...]:
    """The classes of a Flow, a Source or a webhook."""
    return classes_of(document.get("tags") or {})


@dataclass(frozen=True, slots=True)
class Access:
    """The classes that somebody may read, write and delete; None is everything, classified or not, and then of all
    three."""

    read: frozenset[str] | None = None
    write: frozenset[str] | None = None
    delete: frozenset[str] | None = None

    @property
    def is_limited(self) -> bool:
        """True unless everything may be done with everything."""
        return self.read is not None

    def may(self, permission: Permission, classes: Collection[str]) -> bool:
        """Whether something of these classes may be read, written or deleted."""
        granted = self.granted(permission)
        return granted is None or not granted.isdisjoint(classes)

    def knows(self, classes: Collection[str]) -> bool:
        """Whether there is any permission on something of these classes: if not, it does not exist for them."""
        return any(self.may(permission, classes) for permission in PERMISSIONS)

    def granted(self, permission: Permission) -> frozenset[str] | None:
        """The classes with that permission."""
        return {"read": self.read, "write": self.write, "delete": self.delete}[permission]

    def may_use(self, permission: Permission, backend_tags: Mapping[str, Any]) -> bool:
        """Whether a Storage Backend may be read from or written to: one without classes is open."""
        classes = classes_of(backend_tags)
        return not classes or self.may(permission, classes)

    def knows_backend(self, backend_tags: Mapping[str, Any]) -> bool:
        """Whether there is any permission on a Storage Backend."""
        classes = classes_of(backend_tags)
        return not classes or self.knows(classes)

    def readable(self, tags: TagFilter = NO_TAGS) -> TagFilter:
        """The filter, and that something may be read."""
        return tags if self.read is None else _also(tags, self.read)

    def known(self) -> TagFilter:
        """The filter for what there is any permission on."""
        every = [granted for permission in PERMISSIONS if (granted := self.granted(permission)) is not None]
        return _also(NO_TAGS, frozenset[str]().union(*every)) if every else NO_TAGS

    def check_change(self, before: Collection[str], after: Collection[str]) -> None:
        """Refuse a change of the classes of a Flow or Source (`before` is empty for a new one).

        `Forbidden` where a class is added or removed that may not be written; `Invalid` where none is left: nobody but
        admin would ever see it again.
        """
        if self.write is None:
            return
        if not after:
            own = ", ".join(sorted(self.write)) or "none"
            raise Invalid.field(f"tags.{AUTH_CLASSES}", f"required: give one or more of the classes you write: {own}")
        self.check_difference(before, after)

    def check_difference(self, before: Collection[str], after: Collection[str]) -> None:
        """`Forbidden` where a class is added or removed that may not be written."""
        if self.write is None:
            return
        added, removed = set(after) - set(before) - self.write, set(before) - set(after) - self.write
        if added:
            raise Forbidden(f"{AUTH_CLASSES}: {min(added)} can be added only by those who may write it")
        if removed:
            # Without its name, which the principal may have no way to read.
            raise Forbidden(f"{AUTH_CLASSES}: {len(removed)} would be removed that you may not write")


EVERYTHING: Final = Access()
"""Of admin, and of everybody where access is not limited by classes."""


def refuse_unclassified(access: Access, tag: str) -> None:
    """`Forbidden` where somebody whose access is limited would remove the tag that holds the classes."""
    if access.is_limited and tag == AUTH_CLASSES:
        raise Forbidden(f"without {AUTH_CLASSES} nobody but admin could see it again: set other classes instead")


def _also(tags: TagFilter, classes: Iterable[str]) -> TagFilter:
    return replace(tags, any_of=(*tags.any_of, (AUTH_CLASSES, tuple(sorted(classes)))))


class ClassMap:
    """What groups may do with the classes: by class, then by permission, the names of groups."""

    def __init__(self, classes: Mapping[str, Mapping[Permission, Collection[str]]]) -> None:
        self.names = frozenset(classes)
        self._granted: dict[Permission, dict[str, set[str]]] = {permission: {} for permission in PERMISSIONS}
        for name, permissions in classes.items():
            for permission, groups in permissions.items():
                for group in groups:
                    self._granted[permission].setdefault(group, set()).add(name)

    def access(self, groups: Iterable[str]) -> Access:
        """What a member of the groups may do."""
        mine = tuple(groups)
        read, write, delete = (
            frozenset[str]().union(*(self._granted[permission].get(group, ()) for group in mine))
            for permission in PERMISSIONS
        )
        return Access(read, write, delete)


def flow_as_seen(flow: Flow, readable: Collection[str]) -> Flow:
    """The Flow with those of the Flows that it collects, and is collected by, that are in `readable`."""
    document = _collection_as_seen(flow.metadata, "flow_collection", readable)
    collected_by = tuple(other for other in flow.collected_by if other in readable)
    if document is flow.metadata and len(collected_by) == len(flow.collected_by):
        return flow
    return replace(flow, metadata=document, collected_by=collected_by)


def source_as_seen(source: Source, readable: Collection[str]) -> Source:
    """The Source with those of the Sources that it collects, and is collected by, that are in `readable`."""
    return replace(
        source,
        collection=tuple(item for item in source.collection if item["id"] in readable),
        collected_by=tuple(other for other in source.collected_by if other in readable),
    )


def related_flows(flow: Flow) -> set[str]:
    """The Flows that a Flow names."""
    return {item["id"] for item in flow.metadata.get("flow_collection", ())} | set(flow.collected_by)


def related_sources(source: Source) -> set[str]:
    """The Sources that a Source names as collected or collecting."""
    return {item["id"] for item in source.collection} | set(source.collected_by)


def with_hidden_members(
    wanted: list[Metadata], stored: Collection[Metadata], readable: Collection[str]
) -> list[Metadata]:
    """The collection that somebody writes who sees of the stored one only what is in `readable`.

    Each hidden member stays behind the member that it stood behind; where that one is taken out, behind the next one
    before it that stays.
    """
    kept = {item["id"] for item in wanted}
    behind: dict[str | None, list[Metadata]] = {}
    anchor: str | None = None
    for item in stored:
        if item["id"] not in readable:
            behind.setdefault(anchor, []).append(item)
        elif item["id"] in kept:
            anchor = item["id"]
    merged = behind.pop(None, [])
    for item in wanted:
        merged.append(item)
        merged += behind.pop(item["id"], [])
    return merged


def _collection_as_seen(document: Metadata, name: str, readable: Collection[str]) -> Metadata:
    """The document with what is in `readable` of a collection in it, and without the collection where that is none:
    one of hidden members only looks like none at all."""
    collection = document.get(name)
    if not collection:
        return document
    seen = [item for item in collection if item["id"] in readable]
    if len(seen) == len(collection):
        return document
    rest = {key: value for key, value in document.items() if key != name}
    return {**rest, name: seen} if seen else rest


def shown_as_seen(shown: Metadata, readable: Collection[str]) -> Metadata:
    """A Flow or Source as JSON with those of the ids that it collects, and is collected by, that are in `readable`."""
    for name in ("flow_collection", "source_collection"):
        shown = _collection_as_seen(shown, name, readable)
    if "collected_by" in shown:
        collectors = [other for other in shown["collected_by"] if other in readable]
        rest = {key: value for key, value in shown.items() if key != "collected_by"}
        shown = {**rest, "collected_by": collectors} if collectors else rest
    return shown


def related_ids(shown: Metadata) -> set[str]:
    """The ids that a Flow or Source as JSON collects, and is collected by."""
    names = ("flow_collection", "source_collection")
    return {item["id"] for name in names for item in shown.get(name, ())} | set(shown.get("collected_by", ()))

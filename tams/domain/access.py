"""Classes of media, and who may do what with them.

Sources, Flows, webhooks and Storage Backends carry classes in the tag `auth_classes`. For each class an operator lists
the groups that may read, write and delete the items that carry it. No permission includes another. One class is
enough: an item with several classes is shared by all groups that may use any of them. Media without a class are for
the admin scope alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from tams.domain.errors import Forbidden, Invalid
from tams.domain.filters import NO_TAGS, TagFilter
from tams.domain.flows import Metadata

AUTH_CLASSES: Final = "auth_classes"
"""The tag that holds the classes: one string, or a list of strings."""

Permission = Literal["read", "write", "delete"]

PERMISSIONS: Final[tuple[Permission, ...]] = ("read", "write", "delete")
"""The permissions that groups can have on a class."""


def classes_of(tags: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the classes that the tags name."""
    classes = tags.get(AUTH_CLASSES, ())
    return (classes,) if isinstance(classes, str) else tuple(classes)


def document_classes(document: Metadata) -> tuple[str, ...]:
    """Return the classes of a Flow, a Source or a webhook."""
    return classes_of(document.get("tags") or {})


@dataclass(frozen=True, slots=True)
class Access:
    """The classes that a principal may read, write and delete.

    None means unrestricted, media without a class included. Either all three are None or none of them is.
    """

    read: frozenset[str] | None = None
    write: frozenset[str] | None = None
    delete: frozenset[str] | None = None

    @property
    def is_limited(self) -> bool:
        """True unless access is unrestricted."""
        return self.read is not None

    def may(self, permission: Permission, classes: Collection[str]) -> bool:
        """Return True if an item with these classes may be read, written or deleted."""
        granted = self.granted(permission)
        return granted is None or not granted.isdisjoint(classes)

    def knows(self, classes: Collection[str]) -> bool:
        """Return True if there is any permission on an item with these classes.

        Without any, the item does not exist for the principal.
        """
        return any(self.may(permission, classes) for permission in PERMISSIONS)

    def granted(self, permission: Permission) -> frozenset[str] | None:
        """Return the classes with the permission; None means unrestricted."""
        return {"read": self.read, "write": self.write, "delete": self.delete}[permission]

    def may_use(self, permission: Permission, backend_tags: Mapping[str, Any]) -> bool:
        """Return True if a Storage Backend may be read from or written to; one without classes is open to all."""
        classes = classes_of(backend_tags)
        return not classes or self.may(permission, classes)

    def knows_backend(self, backend_tags: Mapping[str, Any]) -> bool:
        """Return True if there is any permission on a Storage Backend."""
        classes = classes_of(backend_tags)
        return not classes or self.knows(classes)

    def readable(self, tags: TagFilter = NO_TAGS) -> TagFilter:
        """Return the filter, narrowed to items that may be read."""
        return tags if self.read is None else _narrowed(tags, self.read)

    def known(self) -> TagFilter:
        """Return the filter for items that there is any permission on."""
        per_permission = [granted for permission in PERMISSIONS if (granted := self.granted(permission)) is not None]
        return _narrowed(NO_TAGS, frozenset[str]().union(*per_permission)) if per_permission else NO_TAGS

    def check_change(self, before: Collection[str], after: Collection[str]) -> None:
        """Refuse a change of the classes of a Flow or Source that is not permitted; `before` is empty for a new one.

        Raises:
            Forbidden: A class is added or removed that may not be written.
            Invalid: No class is left, so that only admin could see the item again.
        """
        if self.write is None:
            return
        if not after:
            writable = ", ".join(sorted(self.write)) or "none"
            raise Invalid.field(
                f"tags.{AUTH_CLASSES}", f"required: give one or more of the classes you may write: {writable}"
            )
        self.check_difference(before, after)

    def check_difference(self, before: Collection[str], after: Collection[str]) -> None:
        """Refuse a change that adds or removes a class that may not be written.

        Raises:
            Forbidden: There is such a class.
        """
        if self.write is None:
            return
        added, removed = set(after) - set(before) - self.write, set(before) - set(after) - self.write
        if added:
            raise Forbidden(f"{AUTH_CLASSES}: you may not add {min(added)}, because you have no write permission on it")
        if removed:
            # The message does not name the class, because the principal may be unable to read it.
            raise Forbidden(f"{AUTH_CLASSES}: this change would remove {len(removed)} class(es) that you may not write")


EVERYTHING: Final = Access()
"""Unrestricted access: admins, and everyone when classes are off."""


def refuse_unclassified(access: Access, tag: str) -> None:
    """Refuse to remove the tag that holds the classes.

    Raises:
        Forbidden: `tag` is that tag, and the access is limited.
    """
    if access.is_limited and tag == AUTH_CLASSES:
        raise Forbidden(f"only admin could see this without {AUTH_CLASSES}: set other classes instead")


def _narrowed(tags: TagFilter, classes: Iterable[str]) -> TagFilter:
    return replace(tags, any_of=(*tags.any_of, (AUTH_CLASSES, tuple(sorted(classes)))))


class ClassMap:
    """The permissions of groups on classes: by class, then by permission, the names of groups."""

    def __init__(self, classes: Mapping[str, Mapping[Permission, Collection[str]]]) -> None:
        self.names = frozenset(classes)
        self._granted: dict[Permission, dict[str, set[str]]] = {permission: {} for permission in PERMISSIONS}
        for name, permissions in classes.items():
            for permission, groups in permissions.items():
                for group in groups:
                    self._granted[permission].setdefault(group, set()).add(name)

    def groups(self, name: str, permission: Permission) -> list[str]:
        """Return the groups that have the permission on the class."""
        return sorted(group for group, names in self._granted[permission].items() if name in names)

    def access(self, groups: Iterable[str]) -> Access:
        """Return the access of a member of all these groups."""
        members_groups = tuple(groups)
        read, write, delete = (
            frozenset[str]().union(*(self._granted[permission].get(group, ()) for group in members_groups))
            for permission in PERMISSIONS
        )
        return Access(read, write, delete)

"""The `Store`: what services work with, put together once by `tams.app`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

from tams.config import Settings
from tams.domain import clock
from tams.domain.access import EVERYTHING, Access, ClassMap
from tams.domain.errors import Invalid
from tams.domain.principals import ADMIN, Principal
from tams.repository.port import Repository, Write
from tams.services import unit_of_work
from tams.services.access.authorization import missing_permission
from tams.services.access.visibility import LimitedRead, VisibleRead
from tams.storage.port import Storage

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Store:
    """A Time-addressable Media Store: a repository for the metadata, Storage Backends (by id) for the bytes.

    `classes` maps groups to their permissions on classes of media; if it is None, scopes alone decide. `now` returns
    microseconds since the epoch.
    """

    repository: Repository
    storages: Mapping[str, Storage]
    settings: Settings
    classes: ClassMap | None = None
    now: Callable[[], int] = clock.now

    def access(self, principal: Principal) -> Access:
        """Return the principal's permissions on media, by class."""
        return self.access_of(principal.groups, admin=ADMIN in principal.scopes)

    def access_of(self, groups: Iterable[str], *, admin: bool) -> Access:
        """Return the permissions of a member of the groups; `admin` has all permissions."""
        return EVERYTHING if self.classes is None or admin else self.classes.access(groups)

    def visible_to(self, principal: Principal) -> AbstractContextManager[VisibleRead]:
        """Open a snapshot restricted to what the principal may read. All data for clients is read through it."""
        access = self.access(principal)
        return self._limited(access) if access.is_limited else self.repository.read()

    def ask(self, principal: Principal, question: Callable[[VisibleRead], T]) -> T:
        """Return the answer to a single question (see `Repository.ask`), restricted to what the principal may read."""
        access = self.access(principal)
        if not access.is_limited:
            return self.repository.ask(question)
        with self._limited(access) as read:
            return question(read)

    @contextlib.contextmanager
    def _limited(self, access: Access) -> Iterator[VisibleRead]:
        with self.repository.read() as read:
            yield LimitedRead(read, access)

    def write(self, transact: Callable[[Write], T]) -> T:
        """Run `transact` in one transaction, again if it raises `Retry` (see `tams.services.unit_of_work.run`)."""
        return unit_of_work.run(self.repository, transact)

    def storage(self, storage_id: str | None, access: Access = EVERYTHING) -> Storage:
        """Return the Storage Backend with this id, or the default one if the id is None.

        Raises:
            Invalid: there is no such Storage Backend, or `access` has no permission on it at all.
        """
        if storage_id is None:
            for storage in self.storages.values():
                if storage.backend.default and access.knows_backend(storage.backend.tags):
                    return storage
            raise Invalid.field("storage_id", "this service has no default Storage Backend; give the id of one")
        named = self.storages.get(storage_id)
        if named is None or not access.knows_backend(named.backend.tags):
            raise Invalid.field("storage_id", "there is no Storage Backend with this id; see /service/storage-backends")
        return named

    def writable_storage(self, storage_id: str | None, access: Access) -> Storage:
        """Return the Storage Backend for new bytes.

        Raises:
            Invalid: as `storage` does.
            Forbidden: `access` may not write to the Storage Backend.
        """
        storage = self.storage(storage_id, access)
        if not access.may_use("write", storage.backend.tags):
            raise missing_permission("write", "this Storage Backend")
        return storage

    def shown_backends(self, access: Access) -> dict[str, Storage]:
        """Return the Storage Backends that `access` may read from, by id."""
        return {
            storage_id: storage
            for storage_id, storage in self.storages.items()
            if access.may_use("read", storage.backend.tags)
        }

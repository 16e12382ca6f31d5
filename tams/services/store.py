"""The parts that a service works with, put together once by `tams.app`."""

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
from tams.services.access.authorization import lacking
from tams.services.access.visibility import LimitedRead, VisibleRead
from tams.storage.port import Storage

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Store:
    """A Time-addressable Media Store: a repository for the metadata, Storage Backends (by id) for the bytes.

    `classes` says what groups may do with which media; None where scopes are for everything. `now` gives microseconds
    since the epoch.
    """

    repository: Repository
    storages: Mapping[str, Storage]
    settings: Settings
    classes: ClassMap | None = None
    now: Callable[[], int] = clock.now

    def access(self, principal: Principal) -> Access:
        """What the principal may do with media of which classes."""
        return self.access_of(principal.groups, admin=ADMIN in principal.scopes)

    def access_of(self, groups: Iterable[str], *, admin: bool) -> Access:
        """What somebody in these groups may do, or somebody with the admin scope."""
        return EVERYTHING if self.classes is None or admin else self.classes.access(groups)

    def visible_to(self, principal: Principal) -> AbstractContextManager[VisibleRead]:
        """A snapshot as the principal sees it: whatever is shown to somebody is read through this."""
        access = self.access(principal)
        return self._seen(access) if access.is_limited else self.repository.read()

    def ask(self, principal: Principal, question: Callable[[VisibleRead], T]) -> T:
        """The answer to one question (see `Repository.ask`) of what the principal sees."""
        access = self.access(principal)
        if not access.is_limited:
            return self.repository.ask(question)
        with self._seen(access) as sight:
            return question(sight)

    @contextlib.contextmanager
    def _seen(self, access: Access) -> Iterator[VisibleRead]:
        with self.repository.read() as read:
            yield LimitedRead(read, access)

    def write(self, transact: Callable[[Write], T]) -> T:
        """Run `transact` in one transaction, again if it raises `Retry` (see `tams.services.unit_of_work.run`)."""
        return unit_of_work.run(self.repository, transact)

    def storage(self, storage_id: str | None, access: Access = EVERYTHING) -> Storage:
        """The Storage Backend with that id, or the default one. `Invalid` where there is none that `access` knows."""
        if storage_id is None:
            for storage in self.storages.values():
                if storage.backend.default and access.knows_backend(storage.backend.tags):
                    return storage
            raise Invalid.field("storage_id", "this service has no default Storage Backend: name one")
        found = self.storages.get(storage_id)
        if found is None or not access.knows_backend(found.backend.tags):
            raise Invalid.field("storage_id", "there is no Storage Backend with this id; see /service/storage-backends")
        return found

    def writable_storage(self, storage_id: str | None, access: Access) -> Storage:
        """The same, for new bytes. `Forbidden` where `access` knows it and may not write to it."""
        found = self.storage(storage_id, access)
        if not access.may_use("write", found.backend.tags):
            raise lacking("write", "this Storage Backend")
        return found

    def shown_backends(self, access: Access) -> dict[str, Storage]:
        """Those of the Storage Backends that may be read, by id."""
        return {
            storage_id: storage
            for storage_id, storage in self.storages.items()
            if access.may_use("read", storage.backend.tags)
        }

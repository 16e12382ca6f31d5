"""The parts that a service works with, put together once by `tams.app`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from tams.config import Settings
from tams.domain import clock
from tams.domain.errors import Contended, Invalid
from tams.domain.identifiers import new_id
from tams.repository.port import Repository, Write
from tams.storage.port import Storage

T = TypeVar("T")

_ATTEMPTS = 10


class Moved(Exception):
    """What was to be claimed changed before it was: the transaction has to begin again."""


@dataclass(frozen=True, slots=True)
class Store:
    """A Time-addressable Media Store: a repository for the metadata, Storage Backends (by id) for the bytes.

    `now` gives microseconds since the epoch.
    """

    repository: Repository
    storages: Mapping[str, Storage]
    settings: Settings
    now: Callable[[], int] = clock.now

    def write(self, body: Callable[[Write], T]) -> T:
        """Run `body` in one transaction under a new operation id (see `Repository.write`).

        It begins anew where the body raises `Moved`; `Contended` after ten times.
        """
        for _ in range(_ATTEMPTS):
            with contextlib.suppress(Moved):
                return self.repository.write(new_id(), body)
        raise Contended("others keep changing what this request is about; try again")

    def storage(self, storage_id: str | None) -> Storage:
        """The Storage Backend with that id, or the default one. `Invalid` where there is none."""
        if storage_id is None:
            for storage in self.storages.values():
                if storage.backend.default:
                    return storage
            raise Invalid.field("storage_id", "this service has no default Storage Backend: name one")
        found = self.storages.get(storage_id)
        if found is None:
            raise Invalid.field("storage_id", "there is no Storage Backend with this id; see /service/storage-backends")
        return found

"""Comparing the storage keys in the database with those in a Storage Backend.

Both are walked by key at the same time, page by page. A key that only one of them has is checked a second time, because
the two pages are of different moments. A key is recorded before bytes can be stored under it, and its deletion is
recorded before they are deleted; so the database is asked last, and its answer counts. A key that it does not know at
that time is never used again, and its bytes may be deleted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from tams.domain.clock import MICROSECONDS
from tams.domain.objects import Instance, Object
from tams.repository.port import Counted, Cursor, Page, pages
from tams.services.objects.byte_deletion import DELETE_BYTES
from tams.services.objects.copies import COPY_INSTANCE
from tams.services.objects.missing_media import with_media
from tams.services.store import Store
from tams.storage.port import BackendDown, Listed, Storage, StorageError

logger = logging.getLogger(__name__)

_MOST_SEGMENTS: Final = 1000


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A storage key that only one side has.

    `orphan`: bytes that neither an instance nor a job names. `missing`: an instance that clients can see, without
    bytes. `segments` counts the Segments that therefore have no media, because the Object has bytes in no other place
    either: at most a thousand for each Object, which counts once if it lacks several instances. `modified` is in
    seconds since 1970. `problem` is the reason why an orphan was not deleted by a repair.
    """

    finding: Literal["orphan", "missing"]
    key: str
    object_id: str | None
    size: int | None = None
    modified: int | None = None
    deleted: bool = False
    problem: str | None = None
    segments: int = 0


class _Named(NamedTuple):
    """The storage key of an instance, and the id of its Object."""

    key: str
    object_id: str


class Reconciliation:
    """The comparison of one Storage Backend with the database; `repair` deletes orphans that are old enough.

    A repair also removes files of the backend's own that belong to no bytes.

    `page` keys of each side are in memory at a time. `stored` and `named` count the keys with bytes and the keys with
    instances that were read so far.
    """

    def __init__(self, store: Store, storage: Storage, *, repair: bool, page: int = 1000) -> None:
        self.stored = 0
        self.named = 0
        self._store = store
        self._storage = storage
        self._repair = repair
        self._page = page

    def discrepancies(self) -> Iterator[Discrepancy]:
        """Yield each discrepancy once it is confirmed. Skip keys whose state is uncertain.

        Raise `StorageError` or `Unavailable`.
        """
        orphans: list[Listed] = []
        missing: list[_Named] = []
        for candidate in self._only_on_one_side():
            if isinstance(candidate, Listed):
                orphans.append(candidate)
            else:
                missing.append(candidate)
            if len(orphans) + len(missing) == self._page:
                yield from self._check_again(orphans, missing)
                orphans, missing = [], []
        yield from self._check_again(orphans, missing)
        if self._repair:
            settings = self._store.settings
            self._storage.tidy(settings.min_object_timeout + settings.object_grace)

    def _only_on_one_side(self) -> Iterator[Listed | _Named]:
        listed, named = self._listed(), self._instances()
        stored, recorded = next(listed, None), next(named, None)
        while stored is not None or recorded is not None:
            if recorded is None or (stored is not None and stored.key < recorded.key):
                if stored is not None:
                    yield stored
                stored = next(listed, None)
            elif stored is None or recorded.key < stored.key:
                yield recorded
                recorded = next(named, None)
            else:
                stored, recorded = next(listed, None), next(named, None)

    def _listed(self) -> Iterator[Listed]:
        after: str | None = None
        while page := self._storage.listing(after, self._page):
            self.stored += len(page)
            yield from page
            after = page[-1].key

    def _instances(self) -> Iterator[_Named]:
        def page_after(after: Cursor | None) -> Page[tuple[str, Instance]]:
            with self._store.repository.read() as read:
                return read.instances_of(self._storage.backend.id, after=after, limit=self._page)

        for page in pages(page_after):
            self.named += len(page)
            yield from (
                _Named(instance.storage_key, object_id)
                for object_id, instance in page
                if instance.storage_key is not None
            )

    def _check_again(self, orphans: Sequence[Listed], missing: Sequence[_Named]) -> Iterator[Discrepancy]:
        keys = [item.key for item in orphans]
        with self._store.repository.read() as read:
            known = read.keys_known(self._storage.backend.id, keys)
            known |= read.queued(DELETE_BYTES, keys) | read.queued(COPY_INSTANCE, keys)
            objects = read.objects({item.object_id for item in missing})
        # An Object that is not registered may have no bytes yet, and so may a copy that is not ready.
        visible = {
            instance.storage_key
            for item in objects.values()
            if item.kind is not None
            for instance in item.instances
            if instance.ready
        }
        for orphan in orphans:
            if orphan.key not in known and self._has_bytes(orphan.key):
                yield self._orphan(orphan)
        for item in missing:
            if item.key in visible and self._storage.head(item.key) is None:
                segments = self._segments_without_media(objects[item.object_id], item.key)
                yield Discrepancy("missing", item.key, item.object_id, segments=segments)

    def _segments_without_media(self, item: Object, storage_key: str) -> int:
        """Count the Segments that need the Object, unless it has bytes elsewhere or was counted with another key."""
        shown = [instance for instance in item.instances if instance.ready]
        if shown[0].storage_key != storage_key or with_media(self._store, {item.id: shown}):
            return 0
        with self._store.repository.read() as read:
            # Segments need an initialisation Object through the Objects of their media.
            what: Counted = "objects of init" if item.kind == "init" else "segments of object"
            return read.count_up_to(what, item.id, _MOST_SEGMENTS)

    def _has_bytes(self, key: str) -> bool:
        """Return False if the bytes were deleted after they were listed."""
        try:
            return self._storage.head(key) is not None
        except BackendDown:
            # The bytes may be damaged, but they were listed.
            return True

    def _orphan(self, orphan: Listed) -> Discrepancy:
        deleted, problem = False, None
        if self._repair:
            problem = self._delete(orphan)
            deleted = problem is None
        object_id = self._storage.object_id_of(orphan.key)
        return Discrepancy("orphan", orphan.key, object_id, orphan.size, orphan.modified, deleted, problem)

    def _delete(self, orphan: Listed) -> str | None:
        """Delete the bytes and return None, or return why they were not deleted."""
        settings = self._store.settings
        age = self._store.now() // MICROSECONDS - orphan.modified
        if age <= settings.min_object_timeout + settings.object_grace:
            return "not deleted: too young to be judged"
        try:
            self._storage.delete(orphan.key)
        except StorageError as error:
            return f"not deleted: {error}"
        logger.info("deleted the orphaned key %s of Storage Backend %s", orphan.key, self._storage.backend.id)
        return None

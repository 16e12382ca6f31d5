"""Base classes of the parts of a transaction: the staged view, and for writes the locks that the decision rests on."""

from __future__ import annotations

from tams.domain.errors import IntegrityBroken
from tams.repository.port import Read, Write
from tams.repository.vast.staging import StagedView
from tams.repository.vast.tables import OBJECTS


class ReadPart(Read):
    """A part of the port's `Read`, for one kind of resource."""

    _view: StagedView


class WritePart(ReadPart, Write):
    """A part of the port's `Write`, for one kind of resource."""

    _locks: set[str]
    """The locks of everything that the decision rests on."""
    _failure: IntegrityBroken | None
    """The first broken promise. It fails the transaction even if the callback suppresses the exception."""
    _unreferenced: set[str]
    """Objects without references, according to the reads of this transaction."""

    def _require(self, *locks: str) -> None:
        """Note that the decision rests on what these locks stand for, claimed or not."""
        self._locks.update(locks)

    def _require_objects(self, *object_ids: str) -> None:
        """Note that the decision rests on these Objects.

        An Object that is allocated and not registered has no lock of its own. All that are allocated to one Flow share
        one lock.
        """
        stored = {row["id"]: row for row in self._view.stored(OBJECTS, "id", object_ids)}
        for object_id in object_ids:
            row = stored.get(object_id)
            if row is not None and row["kind"] is None and row["allocated_to"] is not None:
                self._locks.add(f"allocations {row['allocated_to']}")
            else:
                self._locks.add(f"object {object_id}")

    def _broken(self, message: str) -> IntegrityBroken:
        """Return an error to raise, and note it: nothing is stored, even if the callback suppresses it."""
        error = IntegrityBroken(message)
        if self._failure is None:
            self._failure = error
        return error

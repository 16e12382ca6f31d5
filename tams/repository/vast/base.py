"""What the parts of a transaction share: the view, and for writes the locks that they rest on."""

from __future__ import annotations

from tams.domain.errors import IntegrityBroken
from tams.repository.vast.staging import View
from tams.repository.vast.tables import OBJECTS


class Reads:
    """A part that only asks."""

    _view: View


class Writes(Reads):
    """A part that changes something."""

    _needed: set[str]
    _failure: IntegrityBroken | None
    _unreferenced: set[str]
    """Objects that nothing refers to, as far as this transaction has looked."""

    def _needs(self, *locks: str) -> None:
        """The transaction rests on what these locks stand for, claimed or not."""
        self._needed.update(locks)

    def _needs_object(self, *object_ids: str) -> None:
        """The same for Objects. What is allocated and not registered is locked with its Flow, all of it by one lock."""
        stored = {row["id"]: row for row in self._view.stored(OBJECTS, "id", object_ids)}
        for object_id in object_ids:
            row = stored.get(object_id)
            if row is not None and row["kind"] is None and row["allocated_to"] is not None:
                self._needed.add(f"allocations {row['allocated_to']}")
            else:
                self._needed.add(f"object {object_id}")

    def _broken(self, message: str) -> IntegrityBroken:
        """An error after which nothing is stored, even if the caller goes on."""
        error = IntegrityBroken(message)
        if self._failure is None:
            self._failure = error
        return error

"""The port's `Read` and `Write` on VAST Database, put together from their parts."""

from __future__ import annotations

from collections.abc import Callable, Collection

from typing_extensions import override

from tams.domain.errors import IntegrityBroken
from tams.repository.port import Key
from tams.repository.vast.concurrency.pruning import LockWrites
from tams.repository.vast.documents import DocumentReads, DocumentWrites
from tams.repository.vast.events import DeliveryReads, EventWrites
from tams.repository.vast.flows import FlowReads, FlowWrites
from tams.repository.vast.jobs import JobReads, JobWrites
from tams.repository.vast.objects import ObjectReads, ObjectWrites
from tams.repository.vast.segments import SegmentReads, SegmentWrites
from tams.repository.vast.sources import SourceReads, SourceWrites
from tams.repository.vast.staging import StagedView


class VastRead(FlowReads, SourceReads, SegmentReads, ObjectReads, DocumentReads, DeliveryReads, JobReads):
    """One snapshot."""

    def __init__(self, view: StagedView) -> None:
        self._view = view


class VastWrite(
    FlowWrites,
    SourceWrites,
    SegmentWrites,
    ObjectWrites,
    DocumentWrites,
    EventWrites,
    JobWrites,
    LockWrites,
    VastRead,
):
    """A transaction. Its writes are staged until the transaction callback has returned.

    `queue` waits for other threads of this process and returns whether it had to. `read_locks` reads the states of
    locks.
    """

    def __init__(
        self,
        view: StagedView,
        queue: Callable[[Collection[str]], bool],
        read_locks: Callable[[Collection[str]], None],
    ) -> None:
        super().__init__(view)
        self._queue = queue
        self._read_locks = read_locks
        self._claimed = False
        self._locks = set()
        self._failure = None
        self._unreferenced = set()
        self.forgotten = frozenset()

    @override
    def claim(self, *keys: Key) -> None:
        # This notes what the decision rests on. Conflicts are settled when the callback has returned; after a lost race
        # it runs again.
        if self._claimed:
            raise self._broken("a transaction claims once")
        if self._view.has_changes:
            raise self._broken("a transaction claims before its first write")
        self._claimed = True
        if self._queue([f"{kind} {name}" for kind, name in keys]):
            self._view.renew()
        self._require(*(f"{kind} {name}" for kind, name in keys if kind != "object"))
        self._require_objects(*{name for kind, name in keys if kind == "object"})
        if self._locks:
            self._read_locks(self._locks)

    def finish_callback(self) -> frozenset[str]:
        """Return the locks of everything that the transaction rests on, after its callback has returned.

        Raises:
            IntegrityBroken: a write broke a promise, and the callback suppressed the exception.
        """
        failure: IntegrityBroken | None = self._failure
        if failure is not None:
            raise failure
        return frozenset(self._locks)

"""What a request holds while its transaction is open: the port's `Read` and `Write`."""

from __future__ import annotations

from collections.abc import Callable, Collection

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
from tams.repository.vast.staging import View


class VastRead(FlowReads, SourceReads, SegmentReads, ObjectReads, DocumentReads, DeliveryReads, JobReads):
    """One snapshot."""

    def __init__(self, view: View) -> None:
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
    """A transaction. Its writes are kept until the body is done.

    `queue` waits for other threads of this process and says whether it had to; `read_locks` reads what is claimed.
    """

    def __init__(
        self, view: View, queue: Callable[[Collection[str]], bool], read_locks: Callable[[Collection[str]], None]
    ) -> None:
        super().__init__(view)
        self._queue = queue
        self._read_locks = read_locks
        self._claimed = False
        self._needed = set()
        self._failure = None
        self._unreferenced = set()
        self.forgotten = frozenset()

    def claim(self, *keys: Key) -> None:
        """Note what the decision rests on. Others are met when the body is done; if one was first, it runs again."""
        if self._claimed:
            raise self._broken("a transaction claims once")
        if self._view.changed:
            raise self._broken("a transaction claims before its first write")
        self._claimed = True
        if self._queue([f"{kind} {name}" for kind, name in keys]):
            self._view.renew()
        self._needs(*(f"{kind} {name}" for kind, name in keys if kind != "object"))
        self._needs_object(*{name for kind, name in keys if kind == "object"})
        if self._needed:
            self._read_locks(self._needed)

    def finished(self) -> frozenset[str]:
        """The locks of everything that the transaction rests on. Raises what the body should not have passed over."""
        failure: IntegrityBroken | None = self._failure
        if failure is not None:
            raise failure
        return frozenset(self._needed)

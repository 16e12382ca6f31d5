"""The repository port: what services may ask of a database, and what every adapter promises.

An adapter is correct if it passes the contract suite in `tests/repository`, whatever its engine is. The port is shaped
by the engine with the fewest features: one without joins, ordering, constraints, or the guarantee that a transaction
runs only once. Adapters return domain values and raise domain errors. An engine that does not answer raises
`Unavailable`; it is never an empty result.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeAlias, TypeVar

from tams.domain.events import Delivery, Event
from tams.domain.filters import NO_TAGS, FlowFilter, FlowOrder, SourceFilter, SourceOrder, TagFilter
from tams.domain.flows import Flow, Source
from tams.domain.objects import Instance, Object
from tams.domain.segments import Segment
from tams.domain.timerange import TimeRange

T = TypeVar("T")

Cursor: TypeAlias = str
"""The position at which a page ended, in the order of its listing. Only the adapter that made a cursor can read it."""

Key: TypeAlias = tuple[Literal["flow", "source", "object", "profile", "document", "collections"], str]
"""Kind and id of a resource whose existence or state a write depends on, and that it claims. It may not exist."""

Counted = Literal[
    "flows of source",
    "segments of object",
    "objects of init",
    "documents of kind",
    "deliveries of webhook",
    "events in outbox",
]
"""The counts of `Read.count_up_to`, each with the kind of its owner. The outbox has none: its owner is ignored."""


class Page(NamedTuple, Generic[T]):
    """Up to `limit` items in the order of a listing, and the cursor of the next page: None on the last page.

    Every page but the last has exactly `limit` items.
    """

    items: list[T]
    next: Cursor | None


def pages(page_after: Callable[[Cursor | None], Page[T]]) -> Iterator[list[T]]:
    """Yield the items of each page of a listing. An empty listing is one page without items.

    `page_after` returns the page after a cursor, or the first page for None. It is called only once the caller is done
    with the page before.
    """
    after: Cursor | None = None
    while True:
        items, after = page_after(after)
        yield items
        if after is None:
            return


def all_items(page_after: Callable[[Cursor | None], Page[T]]) -> Iterator[T]:
    """Yield the items of a whole listing, reading page after page as `pages` does."""
    return chain.from_iterable(pages(page_after))


@dataclass(frozen=True, slots=True)
class Document:
    """A small JSON document of a kind (`profile`, `delete-request`, `webhook`, …).

    `keys` are texts that listings order by (one unique text per order) and filter by (equality). `tags` can be
    filtered by, too. No key is named `tag` or `tag value`, because the index uses these names for tags.
    """

    kind: str
    id: str
    body: dict[str, Any]
    keys: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str | list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """Work for the background worker, unique by `(kind, job_id)`: enqueuing it again replaces payload and due time.

    `due` is in microseconds since 1970. `attempts` counts the leases so far, the present one included.
    """

    kind: str
    job_id: str
    payload: dict[str, Any]
    due: int
    attempts: int = 0


class Pace(NamedTuple):
    """Batch size per transaction, and the pause after each batch as a multiple of its duration."""

    batch: int
    pause: float


class Read(Protocol):
    """A snapshot: everything read through it is of one moment.

    A Flow that was detached (see `Write.detach_flow`) is in no result, unless a method says otherwise.
    """

    # Flows

    def flow(self, flow_id: str) -> Flow | None:
        """Return the Flow, with extent and number of Segments; None if it does not exist."""

    def flows_by_id(self, flow_ids: Collection[str]) -> dict[str, Flow]:
        """Return the Flows that exist, by id."""

    def flow_of_key(self, flow_key: int) -> Flow | None:
        """Return the Flow with this internal key; None if it does not exist."""

    def list_flows(
        self, where: FlowFilter, *, order: FlowOrder, reverse: bool, after: Cursor | None, limit: int
    ) -> Page[Flow]:
        """Return a page of the Flows that match `where`.

        `tams.domain.sort_keys` defines the orders, as texts that are unique and compared by code point. `reverse`
        reverses the whole order, ties included.
        """

    # Sources

    def source(self, source_id: str) -> Source | None:
        """Return the Source; None if it does not exist."""

    def sources_by_id(self, source_ids: Collection[str]) -> dict[str, Source]:
        """Return the Sources that exist, by id."""

    def list_sources(
        self, where: SourceFilter, *, order: SourceOrder, reverse: bool, after: Cursor | None, limit: int
    ) -> Page[Source]:
        """Return a page of the Sources that match `where`, in an order as those of `list_flows`."""

    # Segments, by the internal key of their Flow, which may be detached

    def segments(
        self,
        flow_key: int,
        overlapping: TimeRange,
        *,
        object_id: str | None,
        reverse: bool,
        after: Cursor | None,
        limit: int,
    ) -> Page[Segment]:
        """Return a page of the Segments that overlap the timerange, wholly or partly, in order of time.

        With `object_id`, return only the Segments of this Object.
        """

    def segments_within(
        self,
        flow_key: int,
        within: TimeRange,
        limit: int,
        *,
        object_id: str | None = None,
        init_object_id: str | None = None,
        registered_before: int | None = None,
    ) -> list[Segment]:
        """Return the first `limit` Segments, in order of time, that lie wholly inside the timerange.

        Deletions use this. `registered_before` (microseconds, exclusive), `object_id` and `init_object_id` narrow the
        result.
        """

    def overlaps(self, flow_key: int, ranges: Sequence[TimeRange]) -> list[bool]:
        """Tell for each of the bounded timeranges whether a stored Segment overlaps it.

        The number of statements is constant.
        """

    def extent(self, flow_key: int, overlapping: TimeRange) -> TimeRange | None:
        """Return the time from the start of the first to the end of the last Segment that overlaps the timerange.

        Return None if no Segment does.
        """

    def init_use(self, flow_key: int) -> tuple[bool, bool]:
        """Tell whether the Flow has a Segment with, and whether it has one without, an initialisation Object."""

    # Objects

    def objects(self, object_ids: Collection[str]) -> dict[str, Object]:
        """Return the Objects that exist, unregistered ones included, by id, each with all its instances."""

    def instances(self, object_ids: Collection[str]) -> dict[str, tuple[Instance, ...]]:
        """Return the instances of the Objects that have any, in their order, by the id of the Object.

        A page of Segments needs no more of its Objects than this.
        """

    def still_referenced(self, object_ids: Collection[str]) -> set[str]:
        """Return the ids of the Objects that are in use.

        An Object is in use if a Segment of any Flow, detached ones included, refers to it, or if another Object has it
        as its initialisation Object.
        """

    def references(
        self, object_id: str, *, flow_tags: TagFilter = NO_TAGS, after: Cursor | None = None, limit: int = 100
    ) -> Page[str]:
        """Return a page of the ids of the Flows that refer to the Object, each once, in code-point order.

        Flows refer to an initialisation Object through other Objects. Only Flows whose tags match `flow_tags` are
        returned.
        """

    def referred_to(self, object_ids: Collection[str], flow_tags: TagFilter) -> set[str]:
        """Return the ids of the Objects for which `references` would return at least one Flow.

        The number of statements is constant.
        """

    def allocations_before(self, created: int, *, after: Cursor | None, limit: int) -> Page[Object]:
        """Return a page of the unregistered Objects that were allocated before `created` (microseconds).

        The oldest come first.
        """

    def instances_of(self, storage_id: str, *, after: Cursor | None, limit: int) -> Page[tuple[str, Instance]]:
        """Return a page of the instances in a Storage Backend, by storage key in code-point order.

        Each comes with the id of its Object, which may be unregistered.
        """

    def keys_known(self, storage_id: str, storage_keys: Collection[str], /) -> set[str]:
        """Return the storage keys that instances in the Storage Backend have."""

    def object_at(self, storage_id: str, storage_key: str, /) -> str | None:
        """Return the id of the Object that has an instance under the storage key; None if no Object has."""

    def count_up_to(self, what: Counted, owner: str, cap: int) -> int:
        """Return the smaller of the count and `cap`, at a cost bounded by `cap`."""

    # Documents and jobs

    def document(self, kind: str, document_id: str) -> Document | None:
        """Return the document; None if it does not exist."""

    def list_documents(
        self,
        kind: str,
        *,
        order: str,
        where: Mapping[str, str],
        reverse: bool,
        after: Cursor | None,
        limit: int,
        tags: TagFilter = NO_TAGS,
    ) -> Page[Document]:
        """Return a page of the documents whose keys equal all of `where` and whose tags match `tags`.

        They are ordered by their key `order`. Documents without this key are left out.
        """

    def queued(self, kind: str, job_ids: Collection[str], /) -> set[str]:
        """Return the ids of the jobs of the kind that are in the queue, leased or not."""

    # Deliveries

    def deliveries(self, webhook_id: str, limit: int) -> list[Delivery]:
        """Return the first `limit` deliveries that wait for the webhook, by sequence."""


class Write(Read, Protocol):
    """A transaction: its reads see its own writes, and either all of its writes are stored or none.

    A method that raises `IntegrityBroken` dooms the transaction: nothing of it is stored, even if the caller goes on.
    An adapter whose engine checks a constraint at commit raises only then.
    """

    def claim(self, *keys: Key) -> None:
        """Claim resources, so that what is read of them from here on is still current at commit.

        Call this once, before the first write. Reads before it serve to find out what to claim, and may be outdated.

        Raises:
            IntegrityBroken: the transaction has claimed or written before.
        """

    # Sources and Flows

    def put_source(self, source: Source) -> None:
        """Store a new or changed Source."""

    def delete_source(self, source_id: str) -> None:
        """Remove a Source.

        Raises:
            IntegrityBroken: the Source has Flows.
        """

    def put_flow(self, flow: Flow) -> None:
        """Store a new or changed Flow, whose Source exists.

        The repository maintains `extent` and `count` itself, and `segments_updated` once the Flow has Segments: these
        fields of `flow` are ignored.

        Raises:
            IntegrityBroken: the Source does not exist, or the Flow is stored under another internal key.
        """

    def delete_flow(self, flow_id: str) -> None:
        """Remove a Flow that has no Segments.

        Raises:
            IntegrityBroken: the Flow has Segments.
        """

    def detach_flow(self, flow_id: str) -> None:
        """Take a Flow out of every result at once. Its Segments stay under its key until a deletion removes them."""

    def end_flow_key(self, flow_key: int) -> None:
        """Forget the key of a detached Flow. A key that is forgotten already is ignored.

        Raises:
            IntegrityBroken: there are Segments under the key.
        """

    # Segments

    def add_segments(self, flow_key: int, segments: Sequence[Segment]) -> None:
        """Store new Segments, and update count, extent and `segments_updated` (the largest `registered`) of the Flow.

        Raises:
            IntegrityBroken: a Segment overlaps another or a stored one, or its Object is not registered.
        """

    def remove_segments(self, flow_key: int, segments: Sequence[Segment], at: int) -> list[Segment]:
        """Remove the Segments that are still stored unchanged, and return them.

        `at` (microseconds) becomes `segments_updated` of the Flow.
        """

    # Objects

    def put_objects(self, objects: Iterable[Object]) -> None:
        """Store new or changed Objects. Their instances replace the stored ones.

        Raises:
            IntegrityBroken: the initialisation Object does not exist, a storage key belongs to another Object, or two
                instances of an Object share a Storage Backend or a label.
        """

    def delete_objects(self, object_ids: Collection[str]) -> None:
        """Remove Objects and their instances.

        Raises:
            IntegrityBroken: a Segment or another Object still refers to one of them.
        """

    # Documents

    def put_document(self, document: Document) -> None:
        """Store a new or changed document."""

    def delete_document(self, kind: str, document_id: str) -> bool:
        """Remove a document. Return False if it did not exist."""

    # Events and deliveries

    def append_events(self, events: Sequence[Event]) -> None:
        """Add events to the outbox. They are in it if and only if this transaction is committed."""

    def take_events(self, limit: int) -> list[Event]:
        """Remove the first `limit` events from the outbox, and return them, by `(created, position, id)`.

        Takers run one after the other, each event is taken by one of them, and a taker gets fewer than `limit` events
        only if the outbox holds no more. Transactions commit in another order than that of their events, so an event
        may appear before one that was taken already. Claim before taking.
        """

    def add_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """Queue deliveries. The caller has claimed their webhooks: `("document", webhook_id)`."""

    def ack(self, webhook_id: str, through: int) -> None:
        """Remove the webhook's deliveries up to and including the sequence `through`."""

    def drop_deliveries(self, webhook_id: str, limit: int) -> bool:
        """Remove the first `limit` of the webhook's deliveries. Return True if more are left."""

    # Jobs

    def enqueue(self, jobs: Iterable[Job]) -> None:
        """Queue jobs. They are in the queue if and only if this transaction is committed."""

    def finish(self, kind: str, job_id: str, /) -> None:
        """Remove a job from the queue, because its work is done."""


class Repository(Protocol):
    """The database of one process, and the only way to it. Make one after a fork; any thread may use it.

    `patience` is the factor by which polls for changes of other processes are spread out, because of what a poll costs
    on this engine.
    """

    patience: float

    @property
    def pace(self) -> Pace:
        """Tell background work how to divide large numbers of rows, so that requests are hardly delayed."""

    def read(self) -> AbstractContextManager[Read]:
        """Open a snapshot for one request."""

    def ask(self, question: Callable[[Read], T]) -> T:
        """Return the answer to one question, without the cost of a transaction.

        `question` calls at most one method of its argument, one that reads a single resource by its id. It may run
        again, on another connection.
        """

    def write(self, op: str, transact: Callable[[Write], T], /) -> T:
        """Run `transact` in a transaction, commit it, and return the result. `op` is a new id of this operation.

        `transact` may run several times, and must have no effect except through its argument. A commit whose outcome
        is in doubt is settled here: if this returns, everything is stored; if it raises, nothing is, with the one
        exception below. An exception of `transact` passes through.

        Raises:
            Contended: the transaction lost too many races against others.
            Unavailable: the engine does not answer. The message says so if the outcome remained unknown.
        """

    def lease(self, kind: str, worker: str, limit: int, seconds: int) -> list[Job]:
        """Lease up to `limit` jobs of the kind that are due to a worker, for a number of seconds.

        Leases are advisory: a worker that was paused may go on after its lease has ended, so handlers are idempotent.
        """

    def prolong(self, job: Job, seconds: int) -> bool:
        """Extend the lease of a job to so many seconds from now. Return False if the lease was lost.

        It was lost if the job is finished, was postponed or enqueued again, or is leased to another worker.
        """

    def postpone(self, job: Job, due: int, payload: Mapping[str, Any] | None = None) -> None:
        """Give a leased job back, due at a later time (microseconds), with another payload unless it is None."""

    def check(self) -> None:
        """Check that the database answers and has a schema that this code can use.

        Raises:
            Unavailable: it does not answer, or its schema is too old or too new.
        """

    def check_writable(self) -> None:
        """Check that the database can be changed, by a change that leaves nothing behind.

        Another transaction that is writing at this moment is proof enough.

        Raises:
            Unusable: it can be read but not changed, or the store lacks rights; the message says what to do.
            Unavailable: it does not answer.
        """

    def close(self) -> None:
        """Release all connections."""

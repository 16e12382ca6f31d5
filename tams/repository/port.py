"""What a repository promises. An adapter is right when it passes `tests/repository`, whatever engine is beneath it.

The port is shaped by the poorest engine that has to keep it: one without joins, order, constraints or a promise that a
transaction runs only once. Adapters return domain values and raise domain errors; an engine that does not answer is
`Unavailable`, never an empty result.
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
"""Made and understood by one adapter only: where a page ended, in the order of its listing."""

Key: TypeAlias = tuple[Literal["flow", "source", "object", "profile", "document", "collections"], str]
"""What a write claims: the kind and id of a thing whose existence or state its decision rests on; it may be absent."""

Counted = Literal[
    "flows of source",
    "segments of object",
    "objects of init",
    "documents of kind",
    "deliveries of webhook",
    "events in outbox",
]
"""What can be counted of an owner. The outbox has none: whatever is given."""


class Page(NamedTuple, Generic[T]):
    """Up to `limit` items in the order of the listing; `next` is None on the last page. Never short in the middle."""

    items: list[T]
    next: Cursor | None


def pages(page_after: Callable[[Cursor | None], Page[T]]) -> Iterator[list[T]]:
    """The items of each page of a listing; of an empty one, one page without any.

    `page_after` gives the page after a cursor (None: the first), once the page before has been used.
    """
    after: Cursor | None = None
    while True:
        items, after = page_after(after)
        yield items
        if after is None:
            return


def every(page_after: Callable[[Cursor | None], Page[T]]) -> Iterator[T]:
    """The items of a whole listing, as `pages` come to them."""
    return chain.from_iterable(pages(page_after))


@dataclass(frozen=True, slots=True)
class Document:
    """A small JSON document of a kind (`profile`, `delete-request`, `webhook`, …).

    `keys` are the texts by which documents of the kind are ordered (one unique text per order) and filtered (equality);
    `tags` can be filtered by, too, and no key is called `tag` or `tag value`.
    """

    kind: str
    id: str
    body: dict[str, Any]
    keys: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str | list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """Work for the background worker. `(kind, job_id)` is unique: enqueuing it again replaces payload and due time.

    `due` is in microseconds; `attempts` counts the leases so far.
    """

    kind: str
    job_id: str
    payload: dict[str, Any]
    due: int
    attempts: int = 0


class Pace(NamedTuple):
    """Things in a transaction, and how many times as long as that took everybody else has the database afterwards."""

    batch: int
    pause: float


class Read(Protocol):
    """One snapshot: everything read through it is of one moment."""

    # Flows. A Flow that was detached (see `Write.detach_flow`) is in none of the answers.
    def flow(self, flow_id: str) -> Flow | None:
        """The Flow, with extent and count."""

    def flows_by_id(self, flow_ids: Collection[str]) -> dict[str, Flow]:
        """Those of the Flows that exist."""

    def flow_of_key(self, flow_key: int) -> Flow | None:
        """The Flow that has this internal key."""

    def list_flows(
        self, where: FlowFilter, *, order: FlowOrder, reverse: bool, after: Cursor | None, limit: int
    ) -> Page[Flow]:
        """A page of Flows. Orders are those of `tams.domain.sort_keys`; `reverse` turns the whole order round."""

    # Sources
    def source(self, source_id: str) -> Source | None:
        """The Source."""

    def sources_by_id(self, source_ids: Collection[str]) -> dict[str, Source]:
        """Those of the Sources that exist."""

    def list_sources(
        self, where: SourceFilter, *, order: SourceOrder, reverse: bool, after: Cursor | None, limit: int
    ) -> Page[Source]:
        """A page of Sources."""

    # Segments, by the Flow's internal key
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
        """A page in time order of the Segments that overlap the range, wholly or partly (of one Object if given)."""

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
        """The first `limit` Segments in time order that lie wholly inside, for deletion.

        `registered_before` (microseconds, exclusive) and the Object filters narrow it.
        """

    def overlaps(self, flow_key: int, ranges: Sequence[TimeRange]) -> list[bool]:
        """For each bounded range whether a stored Segment overlaps it. A constant number of statements."""

    def extent(self, flow_key: int, overlapping: TimeRange) -> TimeRange | None:
        """From the start of the first to the end of the last Segment that overlaps the range, or None."""

    def init_use(self, flow_key: int) -> tuple[bool, bool]:
        """Whether the Flow has a Segment (with, without) an initialisation Object."""

    # Objects
    def objects(self, object_ids: Collection[str]) -> dict[str, Object]:
        """Those of the Objects that exist (unregistered ones too), each with all its instances."""

    def instances(self, object_ids: Collection[str]) -> dict[str, tuple[Instance, ...]]:
        """The instances of those of the Objects that have any, in their order: all that a page of Segments needs."""

    def still_referenced(self, object_ids: Collection[str]) -> set[str]:
        """Those that a Segment of any Flow (detached ones too) or, as init Object, another Object refers to."""

    def references(
        self, object_id: str, *, flow_tags: TagFilter = NO_TAGS, after: Cursor | None = None, limit: int = 100
    ) -> Page[str]:
        """Ids of the Flows that refer to the Object (for an init Object: through other Objects), each once, by id."""

    def referred_to(self, object_ids: Collection[str], flow_tags: TagFilter) -> set[str]:
        """Those of the Objects that `references` has a Flow for. A constant number of statements."""

    def allocations_before(self, created: int, *, after: Cursor | None, limit: int) -> Page[Object]:
        """Unregistered Objects that were allocated before the moment (microseconds), oldest first."""

    def instances_of(self, storage_id: str, *, after: Cursor | None, limit: int) -> Page[tuple[str, Instance]]:
        """The instances in the Storage Backend by their keys (code-point order), each with the id of its Object, which
        may be unregistered."""

    def keys_known(self, storage_id: str, keys: Collection[str]) -> set[str]:
        """Those of the storage keys that instances in the Storage Backend have."""

    def object_at(self, storage_id: str, key: str) -> str | None:
        """The id of the Object that has an instance under the storage key."""

    def count_up_to(self, what: Counted, owner: str, cap: int) -> int:
        """min(count, cap), at a cost bounded by `cap`."""

    # Documents and jobs
    def document(self, kind: str, document_id: str) -> Document | None:
        """The document."""

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
        """Documents of the kind whose keys equal all of `where` and whose tags `tags` matches, by their key `order`
        (those without it are left out)."""

    def queued(self, kind: str, keys: Collection[str]) -> set[str]:
        """Those of the keys that a job of the kind has, lent or not."""

    # Events on their way to webhooks
    def deliveries(self, webhook_id: str, limit: int) -> list[Delivery]:
        """The first `limit` that wait for the webhook, by sequence."""


class Write(Read, Protocol):
    """A transaction. Its own writes are seen by its reads; all of it is stored, or nothing."""

    def claim(self, *keys: Key) -> None:
        """Call once, before the first write: what is read of these things from here on is current at commit.

        Reads before it only find out what to claim.
        """

    def put_source(self, source: Source) -> None:
        """Store the Source, new or changed."""

    def delete_source(self, source_id: str) -> None:
        """Remove it. `IntegrityBroken` while it has Flows."""

    def put_flow(self, flow: Flow) -> None:
        """Store the Flow, new or changed; its Source exists. `extent` and `count` are kept by the repository, and
        `segments_updated` too once there are Segments: what `flow` says of them is ignored."""

    def delete_flow(self, flow_id: str) -> None:
        """Remove a Flow that has no Segments. `IntegrityBroken` with Segments left."""

    def detach_flow(self, flow_id: str) -> None:
        """Take a Flow out of every answer at once; its Segments stay under its key until a deletion removes them."""

    def end_flow_key(self, flow_key: int) -> None:
        """Forget the key of a detached Flow. `IntegrityBroken` with Segments left. Harmless when already forgotten."""

    def add_segments(self, flow_key: int, segments: Sequence[Segment]) -> None:
        """Store Segments that overlap neither each other nor stored ones, of registered Objects; count, extent and
        `segments_updated` (the largest `registered`) follow. `IntegrityBroken` otherwise."""

    def remove_segments(self, flow_key: int, segments: Sequence[Segment], at: int) -> list[Segment]:
        """Remove and return those of the Segments that are still there unchanged. `at` becomes `segments_updated`."""

    def put_objects(self, objects: Iterable[Object]) -> None:
        """Store Objects, new or changed, instances included (the given ones replace those stored)."""

    def delete_objects(self, object_ids: Collection[str]) -> None:
        """Remove Objects and their instances. `IntegrityBroken` while anything refers to one."""

    def put_document(self, document: Document) -> None:
        """Store the document, new or changed."""

    def delete_document(self, kind: str, document_id: str) -> bool:
        """Remove it; whether it was there."""

    def append_events(self, events: Sequence[Event]) -> None:
        """Put events into the outbox: there once this transaction is committed, and never if it is not."""

    def take_events(self, limit: int) -> list[Event]:
        """Remove the first `limit` events from the outbox, and return them, by `(created, position, id)`.

        What counts is that an event is there, not that it is newer than another one: transactions commit in another
        order than that of their events. Takers go one after the other, each event is taken by one of them, and less
        than `limit` come only where there are no more. A transaction takes after it has claimed.
        """

    def add_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """Have events wait for webhooks. The caller has claimed the webhooks (`("document", webhook id)`)."""

    def ack(self, webhook_id: str, through: int) -> None:
        """Remove the webhook's deliveries up to the sequence `through`, that one included."""

    def drop_deliveries(self, webhook_id: str, limit: int) -> bool:
        """Remove the first `limit` of the webhook's deliveries; True while more are left."""

    def enqueue(self, jobs: Iterable[Job]) -> None:
        """Queue work, done once this transaction is committed."""

    def finish(self, kind: str, key: str) -> None:
        """The job is done."""


class Repository(Protocol):
    """The door of an adapter. One per process, made after a fork; safe to use from many threads.

    `patience`: how many times longer than usual to wait between two looks for what others may have stored, because of
    what a look costs.
    """

    patience: float

    @property
    def pace(self) -> Pace:
        """How work in the background goes about large numbers, so that others hardly notice."""

    def read(self) -> AbstractContextManager[Read]:
        """A snapshot for one request."""

    def ask(self, question: Callable[[Read], T]) -> T:
        """The answer to one question: `question` calls one method of its argument that reads one thing by its id, at
        most once. That takes no transaction around it. It may run again, on another connection.
        """

    def write(self, op: str, body: Callable[[Write], T]) -> T:
        """Run `body` in a transaction and commit it. `op` is an id of the operation, new for each.

        `body` may run more than once and must do nothing but use its argument. A doubtful commit is settled inside:
        when this returns, it is stored; when it raises, nothing is. `Contended` after too many lost races,
        `Unavailable` when the engine does not answer; what `body` raises comes through, with nothing stored.
        """

    def lease(self, kind: str, worker: str, limit: int, seconds: int) -> list[Job]:
        """Jobs of the kind that are due, each lent to one worker for a while.

        Advisory: a paused worker may go on after its lease, so handlers are idempotent.
        """

    def prolong(self, job: Job, seconds: int) -> bool:
        """Hold a leased job for so long from now. False where the lease was lost: the job is done, was given back or
        enqueued anew, or another worker has it."""

    def postpone(self, job: Job, due: int, payload: Mapping[str, Any] | None = None) -> None:
        """Give a leased job back, to be done later (microseconds)."""

    def check(self) -> None:
        """Raise `Unavailable` unless the database answers and its schema is the one this code needs."""

    def close(self) -> None:
        """Release connections."""

"""A change for each write of the port, whose outcome can be checked afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tams.domain.events import Delivery
from tams.repository.port import Document, Job, Repository, Write
from tests.support import factories
from tests.support.factories import seconds
from tests.support.repository_steps import fill, new_flow, put_objects, put_sources, read, stored, write


@dataclass(frozen=True)
class Change:
    """A change: `make` does it, and `state` reads what it changes.

    `state` returns `before` until the change is done, and `after` from then on.
    """

    make: Callable[[], object]
    state: Callable[[], object]
    before: object
    after: object


def _change(
    repository: Repository, transact: Callable[[Write], object], state: Callable[[], object], after: object
) -> Change:
    return Change(lambda: write(repository, transact), state, state(), after)


def put_source(repository: Repository) -> Change:
    source = factories.source()
    return _change(
        repository,
        lambda tx: tx.put_source(source),
        lambda: read(repository, lambda snapshot: snapshot.source(source.id)),
        source,
    )


def delete_source(repository: Repository) -> Change:
    source = factories.source()
    put_sources(repository, source)
    return _change(
        repository,
        lambda tx: tx.delete_source(source.id),
        lambda: read(repository, lambda snapshot: snapshot.source(source.id)),
        None,
    )


def put_flow(repository: Repository) -> Change:
    flow = new_flow(repository)
    changed = replace(flow, metadata={**flow.metadata, "label": "new"})
    return _change(
        repository,
        lambda tx: tx.put_flow(changed),
        lambda: read(repository, lambda snapshot: snapshot.flow(flow.id)),
        changed,
    )


def delete_flow(repository: Repository) -> Change:
    flow = new_flow(repository)
    return _change(
        repository,
        lambda tx: tx.delete_flow(flow.id),
        lambda: read(repository, lambda snapshot: snapshot.flow(flow.id)),
        None,
    )


def detach_flow(repository: Repository) -> Change:
    flow = new_flow(repository)
    fill(repository, flow, [seconds(0, 1)])
    return _change(
        repository,
        lambda tx: tx.detach_flow(flow.id),
        lambda: read(repository, lambda snapshot: (snapshot.flow(flow.id) is None, len(stored(repository, flow)))),
        (True, 1),
    )


def end_flow_key(repository: Repository) -> Change:
    flow = new_flow(repository)
    write(repository, lambda tx: tx.detach_flow(flow.id))
    fresh = factories.flow(flow.id, source_id=flow.source_id)

    def transact(tx: Write) -> None:
        tx.end_flow_key(flow.flow_key)
        tx.put_flow(fresh)

    return _change(repository, transact, lambda: read(repository, lambda snapshot: snapshot.flow(flow.id)), fresh)


def add_segments(repository: Repository) -> Change:
    flow = new_flow(repository)
    fill(repository, flow, [seconds(0, 1)])
    media = [factories.media_object() for _ in range(3)]
    segments = [factories.segment(seconds(n, n + 1), media_object) for n, media_object in enumerate(media, start=1)]

    def transact(tx: Write) -> None:
        tx.claim(("flow", flow.id), *(("object", media_object.id) for media_object in media))
        tx.put_objects(media)
        tx.add_segments(flow.flow_key, segments)

    def state() -> object:
        current = read(repository, lambda snapshot: snapshot.flow(flow.id))
        assert current is not None
        return current.count, current.extent, len(stored(repository, flow))

    return _change(repository, transact, state, (4, seconds(0, 4), 4))


def remove_segments(repository: Repository) -> Change:
    flow = new_flow(repository)
    segments = fill(repository, flow, [seconds(n, n + 1) for n in range(3)])

    def transact(tx: Write) -> None:
        tx.claim(("flow", flow.id), ("object", segments[2].object_id))
        tx.remove_segments(flow.flow_key, segments[2:], at=99)
        if not tx.still_referenced([segments[2].object_id]):
            tx.delete_objects([segments[2].object_id])

    def state() -> object:
        objects = [segment.object_id for segment in segments]
        return len(stored(repository, flow)), len(read(repository, lambda snapshot: snapshot.objects(objects)))

    return _change(repository, transact, state, (2, 2))


def put_objects_anew(repository: Repository) -> Change:
    media_object = factories.media_object()
    put_objects(repository, media_object)
    changed = media_object._replace(instances=(*media_object.instances, factories.instance(storage_id="b")))
    return _change(
        repository,
        lambda tx: tx.put_objects([changed]),
        lambda: read(repository, lambda snapshot: snapshot.objects([media_object.id])),
        {media_object.id: changed},
    )


def put_document(repository: Repository) -> Change:
    name = factories.uuid()
    document = Document("k", name, {"n": 1}, {"order": name})
    return _change(
        repository,
        lambda tx: tx.put_document(document),
        lambda: read(repository, lambda snapshot: snapshot.document("k", name)),
        document,
    )


def delete_document(repository: Repository) -> Change:
    name = factories.uuid()
    write(repository, lambda tx: tx.put_document(Document("k", name, {})))
    return _change(
        repository,
        lambda tx: tx.delete_document("k", name),
        lambda: read(repository, lambda snapshot: snapshot.document("k", name)),
        None,
    )


def count_up(repository: Repository) -> Change:
    """Return a change of a counter, which shows if it is done twice."""
    name = factories.uuid()
    write(repository, lambda tx: tx.put_document(Document("k", name, {"n": 1})))

    def transact(tx: Write) -> None:
        tx.claim(("document", name))
        document = tx.document("k", name)
        assert document is not None
        tx.put_document(replace(document, body={"n": document.body["n"] + 1}))

    def state() -> object:
        document = read(repository, lambda snapshot: snapshot.document("k", name))
        return None if document is None else document.body["n"]

    return _change(repository, transact, state, 2)


def append_events(repository: Repository) -> Change:
    event = factories.event()

    def state() -> object:
        return read(repository, lambda snapshot: snapshot.count_up_to("events in outbox", "", 10_000))

    before = state()
    assert isinstance(before, int)
    return _change(repository, lambda tx: tx.append_events([event]), state, before + 1)


def share_out_events(repository: Repository) -> Change:
    webhook = factories.uuid()
    write(repository, lambda tx: tx.append_events([factories.event(created=-n) for n in range(2)]))

    def transact(tx: Write) -> None:
        tx.claim(("document", webhook))
        tx.add_deliveries([Delivery(webhook, n, event) for n, event in enumerate(tx.take_events(2), start=1)])

    def state() -> object:
        waiting = read(repository, lambda snapshot: snapshot.count_up_to("deliveries of webhook", webhook, 9))
        return waiting, read(repository, lambda snapshot: snapshot.count_up_to("events in outbox", "", 10_000))

    left = read(repository, lambda snapshot: snapshot.count_up_to("events in outbox", "", 10_000)) - 2
    return _change(repository, transact, state, (2, left))


def ack(repository: Repository) -> Change:
    webhook = factories.uuid()
    deliveries = [Delivery(webhook, n, factories.event()) for n in range(1, 4)]
    write(repository, lambda tx: tx.add_deliveries(deliveries))
    return _change(
        repository,
        lambda tx: tx.ack(webhook, 2),
        lambda: read(repository, lambda snapshot: snapshot.deliveries(webhook, 9)),
        deliveries[2:],
    )


def enqueue(repository: Repository) -> Change:
    name = factories.uuid()
    return _change(
        repository,
        lambda tx: tx.enqueue([Job("k", name, {}, due=2**60)]),
        lambda: read(repository, lambda snapshot: snapshot.queued("k", [name])),
        {name},
    )


def finish(repository: Repository) -> Change:
    name = factories.uuid()
    write(repository, lambda tx: tx.enqueue([Job("k", name, {}, due=2**60)]))
    return _change(
        repository,
        lambda tx: tx.finish("k", name),
        lambda: read(repository, lambda snapshot: snapshot.queued("k", [name])),
        set(),
    )


CHANGES: list[Callable[[Repository], Change]] = [
    put_source,
    delete_source,
    put_flow,
    delete_flow,
    detach_flow,
    end_flow_key,
    add_segments,
    remove_segments,
    put_objects_anew,
    put_document,
    delete_document,
    count_up,
    append_events,
    share_out_events,
    ack,
    enqueue,
    finish,
]

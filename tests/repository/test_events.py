"""The outbox: an event is stored if and only if its change is, and is taken once, in order."""

from __future__ import annotations

import pytest

from tams.domain.events import Event
from tams.repository.port import Document, Repository, Write
from tests.support import factories, processes
from tests.support.processes import in_processes
from tests.support.repository_steps import read, write


def append(repository: Repository, *events: Event) -> None:
    """Append events in a separate transaction."""
    write(repository, lambda tx: tx.append_events(events))


def take(repository: Repository, limit: int = 1000) -> list[Event]:
    """Take events in a separate transaction."""
    return write(repository, lambda tx: tx.take_events(limit))


def test_an_event_is_taken_as_it_was_written(repository: Repository) -> None:
    full = Event(
        id="e",
        type="flows/segments_added",
        created=2**62,
        position=3,
        source_id="s",
        flow_id="f",
        flow_collected_by=("a", "b"),
        source_collected_by=("c",),
        classes=("x", "\U0001f600"),
        body={"flow_key": 2**62, "segments": [[-(2**63), 2**63 - 1, True, None, 'a"\x01\uffff']]},
    )
    bare = factories.event(created=2**62 + 1)
    append(repository, full, bare)
    assert take(repository) == [full, bare]


def test_an_event_is_taken_once(repository: Repository) -> None:
    events = [factories.event(created=number) for number in range(3)]
    append(repository, *events)
    assert take(repository) == events
    assert take(repository) == []


def test_events_come_by_time_position_and_id_up_to_a_limit(repository: Repository) -> None:
    events = [
        factories.event(f"{event_id}{created}{position}", created=created, position=position)
        for created in (-1, 0, 5)
        for position in (0, 1, 12)
        for event_id in ("A", "a", "é")
    ]
    append(repository, *reversed(events[::2]))
    append(repository, *reversed(events[1::2]))
    assert take(repository, 5) == events[:5]
    assert take(repository, 1) == events[5:6]
    assert take(repository, 1000) == events[6:]


def test_an_event_that_is_older_than_one_taken_before_is_taken_too(repository: Repository) -> None:
    append(repository, factories.event(created=7))
    take(repository)
    late = factories.event(created=3)
    append(repository, late)
    assert take(repository) == [late]


def test_events_are_stored_if_and_only_if_their_change_is(repository: Repository) -> None:
    class Refused(Exception):
        pass

    def change(tx: Write) -> None:
        tx.claim(("document", "d"))
        tx.put_document(Document("k", "d", {}))
        tx.append_events([factories.event("written")])

    def refused(tx: Write) -> None:
        change(tx)
        raise Refused

    with pytest.raises(Refused):
        write(repository, refused)
    assert take(repository) == []
    write(repository, change)
    assert [event.id for event in take(repository)] == ["written"]


def test_what_was_taken_in_a_transaction_that_failed_is_still_there(repository: Repository) -> None:
    class Refused(Exception):
        pass

    events = [factories.event(created=number) for number in range(3)]
    append(repository, *events)

    def transact(tx: Write) -> None:
        assert tx.take_events(2) == events[:2]
        raise Refused

    with pytest.raises(Refused):
        write(repository, transact)
    assert take(repository) == events


def test_writing_no_event_is_no_change(repository: Repository) -> None:
    append(repository)
    assert take(repository) == []


def test_a_transaction_takes_after_its_claim(repository: Repository) -> None:
    event = factories.event()
    append(repository, event)

    def transact(tx: Write) -> list[Event]:
        tx.claim(("document", "w"))
        return tx.take_events(5)

    assert write(repository, transact) == [event]


def test_whether_there_is_any_document_of_a_kind_is_known_without_reading_it(repository: Repository) -> None:
    write(repository, lambda tx: tx.put_document(Document("webhooks", "1", {})))
    assert read(repository, lambda snapshot: snapshot.count_up_to("documents of kind", "webhook", 1)) == 0
    for number in range(3):
        write(repository, lambda tx, name=str(number): tx.put_document(Document("webhook", name, {})))  # type: ignore[misc]
    assert read(repository, lambda snapshot: snapshot.count_up_to("documents of kind", "webhook", 1)) == 1
    assert read(repository, lambda snapshot: snapshot.count_up_to("documents of kind", "webhook", 9)) == 3


def test_whether_there_is_any_event_is_known_without_taking_it(repository: Repository) -> None:
    assert read(repository, lambda snapshot: snapshot.count_up_to("events in outbox", "", 5)) == 0
    append(repository, *(factories.event(created=number) for number in range(3)))
    assert read(repository, lambda snapshot: snapshot.count_up_to("events in outbox", "", 1)) == 1
    assert read(repository, lambda snapshot: snapshot.count_up_to("events in outbox", "", 5)) == 3
    assert len(take(repository)) == 3


@pytest.mark.crowd
@pytest.mark.vast_modes("stripes")
def test_processes_that_take_at_once_share_the_events(repository: Repository, database_url: str) -> None:
    events = [factories.event(created=number) for number in range(60)]
    append(repository, *events)
    batches = in_processes(processes.take_events, [(database_url, limit) for limit in (2, 3)])
    assert sorted(event_id for each in batches for event_id in each) == sorted(event.id for event in events)
    order = [event.id for event in events]
    for each in batches:
        assert each == sorted(each, key=order.index)


def test_events_of_one_resource_keep_their_order_across_all_writers_and_takers(
    repository: Repository, database_url: str
) -> None:
    writers = [(processes.append_events, database_url, number, 20) for number in range(2)]
    takers = [(processes.share_out_events, database_url, 40) for _ in range(2)]
    in_processes(processes.call, [*writers, *takers])
    deliveries = read(repository, lambda snapshot: snapshot.deliveries("w", 100))
    assert [delivery.sequence for delivery in deliveries] == list(range(1, 41))
    assert [delivery.event.created for delivery in deliveries] == list(range(40))
    assert {delivery.event.source_id for delivery in deliveries} == {"process 0", "process 1"}

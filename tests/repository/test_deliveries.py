"""Deliveries that wait for webhooks, and filters of documents by tag."""

from __future__ import annotations

import itertools

import pytest

from tams.domain.events import Delivery
from tams.domain.filters import TagFilter
from tams.repository.port import Document, Page, Read, Repository, Write
from tests.support import factories
from tests.support.repository_steps import read, walk, write


def add(repository: Repository, webhook_id: str, sequences: range) -> list[Delivery]:
    """Queue a delivery of one event to the webhook for each sequence."""
    deliveries = [Delivery(webhook_id, number, factories.event(body={"n": number})) for number in sequences]
    write(repository, lambda tx: tx.add_deliveries(deliveries))
    return deliveries


def waiting(repository: Repository, webhook_id: str, limit: int = 1000) -> list[Delivery]:
    """Return the sequences of the deliveries that wait for the webhook."""
    return read(repository, lambda snapshot: snapshot.deliveries(webhook_id, limit))


def test_deliveries_wait_by_webhook_and_sequence(repository: Repository) -> None:
    later, other, earlier = (
        add(repository, "w", range(8, 12)),
        add(repository, "x", range(1, 3)),
        add(repository, "w", range(1, 8)),
    )
    assert waiting(repository, "w") == earlier + later
    assert waiting(repository, "w", 3) == earlier[:3]
    assert waiting(repository, "x") == other
    assert waiting(repository, "y") == []


def test_one_event_may_wait_for_several_webhooks(repository: Repository) -> None:
    event = factories.event(flow_id="f", classes=("a",), body={"flow": {"id": "f"}})
    write(repository, lambda tx: tx.add_deliveries([Delivery("w", 1, event), Delivery("x", 7, event)]))
    assert waiting(repository, "w") == [Delivery("w", 1, event)]
    assert waiting(repository, "x") == [Delivery("x", 7, event)]


def test_what_was_delivered_is_removed_up_to_a_sequence(repository: Repository) -> None:
    made, other = add(repository, "w", range(1, 6)), add(repository, "x", range(1, 6))
    write(repository, lambda tx: tx.ack("w", 3))
    assert waiting(repository, "w") == made[3:]
    write(repository, lambda tx: tx.ack("w", 3))
    assert waiting(repository, "w") == made[3:]
    write(repository, lambda tx: tx.ack("w", 9))
    assert waiting(repository, "w") == []
    assert waiting(repository, "x") == other


def test_the_deliveries_of_a_webhook_are_dropped_in_batches(repository: Repository) -> None:
    made, other = add(repository, "w", range(4, 9)), add(repository, "x", range(1, 3))
    assert write(repository, lambda tx: tx.drop_deliveries("w", 2)) is True
    assert waiting(repository, "w") == made[2:]
    assert write(repository, lambda tx: tx.drop_deliveries("w", 2)) is True
    assert write(repository, lambda tx: tx.drop_deliveries("w", 1)) is False
    assert write(repository, lambda tx: tx.drop_deliveries("w", 1)) is False
    assert waiting(repository, "w") == []
    assert waiting(repository, "x") == other


def test_a_backlog_is_counted_up_to_a_cap(repository: Repository) -> None:
    add(repository, "w", range(1, 8))
    add(repository, "x", range(1, 2))
    with repository.read() as snapshot:
        assert [snapshot.count_up_to("deliveries of webhook", "w", cap) for cap in (3, 7, 99)] == [3, 7, 7]


def test_a_transaction_that_failed_leaves_deliveries_as_they_were(repository: Repository) -> None:
    class Refused(Exception):
        pass

    deliveries = add(repository, "w", range(1, 4))

    def transact(tx: Write) -> None:
        tx.ack("w", 1)
        tx.drop_deliveries("w", 1)
        tx.add_deliveries([Delivery("w", 4, factories.event())])
        assert [delivery.sequence for delivery in tx.deliveries("w", 9)] == [3, 4]
        raise Refused

    with pytest.raises(Refused):
        write(repository, transact)
    assert waiting(repository, "w") == deliveries


def test_events_are_shared_out_in_one_transaction(repository: Repository) -> None:
    event = factories.event()
    write(repository, lambda tx: tx.append_events([event]))

    def transact(tx: Write) -> None:
        tx.claim(("document", "w"))
        tx.add_deliveries([Delivery("w", 1, taken) for taken in tx.take_events(10)])

    write(repository, transact)
    assert waiting(repository, "w") == [Delivery("w", 1, event)]
    assert write(repository, lambda tx: tx.take_events(1)) == []


TAGS: list[dict[str, str | list[str]]] = [
    {},
    {"colour": "red"},
    {"colour": ["red", "blue"]},
    {"colour": "red,blue", "size": ""},
    {"colour": [], "Größe=1": "\U0001f600"},
    {"size": "red"},
]
FILTERS = [
    TagFilter(),
    TagFilter(any_of=(("colour", ("red",)),)),
    TagFilter(any_of=(("colour", ("blue", "red")),)),
    TagFilter(any_of=(("colour", ("blue", "red")), ("size", ("", "x")))),
    TagFilter(any_of=(("colour", ()),)),
    TagFilter(any_of=(("Größe=1", ("\U0001f600", "x")),)),
    TagFilter(exists=(("colour", True),)),
    TagFilter(exists=(("colour", False),)),
    TagFilter(exists=(("colour", True), ("size", False))),
    TagFilter(any_of=(("colour", ("red", "red,blue")),), exists=(("size", True),)),
    TagFilter(exists=(("colour", False), ("size", False))),
    TagFilter(exists=(("red", True),)),
]


def tagged(number: int) -> Document:
    """Return a document with some of the tags."""
    keys = {"created": f"{number:02}", "owner": "ab"[number % 2]}
    return Document("webhook", str(number), {"n": number}, keys, TAGS[number % len(TAGS)])


def test_documents_are_filtered_by_their_tags(repository: Repository) -> None:
    documents = [tagged(number) for number in range(2 * len(TAGS))]

    def put(tx: Write) -> None:
        for each in documents:
            tx.put_document(each)
        tx.put_document(Document("other", "1", {}, {"created": "1", "owner": "a"}, {"colour": "red"}))

    write(repository, put)
    keys: list[dict[str, str]] = [{}, {"owner": "a"}, {"owner": "b", "created": "07"}]
    for tags, where, reverse in itertools.product(FILTERS, keys, (False, True)):

        def page(
            snapshot: Read,
            after: str | None,
            tags: TagFilter = tags,
            where: dict[str, str] = where,
            reverse: bool = reverse,
        ) -> Page[Document]:
            return snapshot.list_documents(
                "webhook", order="created", where=where, reverse=reverse, after=after, limit=2, tags=tags
            )

        expected = [
            each for each in documents if tags.matches(dict(each.tags)) and where.items() <= dict(each.keys).items()
        ]
        assert walk(repository, page) == expected[:: -1 if reverse else 1]


def test_new_tags_of_a_document_replace_the_old_ones(repository: Repository) -> None:
    write(repository, lambda tx: tx.put_document(tagged(1)))
    changed = Document("webhook", "1", {}, {"created": "1"}, {"size": "small"})
    write(repository, lambda tx: tx.put_document(changed))
    with repository.read() as snapshot:
        assert snapshot.document("webhook", "1") == changed
        for tags, expected in [
            (TagFilter(exists=(("colour", True),)), []),
            (TagFilter(any_of=(("size", ("small",)),)), [changed]),
        ]:
            assert (
                snapshot.list_documents(
                    "webhook", order="created", where={}, reverse=False, after=None, limit=5, tags=tags
                ).items
                == expected
            )

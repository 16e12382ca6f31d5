"""Transactions: all or nothing, reads of own writes, claims before writes, exceptions that pass through."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tams.domain.errors import IntegrityBroken
from tams.domain.timerange import ETERNITY
from tams.repository.port import Document, Read, Repository, Write
from tests.support import factories
from tests.support.factories import seconds, uuid
from tests.support.repository_steps import fill, new_flow, put_sources, read, write


class Refused(Exception):
    """An exception that a transaction callback raises."""


def test_a_write_returns_the_result_of_its_callback(repository: Repository) -> None:
    assert repository.write(uuid(), lambda _tx: 42) == 42


def test_an_exception_of_the_callback_passes_through_and_nothing_is_stored(repository: Repository) -> None:
    source = factories.source()

    def transact(tx: Write) -> None:
        tx.put_source(source)
        tx.put_document(Document("k", "1", {}))
        raise Refused

    with pytest.raises(Refused):
        write(repository, transact)
    with repository.read() as snapshot:
        assert snapshot.source(source.id) is None
        assert snapshot.document("k", "1") is None


def test_a_transaction_sees_its_own_writes(repository: Repository) -> None:
    source = factories.source()
    flow = factories.flow(source_id=source.id)
    media = factories.media_object()
    segment = factories.segment(seconds(0, 1), media)

    def transact(tx: Write) -> None:
        tx.put_source(source)
        tx.put_flow(flow)
        tx.put_objects([media])
        assert tx.flow(flow.id) == flow
        assert tx.overlaps(flow.flow_key, [seconds(0, 1)]) == [False]
        tx.add_segments(flow.flow_key, [segment])
        assert tx.overlaps(flow.flow_key, [seconds(0, 1)]) == [True]
        assert tx.segments(flow.flow_key, ETERNITY, object_id=None, reverse=False, after=None, limit=5).items == [
            segment
        ]
        assert tx.extent(flow.flow_key, ETERNITY) == seconds(0, 1)
        assert tx.references(media.id).items == [flow.id]
        assert tx.still_referenced([media.id]) == {media.id}
        tx.remove_segments(flow.flow_key, [segment], at=5)
        assert tx.still_referenced([media.id]) == set()
        tx.delete_objects([media.id])
        assert tx.objects([media.id]) == {}

    write(repository, transact)


def test_a_refused_write_fails_the_transaction_even_if_the_callback_goes_on(repository: Repository) -> None:
    flow = new_flow(repository)
    source = factories.source()

    def transact(tx: Write) -> None:
        tx.put_source(source)
        with pytest.raises(IntegrityBroken):
            tx.delete_source(flow.source_id)

    with pytest.raises(IntegrityBroken):
        write(repository, transact)
    assert read(repository, lambda snapshot: snapshot.source(source.id)) is None


def test_claiming_comes_once_and_before_the_first_write(repository: Repository) -> None:
    flow = new_flow(repository)

    def twice(tx: Write) -> None:
        tx.claim(("flow", flow.id))
        tx.claim(("flow", flow.id))

    def late(tx: Write) -> None:
        tx.put_document(Document("k", "1", {}))
        tx.claim(("flow", flow.id))

    for transact in (twice, late):
        with pytest.raises(IntegrityBroken):
            write(repository, transact)
    write(repository, lambda tx: tx.claim(("flow", uuid()), ("collections", ""), ("object", "\U0001f4f9")))
    write(repository, lambda tx: tx.claim())


def test_reading_goes_on_while_a_transaction_is_open(repository: Repository) -> None:
    flow = new_flow(repository)
    opened, finish = threading.Event(), threading.Event()

    def transact(tx: Write) -> None:
        tx.claim(("flow", flow.id))
        tx.delete_flow(flow.id)
        opened.set()
        assert finish.wait(20)

    with ThreadPoolExecutor() as pool:
        writing = pool.submit(write, repository, transact)
        assert opened.wait(20)
        assert read(repository, lambda snapshot: snapshot.flow(flow.id)) == flow
        finish.set()
        writing.result(20)
    assert read(repository, lambda snapshot: snapshot.flow(flow.id)) is None


def test_a_question_is_answered_by_what_was_committed_last(repository: Repository) -> None:
    for number in range(3):
        document = Document("k", "1", {"n": number})

        def put(tx: Write, document: Document = document) -> None:
            tx.put_document(document)

        write(repository, put)
        assert repository.ask(lambda read: read.document("k", "1")) == document
    assert repository.ask(lambda read: read.flow(uuid())) is None


def test_an_exception_of_a_question_passes_through_and_the_next_question_is_answered(repository: Repository) -> None:
    def question(read: Read) -> None:
        assert read.source(uuid()) is None
        raise Refused

    with pytest.raises(Refused):
        repository.ask(question)
    assert repository.ask(lambda read: read.source(uuid())) is None


def test_what_is_read_after_a_claim_is_current(repository: Repository) -> None:
    flow = new_flow(repository)
    claimed, queued = threading.Event(), threading.Event()

    def first(tx: Write) -> None:
        tx.claim(("flow", flow.id))
        claimed.set()
        assert queued.wait(20)
        tx.delete_flow(flow.id)

    def second(tx: Write) -> bool:
        queued.set()
        tx.claim(("flow", flow.id))
        return tx.flow(flow.id) is None

    with ThreadPoolExecutor() as pool:
        one = pool.submit(write, repository, first)
        assert claimed.wait(20)
        # With one writer at a time, the second transaction begins only after the first.
        queued_anyway = threading.Timer(0.3, queued.set)
        queued_anyway.start()
        two = pool.submit(write, repository, second)
        one.result(20)
        assert two.result(20) is True
        queued_anyway.join()


def test_transactions_that_claim_the_same_resources_in_any_order_all_end(repository: Repository) -> None:
    keys = [("object", uuid()) for _ in range(50)]

    def claim(order: int) -> None:
        for _ in range(10):
            write(repository, lambda tx: tx.claim(*keys[::order]))  # type: ignore[arg-type]

    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(claim, order) for order in (1, -1, 1, -1)]:
            done.result(30)


def test_an_operation_that_stores_nothing_stores_nothing(repository: Repository) -> None:
    put_sources(repository, factories.source())
    flow = new_flow(repository)
    segments = fill(repository, flow, [seconds(0, 1)])
    assert (
        write(
            repository,
            lambda tx: tx.segments(flow.flow_key, ETERNITY, object_id=None, reverse=False, after=None, limit=9).items,
        )
        == segments
    )


def test_check_passes_on_a_database_that_is_up_to_date(repository: Repository) -> None:
    repository.check()


def test_a_closed_repository_opens_again_when_it_is_used(repository: Repository) -> None:
    repository.close()
    repository.check()

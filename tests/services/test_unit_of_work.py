"""The steps of a write: what is claimed, what is re-read, and when the transaction begins again."""

from __future__ import annotations

import pytest

from tams.domain.errors import Contended
from tams.domain.identifiers import new_id
from tams.repository.port import Document, Key, Read, Write
from tams.services.store import Store
from tams.services.unit_of_work import Claim, Retry, claim, claim_and_reread

FIRST: Key = ("document", "first")
SECOND: Key = ("document", "second")


def test_a_claim_covers_the_keys_that_were_claimed(store: Store) -> None:
    def transact(tx: Write) -> Claim:
        return claim(tx, [SECOND, FIRST, FIRST])

    claimed = store.write(transact)
    claimed.require([FIRST])
    claimed.require([])
    with pytest.raises(Retry):
        claimed.require([FIRST, ("document", "third")])


def test_the_value_that_is_returned_was_read_after_the_claim(store: Store) -> None:
    readings: list[int] = []

    def read(_: Read) -> int:
        readings.append(len(readings))
        return readings[-1]

    assert store.write(lambda tx: claim_and_reread(tx, read, lambda _: {FIRST})) == 1
    assert readings == [0, 1]


def test_a_value_that_needs_another_claim_begins_the_transaction_again(store: Store) -> None:
    # Another key from the second reading on, as if a concurrent change had come before the claim.
    keys = [FIRST, SECOND, SECOND, SECOND]

    def transact(tx: Write) -> Key:
        key = claim_and_reread(tx, lambda _: keys.pop(0), lambda key: {key})
        tx.put_document(Document("kind", "id", {"key": key[1]}))
        return key

    assert store.write(transact) == SECOND
    assert keys == []
    with store.repository.read() as read:
        document = read.document("kind", "id")
    assert document is not None
    assert document.body == {"key": "second"}


def test_nothing_is_stored_by_a_transaction_that_begins_again_ten_times(store: Store) -> None:
    document_id = new_id()
    attempts: list[int] = []

    def transact(tx: Write) -> None:
        attempts.append(1)
        claim(tx, [("document", document_id)])
        tx.put_document(Document("kind", document_id, {}))
        raise Retry

    with pytest.raises(Contended, match="Try again"):
        store.write(transact)
    assert len(attempts) == 10
    with store.repository.read() as read:
        assert read.document("kind", document_id) is None

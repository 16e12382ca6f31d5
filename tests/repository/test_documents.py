"""Small documents, and the job queue."""

from __future__ import annotations

import itertools
from dataclasses import replace

from tams.domain.clock import MICROSECONDS, now
from tams.repository.port import Document, Job, Page, Read, Repository, Write
from tests.support.repository_steps import read, walk, write


def put(repository: Repository, *documents: Document) -> None:
    """Store documents."""

    def transact(tx: Write) -> None:
        for each in documents:
            tx.put_document(each)

    write(repository, transact)


def test_a_document_is_read_as_it_was_stored(repository: Repository) -> None:
    document = Document("profile", "1", {"a": [1, None, {"b": "\U0001f600"}]}, {"created": "x", "flow": "f"})
    put(repository, document, Document("service", "1", {}))
    assert read(repository, lambda snapshot: snapshot.document("profile", "1")) == document
    assert read(repository, lambda snapshot: snapshot.document("service", "1")) == Document("service", "1", {})
    assert read(repository, lambda snapshot: snapshot.document("other", "1")) is None
    assert read(repository, lambda snapshot: snapshot.document("profile", "2")) is None


def test_putting_a_document_again_replaces_it(repository: Repository) -> None:
    put(repository, Document("k", "1", {"v": 1}, {"created": "1", "old": "x"}))
    changed = Document("k", "1", {"v": 2}, {"created": "2"})
    put(repository, changed)
    with repository.read() as snapshot:
        assert snapshot.document("k", "1") == changed
        assert snapshot.list_documents("k", order="created", where={}, reverse=False, after=None, limit=5).items == [
            changed
        ]
        assert snapshot.list_documents("k", order="old", where={}, reverse=False, after=None, limit=5).items == []
        assert (
            snapshot.list_documents("k", order="created", where={"old": "x"}, reverse=False, after=None, limit=5).items
            == []
        )


def test_deleting_a_document_tells_whether_it_was_there(repository: Repository) -> None:
    put(repository, Document("k", "1", {}, {"created": "1"}))
    assert write(repository, lambda tx: tx.delete_document("k", "1")) is True
    assert write(repository, lambda tx: tx.delete_document("k", "1")) is False
    assert read(
        repository,
        lambda snapshot: snapshot.list_documents("k", order="created", where={}, reverse=False, after=None, limit=5),
    ) == ([], None)


def test_documents_are_listed_by_a_key_in_code_point_order(repository: Repository) -> None:
    values = ["", "A", "Z", "a", "a\x01", "a b", "é", "\uffff", "\U00010000"]
    documents = [
        Document("k", str(number), {"n": number}, {"name": value, "half": str(number % 2)})
        for number, value in enumerate(values)
    ]
    put(repository, *reversed(documents), Document("k", "unlisted", {}), Document("other", "1", {}, {"name": "b"}))
    everything: list[tuple[dict[str, str], list[Document]]] = [({}, documents), ({"half": "1"}, documents[1::2])]
    for (where, expected), reverse, limit in itertools.product(everything, (False, True), (1, 2, 100)):

        def page(
            snapshot: Read, after: str | None, where: dict[str, str] = where, back: bool = reverse, size: int = limit
        ) -> Page[Document]:
            return snapshot.list_documents("k", order="name", where=where, reverse=back, after=after, limit=size)

        assert walk(repository, page) == expected[:: -1 if reverse else 1]


def test_documents_are_filtered_by_all_of_the_keys(repository: Repository) -> None:
    documents = [
        Document("k", f"{a}{b}", {}, {"created": f"{a}{b}", "a": a, "b": b}) for a in ("x", "y") for b in ("x", "y")
    ]
    put(repository, *documents)
    with repository.read() as snapshot:
        for where, expected in [
            ({"a": "x"}, documents[:2]),
            ({"a": "x", "b": "y"}, documents[1:2]),
            ({"a": "x", "b": "y", "created": "xy"}, documents[1:2]),
            ({"a": "x", "b": "z"}, []),
            ({"c": "x"}, []),
        ]:
            assert (
                snapshot.list_documents("k", order="created", where=where, reverse=False, after=None, limit=9).items
                == expected
            )


def enqueue(repository: Repository, *jobs: Job) -> None:
    """Queue jobs."""
    write(repository, lambda tx: tx.enqueue(jobs))


def test_a_job_is_leased_to_one_worker_once_it_is_due(repository: Repository) -> None:
    due, later = Job("k", "due", {"n": 1}, due=5), Job("k", "later", {}, due=now() + 3600 * MICROSECONDS)
    enqueue(repository, due, later, Job("other", "due", {}, due=5))
    assert repository.lease("k", "one", 10, 60) == [replace(due, attempts=1)]
    assert repository.lease("k", "two", 10, 60) == []


def test_jobs_are_leased_in_the_order_of_their_due_times_up_to_a_limit(repository: Repository) -> None:
    enqueue(repository, *(Job("k", f"job-{9 - n}", {}, due=n) for n in range(5)))
    assert [job.due for job in repository.lease("k", "one", 3, 60)] == [0, 1, 2]
    assert [job.due for job in repository.lease("k", "two", 3, 60)] == [3, 4]


def test_a_job_whose_lease_has_ended_is_leased_again(repository: Repository) -> None:
    enqueue(repository, Job("k", "1", {}, due=5))
    assert [job.attempts for job in repository.lease("k", "one", 1, 0)] == [1]
    assert [job.attempts for job in repository.lease("k", "two", 1, 60)] == [2]


def test_a_finished_job_is_removed(repository: Repository) -> None:
    enqueue(repository, Job("k", "1", {}, due=5))
    repository.lease("k", "one", 1, 0)
    write(repository, lambda tx: tx.finish("k", "1"))
    write(repository, lambda tx: tx.finish("k", "1"))
    assert repository.lease("k", "one", 1, 60) == []


def test_a_postponed_job_comes_back_with_its_payload_or_another(repository: Repository) -> None:
    enqueue(repository, Job("k", "1", {"n": 1}, due=5))
    (job,) = repository.lease("k", "one", 1, 60)
    repository.postpone(job, 7)
    (job,) = repository.lease("k", "one", 1, 60)
    assert job == Job("k", "1", {"n": 1}, due=7, attempts=2)
    repository.postpone(job, 8, {"n": 2})
    assert repository.lease("k", "one", 1, 60) == [Job("k", "1", {"n": 2}, due=8, attempts=3)]


def test_a_lease_is_prolonged_by_the_worker_that_holds_it(repository: Repository) -> None:
    enqueue(repository, Job("k", "1", {"n": 1}, due=5))
    (first,) = repository.lease("k", "one", 1, 0)
    assert repository.prolong(first, 60)
    assert repository.lease("k", "two", 1, 60) == []
    assert repository.prolong(first, 0)
    (second,) = repository.lease("k", "two", 1, 60)
    assert not repository.prolong(first, 60)
    repository.postpone(second, 7)
    assert not repository.prolong(second, 60)
    assert repository.lease("k", "one", 1, 60) == [Job("k", "1", {"n": 1}, due=7, attempts=3)]
    write(repository, lambda tx: tx.finish("k", "1"))
    assert not repository.prolong(second, 60)


def test_queued_jobs_are_found_by_id_leased_or_not(repository: Repository) -> None:
    enqueue(repository, Job("k", "1", {}, due=5), Job("k", "2", {}, due=2**60), Job("other", "3", {}, due=5))
    repository.lease("k", "one", 1, 60)
    assert read(repository, lambda snapshot: snapshot.queued("k", ["1", "2", "3", "4"])) == {"1", "2"}
    assert read(repository, lambda snapshot: snapshot.queued("k", [])) == set()
    write(repository, lambda tx: tx.finish("k", "1"))
    assert read(repository, lambda snapshot: snapshot.queued("k", ["1", "2", "3"])) == {"2"}


def test_enqueuing_a_job_again_replaces_payload_and_due_time(repository: Repository) -> None:
    enqueue(repository, Job("k", "1", {"n": 1}, due=5))
    (before,) = repository.lease("k", "one", 1, 3600)
    enqueue(repository, Job("k", "1", {"n": 2}, due=9))
    # The worker with the former lease cannot restore the old state.
    repository.postpone(before, now() + 3600 * MICROSECONDS, {"n": 1})
    assert repository.lease("k", "two", 1, 60) == [Job("k", "1", {"n": 2}, due=9, attempts=2)]
    enqueue(repository, Job("k", "2", {"n": 3}, due=5), Job("k", "2", {"n": 4}, due=6))
    assert repository.lease("k", "two", 1, 60) == [Job("k", "2", {"n": 4}, due=6, attempts=1)]


def test_postponing_a_job_that_is_finished_does_not_bring_it_back(repository: Repository) -> None:
    enqueue(repository, Job("k", "1", {}, due=5))
    (job,) = repository.lease("k", "one", 1, 60)
    write(repository, lambda tx: tx.finish("k", "1"))
    repository.postpone(job, 6)
    assert repository.lease("k", "one", 1, 60) == []


def test_a_job_of_a_failed_transaction_was_never_queued(repository: Repository) -> None:
    class Refused(Exception):
        pass

    def transact(tx: Write) -> None:
        tx.enqueue([Job("k", "1", {}, due=5)])
        raise Refused

    try:
        write(repository, transact)
    except Refused:
        assert repository.lease("k", "one", 1, 60) == []
    else:
        raise AssertionError

"""`kill -9` in the middle of the work: acknowledged writes stay, accepted work is completed, no write is partial."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import chain, count

import httpx
import pytest

from tests.support.http_client import WAVE, Client, Json, segment
from tests.support.media import SECOND, Span, parse_timestamp
from tests.support.servers import TamsStore, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.kill]

MANY = 8_000
PIECE = bytes(range(256)) * 256
BIG = 1000 * len(PIECE)  # more than the test sends before it kills the server


def uses(object_id: str, numbers: range) -> list[Json]:
    """Return Segments that all use one Object of a second, each in another second."""
    return [segment(object_id, Span(number * SECOND, (number + 1) * SECOND), number * SECOND) for number in numbers]


def has_gone_on(store: TamsStore, before: int) -> bool:
    """Return whether fewer than `before` Segments are left."""
    return store.rows()["segments"] < before


def start_of(item: Json) -> int:
    return Span.parse(item["timerange"]).start


def remaining(client: Client, request: Json) -> Json:
    """Return the present state of a Flow Delete Request."""
    state: Json = client.get(f"/flow-delete-requests/{request['id']}")
    return state


def is_done(client: Client, request: Json) -> bool:
    """Return whether the Flow Delete Request is done; fail if it ended in an error."""
    state = remaining(client, request)
    assert state["status"] != "error", state
    return bool(state["status"] == "done")


class TestTheWorker:
    def test_killed_twice_during_a_large_deletion_it_completes_it_and_keeps_what_others_need(
        self, mortal: TamsStore
    ) -> None:
        mortal.start("--no-worker")
        client = Client(mortal.url)
        doomed, other = client.make_flow(WAVE), client.make_flow(WAVE)
        shared, own = client.upload(doomed, [b"shared", b"own"])
        client.register_many(doomed, uses(shared, range(MANY)) + uses(own, range(MANY, MANY + 10)))
        client.register(other, uses(shared, range(1)))

        answer = client.expect(202, "DELETE", f"/flows/{doomed}")
        request = answer.json()
        assert answer.headers["Location"] == f"{mortal.url}/flow-delete-requests/{request['id']}"
        assert request["timerange_to_delete"] == f"[0:0_{MANY + 10}:0)"
        assert client.missing(f"/flows/{doomed}")
        assert mortal.rows()["segments"] == MANY + 11

        left = MANY + 11
        for _ in range(2):
            mortal.start_worker()
            eventually(partial(has_gone_on, mortal, left), "the worker goes on", every=0.005)
            mortal.kill_worker()
            left = mortal.rows()["segments"]
            assert left > 1
            assert mortal.faults() == []
            # The remaining timerange begins where the deletion has stopped.
            state = remaining(client, request)
            assert state["status"] == "started"
            start = parse_timestamp(state["timerange_remaining"].partition("_")[0][1:])
            assert start == (MANY + 11 - left) * SECOND

        mortal.start_worker()
        eventually(lambda: is_done(client, request), "the deletion ends")
        assert remaining(client, request)["timerange_remaining"] == "()"
        assert mortal.rows()["segments"] == 1
        assert client.get(f"/objects/{shared}")["referenced_by_flows"] == [other]
        assert client.missing(f"/objects/{own}")
        eventually(lambda: len(mortal.media_files()) == 1, "the bytes that nothing needs are gone")
        assert client.fetch(client.segments(other)[0]) == b"shared"
        assert mortal.faults() == []


class Writer:
    """A client in a separate thread that works until its server dies."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=self._run, args=(work,))
        self._thread.start()

    def _run(self, work: Callable[[], None]) -> None:
        with suppress(httpx.TransportError):  # the server is dead
            work()

    def join(self) -> None:
        self._thread.join()


class TestTheServer:
    def test_killed_under_load_it_keeps_all_acknowledged_writes(self, mortal: TamsStore) -> None:
        mortal.start()
        client = Client(mortal.url)
        flow_id, doomed = client.make_flow(WAVE), client.make_flow(WAVE)
        known, unfinished = client.allocate(flow_id, 1)[0], client.allocate(flow_id, 1)[0]
        client.put_bytes(known, b"known")
        client.register(flow_id, uses(known["object_id"], range(1)))
        client.register_many(doomed, uses(known["object_id"], range(MANY)))

        acknowledged: list[int] = []
        sent: list[int] = []
        sent_in_parts: list[int] = []
        uploads: list[Json] = []

        def register() -> None:
            connection = Client(mortal.url)
            for number in count(1):
                connection.register(flow_id, uses(known["object_id"], range(number, number + 1)))
                acknowledged.append(number)

        def upload() -> None:
            connection = Client(mortal.url)
            while True:
                (allocated,) = connection.allocate(flow_id, 1)
                connection.put_bytes(allocated, allocated["object_id"].encode())
                uploads.append(allocated)

        def upload_slowly() -> None:
            put = unfinished["put_url"]
            headers = {"Content-Type": put["content-type"], "Content-Length": str(BIG)}
            httpx.put(put["url"], content=_trickle(sent), headers=headers, timeout=60)

        def upload_and_register_slowly() -> None:
            headers = {"Content-Type": "multipart/form-data; boundary=limit"}
            url = f"{mortal.url}/flows/{flow_id}/segments"
            httpx.post(url, content=chain([_BEFORE_THE_FILE], _trickle(sent_in_parts)), headers=headers, timeout=60)

        writers = [Writer(work) for work in (register, upload, upload_slowly, upload_and_register_slowly)]
        eventually(
            lambda: min(len(acknowledged) - 15, len(uploads), len(sent), len(sent_in_parts)) > 5,
            "everything is under way",
        )
        request = client.expect(202, "DELETE", f"/flows/{doomed}").json()
        eventually(partial(has_gone_on, mortal, MANY), "the deletion is under way", every=0.005)
        mortal.kill()
        for writer in writers:
            writer.join()

        assert mortal.faults() == []
        assert max(len(sent), len(sent_in_parts)) < BIG // len(PIECE)
        left = mortal.rows()["segments"]
        assert left > len(acknowledged) + 1

        for path in mortal.unfinished_files():
            os.utime(path, (0, 0))
        mortal.start()
        eventually(lambda: not mortal.unfinished_files(), "the files of interrupted uploads are swept")
        client = Client(mortal.url)
        # All acknowledged registrations are stored, and at most one more.
        numbers = [start_of(item) // SECOND for item in client.segments(flow_id)]
        assert numbers in ([0, *acknowledged], [0, *acknowledged, len(acknowledged) + 1])
        # All acknowledged uploads are stored; each can still be registered, and is whole.
        after = 1_000_000
        for index, allocated in enumerate(uploads):
            first = (after + index) * SECOND
            client.register(flow_id, segment(allocated["object_id"], Span(first, first + SECOND), first))
        segments = client.segments(flow_id, f"[{after}:0_")
        assert [client.fetch(item).decode() for item in segments] == [item["object_id"] for item in uploads]
        # The interrupted upload has left nothing, and can be repeated with the same URL.
        client.put_bytes(unfinished, PIECE * 3)
        client.register(flow_id, segment(unfinished["object_id"], Span(-SECOND, 0), -SECOND))
        assert client.fetch(client.segments(flow_id)[0]) == PIECE * 3
        assert client.missing("/objects/in%20parts")
        client.expect(
            201,
            "POST",
            f"/flows/{flow_id}/segments",
            files=[("segment_data", (None, _SEGMENT_IN_PARTS)), ("file", ("media", PIECE))],
        )

        eventually(lambda: is_done(client, request), "the deletion ends")
        assert mortal.rows()["segments"] == len(client.segments(flow_id))
        client.expect(204, "DELETE", f"/flows/{flow_id}")
        eventually(
            lambda: len(mortal.media_files()) <= 1,
            "all bytes are gone except those of one upload that was not acknowledged",
        )
        assert client.listed("/sources") == []
        assert mortal.faults() == []


_SEGMENT_IN_PARTS = '{"object_id": "in parts", "timerange": "[-3:0_-2:0)", "ts_offset": "-3:0"}'
_BEFORE_THE_FILE = (
    f'--limit\r\nContent-Disposition: form-data; name="segment_data"\r\n\r\n{_SEGMENT_IN_PARTS}\r\n'
    '--limit\r\nContent-Disposition: form-data; name="file"; filename="media"\r\n\r\n'
).encode()


def _trickle(sent: list[int]) -> Iterator[bytes]:
    for _ in range(BIG // len(PIECE)):
        yield PIECE
        sent.append(len(PIECE))
        time.sleep(0.1)

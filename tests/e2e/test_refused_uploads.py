"""Clients that send a whole body before they read: each of them reads the answer to an upload that is refused."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tams.serving.lingering import IDLE_SECONDS, MAX_BYTES
from tests.support.http_client import WAVE, Client
from tests.support.multipart import BOUNDARY, body_of
from tests.support.servers import TamsStore, faultless

pytestmark = pytest.mark.e2e

CLIENTS = 16
LIMIT = 8_000_000
BODY = bytes(6_000_000)
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
SEGMENT = ("segment_data", b'{"timerange": "[0:0_1:0)"}')


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TamsStore]:
    """Run a store that accepts media of `LIMIT` bytes and JSON of a megabyte."""
    limits = {"TAMS_MAX_UPLOAD": str(LIMIT), "TAMS_MAX_BODY": "1000000"}
    with faultless(TamsStore(tmp_path_factory.mktemp("tams"), **limits)) as store:
        yield store


@pytest.fixture
def flow_id(running: TamsStore) -> str:
    return Client(running.url).make_flow(WAVE)


def allocate(url: str, flow_id: str) -> tuple[str, str]:
    """Return the PUT URL of a new Object, and its content type."""
    answer = httpx.post(f"{url}/flows/{flow_id}/storage", json={"limit": 1})
    put = answer.json()["media_objects"][0]["put_url"]
    return put["url"], put["content-type"]


def send(method: str, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any]:
    """Send the whole request, then read the answer, as most clients do; return its status and JSON."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    connection.request(method, f"{parts.path}?{parts.query}", body, dict(headers))
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, json.loads(content) if content else None


def at_once(method: str, url: str, headers: Mapping[str, str], body: bytes = BODY) -> set[int]:
    """Send the same request from many clients at once; return the statuses of their answers."""
    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = list(clients.map(lambda _: send(method, url, headers, body), range(CLIENTS)))
    assert all(document["message"] for _, document in answers)
    return {status for status, _ in answers}


def begin(url: str, *lines: str, method: str = "PUT") -> socket.socket:
    """Send the head of a request that waits for 100 Continue before its body."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=20)
    target = f"{parts.path}?{parts.query}"
    head = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}", "Expect: 100-continue", *lines, "", ""]
    connection.sendall("\r\n".join(head).encode())
    return connection


def read_head(connection: socket.socket) -> int:
    """Read the head of an answer and whatever came with it; return its status."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(4096)
        assert piece, head
        head += piece
    return int(head.split()[1])


def refusals(running: TamsStore, flow_id: str) -> dict[str, tuple[int, Callable[[], set[int]]]]:
    url, content_type = allocate(running.url, flow_id)
    typed = {"Content-Type": content_type}
    segments = f"{running.url}/flows/{flow_id}/segments"
    none = f"{running.url}/flows/00000000-0000-4000-8000-000000000000/segments"
    return {
        "signature": (403, lambda: at_once("PUT", url, {"Content-Type": "text/plain"})),
        "key": (404, lambda: at_once("PUT", f"{running.url}/storage/none/none", typed)),
        "header": (400, lambda: at_once("PUT", url, typed | {"Content-Encoding": "gzip"})),
        "size": (413, lambda: at_once("PUT", url, typed, bytes(LIMIT + 1))),
        "chunks": (403, lambda: chunked(url)),
        "form without its Flow": (404, lambda: at_once("POST", none, FORM, body_of(SEGMENT, ("file", BODY)))),
        "form without segment_data": (400, lambda: at_once("POST", segments, FORM, body_of(("file", BODY)))),
        "JSON without its Flow": (404, lambda: at_once("POST", none, {"Content-Type": "application/json"})),
        "JSON that is large": (413, lambda: at_once("PUT", segments[:-9], {"Content-Type": "application/json"})),
    }


def chunked(url: str) -> set[int]:
    """Send a body in chunks under a false signature."""

    def pieces() -> Iterator[bytes]:
        for _ in range(60):
            yield bytes(100_000)

    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = clients.map(
            lambda _: send("PUT", url, {"Content-Type": "text/plain"}, pieces()),  # type: ignore[arg-type]
            range(CLIENTS),
        )
        return {status for status, _ in answers}


@pytest.mark.parametrize(
    "reason",
    [
        "signature",
        "key",
        "header",
        "size",
        "chunks",
        "form without its Flow",
        "form without segment_data",
        "JSON without its Flow",
        "JSON that is large",
    ],
)
def test_every_client_reads_why_its_upload_was_refused(running: TamsStore, flow_id: str, reason: str) -> None:
    status, clients = refusals(running, flow_id)[reason]
    assert clients() == {status}


def test_every_client_reads_that_the_disk_is_full(tmp_path: Path) -> None:
    store = TamsStore(tmp_path)
    store.start()
    try:
        url, content_type = allocate(store.url, Client(store.url).make_flow(WAVE))
        store.limit_files(1_000_000)
        assert send("PUT", url, {"Content-Type": content_type}, BODY)[0] == 503
    finally:
        store.stop()


def test_a_body_far_beyond_the_limit_is_cut(running: TamsStore, flow_id: str) -> None:
    url, _ = allocate(running.url, flow_id)
    with begin(url, "Content-Type: text/plain", f"Content-Length: {10 * MAX_BYTES}") as connection:
        assert read_head(connection) == 403
        sent = 0
        with suppress(BrokenPipeError, ConnectionResetError):
            while sent < 10 * MAX_BYTES:
                sent += connection.send(BODY)
        # The buffers of both sockets hold some megabytes more.
        assert MAX_BYTES <= sent < 2 * MAX_BYTES


def test_a_refused_client_that_stalls_holds_no_thread(running: TamsStore, flow_id: str) -> None:
    url, _ = allocate(running.url, flow_id)
    started = time.monotonic()
    with ExitStack() as stack:
        for _ in range(4 * CLIENTS):
            stalled = stack.enter_context(begin(url, "Content-Type: text/plain", f"Content-Length: {LIMIT}"))
            assert read_head(stalled) == 403
        for _ in range(20):
            assert httpx.get(f"{running.url}/service").status_code == 200
        assert time.monotonic() - started < 2 * IDLE_SECONDS
        # The store has ended the connection, although the client keeps it open.
        while stalled.recv(1000):
            pass


def test_a_body_is_asked_for_only_if_it_is_wanted(running: TamsStore, flow_id: str) -> None:
    url, content_type = allocate(running.url, flow_id)
    typed, length = f"Content-Type: {content_type}", "Content-Length: 5"
    for lines, status in (
        ((typed, length), 100),
        ((typed, "Transfer-Encoding: chunked"), 100),
        (("Content-Type: text/plain", length), 403),
        ((typed, length, "Content-MD5: x"), 400),
        ((typed, f"Content-Length: {LIMIT + 1}"), 413),
    ):
        with begin(url, *lines) as connection:
            assert read_head(connection) == status
    with begin(f"{running.url}/storage/none/none", typed, length) as connection:
        assert read_head(connection) == 404
    missing = f"{running.url}/flows/00000000-0000-4000-8000-000000000000/segments"
    for content_type in ("application/json", FORM["Content-Type"]):
        with begin(missing, f"Content-Type: {content_type}", length, method="POST") as connection:
            assert read_head(connection) == 404


def test_an_upload_after_100_continue_is_stored(running: TamsStore, flow_id: str) -> None:
    url, content_type = allocate(running.url, flow_id)
    with begin(url, f"Content-Type: {content_type}", "Content-Length: 5") as connection:
        assert read_head(connection) == 100
        connection.sendall(b"media")
        assert read_head(connection) == 200


def test_a_short_rest_of_a_body_does_not_cost_the_connection(running: TamsStore) -> None:
    connection = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=20)
    for _ in range(3):
        connection.request("PUT", "/storage/none/none", b"media")
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Connection"]) == (404, "keep-alive")
        answer.read()
    connection.close()

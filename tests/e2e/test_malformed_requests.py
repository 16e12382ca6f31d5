"""Requests that a real server refuses before the application sees them, and a server without file descriptors."""

from __future__ import annotations

import json
import re
import resource
import socket
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from tests.support.servers import TamsStore, eventually

SECRET = "s3cr3t"


def exchange(store: TamsStore, data: bytes) -> tuple[int, bytes, bytes]:
    """Send raw bytes; return the status, the head and the body of the response."""
    with socket.create_connection(("127.0.0.1", store.port), timeout=10) as connection:
        connection.sendall(data)
        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    return int(head.split()[1]), head, body


def request(first_line: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([first_line, *headers, b"Connection: close", b"", b""])


LINE = b"GET /flows?access_token=" + SECRET.encode()


@pytest.mark.parametrize(
    ("data", "status", "kind"),
    [
        (request(LINE + "&label=é HTTP/1.1".encode(), b"Host: a"), 400, "BadRequest"),
        (request(LINE, b"Host: a"), 400, "BadRequest"),
        (request(LINE + b" HTTP/9.9", b"Host: a"), 400, "BadRequest"),
        (request(LINE + b" HTTP/1.1", b"Host: a", b"Authorization Bearer " + SECRET.encode()), 400, "BadRequest"),
        (request(LINE + b" HTTP/1.1", b"Host: a", b" Bearer " + SECRET.encode()), 400, "BadRequest"),
        (request(LINE + b" HTTP/1.1", b"Host: a", b"A\x01: " + SECRET.encode()), 400, "BadRequest"),
        (request(SECRET.encode() + b"[] / HTTP/1.1", b"Host: a"), 400, "BadRequest"),
        (request(LINE + b"&a=" + b"x" * 9000 + b" HTTP/1.1", b"Host: a"), 414, "RequestURITooLarge"),
        (request(LINE + b" HTTP/1.1", b"Host: a", b"Expect: " + SECRET.encode()), 417, "ExpectationFailed"),
        (
            request(LINE + b" HTTP/1.1", b"Host: a", b"X: " + SECRET.encode() + b"x" * 9000),
            431,
            "RequestHeaderFieldsTooLarge",
        ),
        (request(LINE + b" HTTP/1.1", b"Host: a", b"Transfer-Encoding: " + SECRET.encode()), 501, "NotImplemented"),
    ],
)
def test_a_malformed_request_gets_the_error_of_the_store_and_leaves_no_secret(
    running: TamsStore, data: bytes, status: int, kind: str
) -> None:
    answered, head, body = exchange(running, data)
    assert answered == status
    assert b"content-type: application/json" in head.lower()
    error = json.loads(body)
    assert error["type"] == kind
    assert error["summary"] == error["message"]
    assert f"X-Request-ID: {error['request_id']}".encode() in head
    log = running.log.read_text()
    assert re.search(rf"request {error['request_id']} from 127\.0\.0\.1 was refused with {status}", log)
    assert SECRET not in log
    assert SECRET.encode() not in head + body


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /health/live HTTP/1.1\r\n", 400),
        (b"GET /health/live HTTP/1.1\r\nHost:\r\n", 400),
        (b"GET /health/live HTTP/1.1\r\nHost: a\r\nHost: b\r\n", 400),
        (b"GET /health/live HTTP/1.1\r\nHost: user@host\r\n", 400),
        (b"GET /health/live HTTP/1.1\r\nHost: a b\r\n", 400),
        (b"GET /health/live HTTP/1.0\r\n", 200),
        (b"GET /health/live HTTP/1.1\r\nHost: tams_store:8000\r\n", 200),
    ],
)
def test_the_host_is_judged_as_it_arrives(running: TamsStore, head: bytes, status: int) -> None:
    answered, answer_head, body = exchange(running, head + b"Connection: close\r\n\r\n")
    assert answered == status
    assert b"application/json" in answer_head
    json.loads(body)


def test_a_process_without_descriptors_refuses_and_recovers(tmp_path: Path) -> None:
    store = TamsStore(tmp_path, TAMS_WORKERS="1")
    try:
        store.start("--no-worker")
        assert exchange(store, request(b"GET /flows HTTP/1.1", b"Host: a"))[0] == 200
        master = psutil.Process(store.pid)
        (web,) = [child for child in master.children() if child.num_threads() >= 1]
        limits = resource.prlimit(web.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(web.pid, resource.RLIMIT_NOFILE, (web.num_fds() + 8, limits[1]))
        with ExitStack() as stack:
            for _ in range(40):
                stack.enter_context(socket.create_connection(("127.0.0.1", store.port), timeout=10))
            statuses = []
            for _ in range(10):
                answered, _, body = exchange(store, request(b"GET /health/live HTTP/1.1", b"Host: a"))
                statuses.append(answered)
                assert json.loads(body)
            assert 503 in statuses
        eventually(lambda: exchange(store, request(b"GET /flows HTTP/1.1", b"Host: a"))[0] == 200, "it serves again")
        assert web.is_running()
        assert [child.pid for child in master.children()] == [web.pid]
        log = store.log.read_text()
        assert log.count("no file descriptor left") == 1
        assert "Traceback" not in log
    finally:
        store.kill()

"""The storage adapters under contract, each with a real server that answers its URLs."""

from __future__ import annotations

import itertools
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tams.storage.local.storage import LocalStorage
from tams.storage.port import Storage
from tests.support import local_storage_server, s3_endpoint

OTHER_ID = "4b7d1c0e-9f0a-4a53-8d1e-2f6f0c3f9a11"


@dataclass(frozen=True)
class Subject:
    """An adapter under contract. `base` is prefixed to URLs that begin with a slash; `down` has lost its backend.

    `fresh` makes an empty backend; `other` is another backend to copy from. `verifies` are the checksum headers that
    the server verifies: every server verifies `Content-MD5`, and some verify more. `large` is the size in bytes of the
    largest Objects in these tests, which are sent to S3 and copied there in parts.
    """

    storage: Storage
    base: str
    down: Storage
    fresh: Callable[[], Storage]
    other: Storage
    verifies: frozenset[str]
    large: int

    def url(self, url: str) -> str:
        return self.base + url if url.startswith("/") else url

    def get_url(self, key: str, at: int | None = None) -> str:
        return self.url(self.storage.get_url(key, now() if at is None else at))

    def put_url(self, key: str, content_type: str, at: int | None = None) -> str:
        return self.url(self.storage.put_url(key, content_type, now() if at is None else at)[0])

    def new_key(self) -> str:
        return self.storage.new_key(f"object/{secrets.token_hex(4)}")


def now() -> int:
    return time.time_ns() // 1000


@dataclass
class LocalServer:
    """A server process on a directory."""

    root: Path
    base: str
    process: subprocess.Popen[bytes]
    storage: LocalStorage

    @property
    def port(self) -> int:
        return int(self.base.rpartition(":")[2])

    def kill(self) -> None:
        """Kill the process group as the kernel does when memory runs out: without any cleanup."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)


def start(root: Path) -> LocalServer:
    listener = socket.create_server(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    process = subprocess.Popen(
        [sys.executable, local_storage_server.__file__, str(root), str(listener.fileno())],
        pass_fds=[listener.fileno()],
        start_new_session=True,
    )
    listener.close()
    server = LocalServer(root, base, process, local_storage_server.local_storage(root))
    # The socket listens already, so the first request waits until the worker accepts it.
    assert requests.get(f"{base}/storage/none/none", timeout=30).status_code == 404
    return server


@contextmanager
def _local(directory: Path) -> Iterator[Subject]:
    running = start(directory / "media")
    lost = directory / "lost"
    down = local_storage_server.local_storage(lost)
    _replace_by_file(lost)
    number = itertools.count()
    try:
        yield Subject(
            running.storage,
            running.base,
            down,
            fresh=lambda: local_storage_server.local_storage(directory / f"fresh{next(number)}", OTHER_ID),
            other=local_storage_server.local_storage(directory / "other", OTHER_ID),
            verifies=frozenset({"Content-MD5", "x-amz-checksum-sha1", "x-amz-checksum-sha256"}),
            large=local_storage_server.MAX_UPLOAD,
        )
    finally:
        running.stop()


def _replace_by_file(root: Path) -> None:
    root.rename(root.with_name("elsewhere"))
    root.write_bytes(b"")


@contextmanager
def _s3(directory: Path) -> Iterator[Subject]:
    with s3_endpoint.running() as endpoint:
        storage = endpoint.storage(adapter={"largest_copy": 6 * 1024 * 1024})
        yield Subject(
            storage,
            "",
            s3_endpoint.unreachable(),
            fresh=endpoint.storage,
            other=endpoint.storage(bucket=endpoint.new_bucket()),
            verifies=endpoint.verified_headers(storage),
            large=s3_endpoint.MAX_UPLOAD,
        )


ADAPTERS: dict[str, Callable[[Path], Any]] = {"local": _local, "s3": _s3}


@pytest.fixture(scope="session", params=["local", pytest.param("s3", marks=pytest.mark.s3)])
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    with ADAPTERS[request.param](tmp_path_factory.mktemp(request.param)) as adapter:
        yield adapter


@pytest.fixture(scope="session")
def storage(subject: Subject) -> Storage:
    return subject.storage


@pytest.fixture(scope="session")
def local_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    running = start(tmp_path_factory.mktemp("local") / "media")
    yield running
    running.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[LocalServer]:
    """Run a server for one test, which may kill it or remove its directory."""
    running = start(tmp_path / "media")
    yield running
    running.stop()


@pytest.fixture
def local(tmp_path: Path) -> LocalStorage:
    return local_storage_server.local_storage(tmp_path / "media")


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Any]:
    """Run an S3 server (see `s3_endpoint.py`)."""
    with s3_endpoint.running() as server:
        yield server

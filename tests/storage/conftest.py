"""The adapters under contract, each with a real server that answers its URLs."""

from __future__ import annotations

import importlib.util
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
from types import ModuleType
from typing import Any

import pytest
import requests

from tams.storage.local import LocalStorage
from tams.storage.port import Storage


def _load(name: str) -> ModuleType:
    """The module beside this one: the tests are no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


server = _load("server")


@dataclass(frozen=True)
class Subject:
    """An adapter under contract. `base` goes in front of URLs that begin with a slash; `down` has lost its backend."""

    storage: Storage
    base: str
    down: Storage

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
    """A server process over a directory."""

    root: Path
    base: str
    process: subprocess.Popen[bytes]
    storage: LocalStorage

    @property
    def port(self) -> int:
        return int(self.base.rpartition(":")[2])

    def kill(self) -> None:
        """As the kernel does when memory runs out: no one gets to clean up."""
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
        [sys.executable, server.__file__, str(root), str(listener.fileno())],
        pass_fds=[listener.fileno()],
        start_new_session=True,
    )
    listener.close()
    started = LocalServer(root, base, process, server.local_storage(root))
    # The socket listens from the beginning, so the first request just waits for the worker.
    assert requests.get(f"{base}/storage/none/none", timeout=30).status_code == 404
    return started


@contextmanager
def _local(directory: Path) -> Iterator[Subject]:
    running = start(directory / "media")
    lost = directory / "lost"
    down = server.local_storage(lost)
    _replace_by_file(lost)
    try:
        yield Subject(running.storage, running.base, down)
    finally:
        running.stop()


def _replace_by_file(root: Path) -> None:
    root.rename(root.with_name("elsewhere"))
    root.write_bytes(b"")


ADAPTERS: dict[str, Callable[[Path], Any]] = {"local": _local}


@pytest.fixture(scope="session", params=sorted(ADAPTERS))
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    with ADAPTERS[request.param](tmp_path_factory.mktemp(request.param)) as found:
        yield found


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
    """One to be killed, or to have its directory taken away."""
    running = start(tmp_path / "media")
    yield running
    running.stop()


@pytest.fixture
def local(tmp_path: Path) -> LocalStorage:
    return server.local_storage(tmp_path / "media")

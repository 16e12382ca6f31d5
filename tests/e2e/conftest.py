"""Stores that run, and recordings to put into them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.e2e import media
from tests.e2e.media import Cut
from tests.e2e.server import TamsStore

StartStore: TypeAlias = Callable[..., TamsStore]


@pytest.fixture(scope="session")
def recording() -> list[Cut]:
    """A minute of H.264 and AAC in MPEG-TS, in Objects of two seconds."""
    return media.cut_transport_stream(media.transport_stream(60))


@pytest.fixture(scope="session")
def sound() -> list[bytes]:
    """A minute of PCM, in WAV files of five seconds."""
    return media.wave_files(60, 5)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TamsStore]:
    """A store for tests that leave each other's media alone. Nothing may have gone wrong in it at the end."""
    store = TamsStore(tmp_path_factory.mktemp("tams"))
    store.start()
    yield store
    store.stop()
    assert store.errors() == []


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TamsStore]:
    """A fresh store. Nothing may have gone wrong in it at the end."""
    started = TamsStore(tmp_path)
    started.start()
    yield started
    started.stop()
    assert started.errors() == []


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def mortal(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[TamsStore]:
    """A store that is not started yet, and made to be killed: jobs of the dead come back after five seconds."""
    # Half of the threads may hold transfers: enough for all of a test's, even where one process gets all of them.
    database: str | None = request.getfixturevalue("new_postgresql")() if request.param == "PostgreSQL" else None
    killed = TamsStore(tmp_path, database, TAMS_JOB_LEASE="5", TAMS_THREADS="8")
    yield killed
    killed.kill()

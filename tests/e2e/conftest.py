"""Running stores, and recordings to ingest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.support import media
from tests.support.databases import engine
from tests.support.media import Cut
from tests.support.servers import TamsStore, faultless

StartStore: TypeAlias = Callable[..., TamsStore]


@pytest.fixture(scope="session")
def recording() -> list[Cut]:
    """Encode a minute of H.264 and AAC in MPEG-TS, in Objects of two seconds."""
    return media.cut_transport_stream(media.transport_stream(60))


@pytest.fixture(scope="session")
def sound() -> list[bytes]:
    """Encode a minute of PCM, in WAV files of five seconds."""
    return media.wave_files(60, 5)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TamsStore]:
    """Run a store for the tests of a module, which do not touch each other's media."""
    with faultless(TamsStore(tmp_path_factory.mktemp("tams"))) as store:
        yield store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TamsStore]:
    """Run a new store."""
    with faultless(TamsStore(tmp_path)) as store:
        yield store


@pytest.fixture(params=[engine("sqlite"), engine("postgresql")])
def mortal(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[TamsStore]:
    """Prepare a store that a test starts and kills: the lease of a killed worker's jobs ends after five seconds."""
    database: str | None = None if request.param == "sqlite" else request.getfixturevalue("new_postgresql")()
    store = TamsStore(tmp_path, database, TAMS_JOB_LEASE="5")
    yield store
    store.kill()

"""An emulator for each test, and a session of the SDK. Without the SDK there is nothing to test here."""

import importlib.util
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from vastdb.session import Session

    from tools.vast_emulator.emulator import Emulator

collect_ignore_glob = [] if importlib.util.find_spec("vastdb") else ["test_*.py"]


@pytest.fixture(autouse=True)
def _quiet_sdk(caplog: pytest.LogCaptureFixture) -> None:
    """The SDK logs every refusal as a warning; here most of them are wanted."""
    caplog.set_level(logging.ERROR, logger="vastdb")


@pytest.fixture
def emulator() -> Iterator["Emulator"]:
    """A well-behaved cluster."""
    from tools.vast_emulator.emulator import Emulator

    with Emulator() as started:
        yield started


@pytest.fixture
def session(emulator: "Emulator") -> "Session":
    """A session with it."""
    from tools.vast_emulator.tests.steps import connect

    return connect(emulator)

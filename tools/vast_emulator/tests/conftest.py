"""Fixtures: an emulator for each test, and an SDK session. Without the SDK, no test is collected."""

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
    """Silence the SDK, which logs every error response as a warning; most of these tests expect errors."""
    caplog.set_level(logging.ERROR, logger="vastdb")


@pytest.fixture
def emulator() -> Iterator["Emulator"]:
    """Start a cluster with default settings."""
    from tools.vast_emulator.emulator import Emulator

    with Emulator() as running:
        yield running


@pytest.fixture
def session(emulator: "Emulator") -> "Session":
    """Return a session with the emulator."""
    from tools.vast_emulator.tests.steps import connect

    return connect(emulator)

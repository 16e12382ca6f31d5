"""The application on an empty database. A pytest plugin."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tams.api.context import STORE
from tams.app import create_app
from tams.config import Settings
from tams.repository.sql import upgrade
from tams.services.store import Store
from tests.support.databases import NewDatabase
from tests.support.repository_steps import environment_of

KEY = "k" * 32

DATABASE = os.environ.get("TAMS_TEST_DATABASE", "sqlite")

NewEnvironment = Callable[[], dict[str, str]]


@pytest.fixture(scope="session")
def new_environment(request: pytest.FixtureRequest) -> NewEnvironment:
    """Makes the database under test empty; returns the settings that choose it."""
    if DATABASE == "sqlite":
        # A file of its own in each data directory.
        return dict
    new: NewDatabase = request.getfixturevalue("roomy_vast" if DATABASE == "vast" else f"new_{DATABASE}")
    return lambda: environment_of(new())


def serving(settings: Settings, **parts: Any) -> Iterator[Flask]:
    """The application with these settings, its database made and afterwards closed."""
    settings.prepare_data_dir()
    database = settings.data_dir / "tams.db"
    if settings.repository == "sql" and settings.database_url.startswith("sqlite") and not database.exists():
        database.write_bytes(_empty_database())
    app = create_app(settings, **parts)
    yield app
    app.extensions[STORE].repository.close()


@cache
def _empty_database() -> bytes:
    """A migrated database. Migrating takes longer than most tests."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "tams.db"
        upgrade(f"sqlite:///{path}")
        assert [file.name for file in Path(directory).iterdir()] == ["tams.db"]
        return path.read_bytes()


@pytest.fixture
def settings(new_environment: NewEnvironment, tmp_path: Path) -> Settings:
    """What the store under test is set to."""
    return Settings.from_env(new_environment(), environment="development", data_dir=tmp_path / "data", secret_key=KEY)


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The application on its own database."""
    yield from serving(settings)


@pytest.fixture
def store(app: Flask) -> Store:
    """The store behind the application."""
    opened: Store = app.extensions[STORE]
    return opened


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client; `json=…` sends JSON, `answer.json` reads it."""
    return app.test_client()

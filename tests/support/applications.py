"""The application on an empty database. A pytest plugin."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tams.api.context import STORE
from tams.api.paging import page_signing_key
from tams.api.query_string import PAGE_SIGNING_KEY
from tams.app import create_app, open_store
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
    """Return a function that empties the database under test and returns the settings that choose it."""
    if DATABASE == "sqlite":
        # Each data directory has its own database file.
        return dict
    new: NewDatabase = request.getfixturevalue("new_vast_roomy" if DATABASE == "vast" else f"new_{DATABASE}")
    return lambda: environment_of(new())


def serving(settings: Settings, *, shared: bool = True, **parts: Any) -> Iterator[Flask]:
    """Yield the application with these settings; create its database before, and close it afterwards.

    `shared` is False for a test that changes the application itself, for example adds a view.
    """
    settings.prepare_data_dir()
    database = settings.data_dir / "tams.db"
    if settings.repository == "sql" and settings.database_url.startswith("sqlite") and not database.exists():
        database.write_bytes(_empty_database())
    with _application(settings, parts, shared=shared) as app:
        yield app
        app.extensions[STORE].repository.close()


_idle: dict[str, list[Flask]] = {}
"""Applications that no test uses at the moment, by the settings that they were built with."""

_OF_THE_STORE = {"data_dir", "database_url", "users_file", "secret_key", "repository"}
"""Settings that only the store and the page tokens depend on, besides those of VAST Database."""


@contextmanager
def _application(settings: Settings, parts: dict[str, Any], *, shared: bool) -> Iterator[Flask]:
    """Lend an application: one for all tests with the same settings, on a store of the test's own.

    Building an application takes 26 ms, opening a store 0.4 ms. An application with authentication caches the tokens
    and users of its store, so it is not shared; nor is one that a test adds views to.
    """
    if settings.auth or parts or not shared:
        yield create_app(settings, **parts)
        return
    idle = _idle.setdefault(_built_with(settings), [])
    if idle:
        app = idle.pop()
        app.extensions[STORE] = open_store(settings)
        app.extensions[PAGE_SIGNING_KEY] = page_signing_key(settings.signing_key())
    else:
        app = create_app(settings)
    yield app
    idle.append(app)


def _built_with(settings: Settings) -> str:
    names = (field.name for field in fields(settings))
    return repr(
        [
            (name, getattr(settings, name))
            for name in names
            if name not in _OF_THE_STORE and not name.startswith("vast_")
        ]
    )


@cache
def _empty_database() -> bytes:
    """Return the bytes of a migrated SQLite database. Migrating takes longer than most tests."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "tams.db"
        upgrade(f"sqlite:///{path}")
        assert [file.name for file in Path(directory).iterdir()] == ["tams.db"]
        return path.read_bytes()


@pytest.fixture
def settings(new_environment: NewEnvironment, tmp_path: Path) -> Settings:
    """Return the settings of the store under test."""
    return Settings.from_env(new_environment(), environment="development", data_dir=tmp_path / "data", secret_key=KEY)


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """Yield the application on a separate database."""
    yield from serving(settings)


@pytest.fixture
def own_app(settings: Settings) -> Iterator[Flask]:
    """Yield an application built for one test, which may add views to it."""
    yield from serving(settings, shared=False)


@pytest.fixture
def store(app: Flask) -> Store:
    """Return the store behind the application."""
    store: Store = app.extensions[STORE]
    return store


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Return a client; `json=…` sends JSON, `answer.json` reads it."""
    return app.test_client()

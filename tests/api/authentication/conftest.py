"""The application with every method of authentication switched on, in production."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tams.api.context import STORE
from tams.config import Settings
from tams.domain.access import SCOPES
from tams.services import tokens
from tams.services.users import User, UsersFile, hash_password
from tests.api.authentication.issuer import AUDIENCE, NAME, Issuer
from tests.api.conftest import KEY, NewEnvironment, serving

PASSWORD = "correct horse battery staple"
METHODS = ("jwt", "basic", "token")


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """An identity provider of one's own."""
    running = Issuer()
    yield running
    running.stop()


@pytest.fixture
def settings(new_environment: NewEnvironment, tmp_path: Path, issuer: Issuer) -> Settings:
    """Everything switched on; the users `everything`, who may do all, and one per scope and one without."""
    return secured(tmp_path, issuer, new_environment())


def secured(directory: Path, issuer: Issuer, database: Mapping[str, str] | None = None, **changed: Any) -> Settings:
    """Settings of a store with all methods of authentication."""
    data = directory / "data"
    write_users(data / "users.json")
    given: dict[str, Any] = {
        "environment": "production",
        "auth": METHODS,
        "data_dir": data,
        "secret_key": KEY,
        "jwt_issuer": NAME,
        "jwt_audience": (AUDIENCE,),
        "jwt_jwks_url": issuer.url,
    }
    return Settings.from_env(database or {}, **{**given, **changed})


def write_users(path: Path) -> UsersFile:
    """A file of users who all have the same password."""
    file = UsersFile(path)
    kept = _hash()
    file.add(User("everything", kept, frozenset(SCOPES), frozenset({"staff"})))
    file.add(User("nothing", kept, frozenset(), frozenset()))
    for scope in SCOPES:
        file.add(User(scope.partition("/")[2], kept, frozenset({scope}), frozenset()))
    return file


@cache
def _hash() -> str:
    """Hashing takes its time."""
    return hash_password(PASSWORD)


def basic(name: str, password: str = PASSWORD) -> dict[str, str]:
    """The header that carries them."""
    return {"Authorization": "Basic " + b64encode(f"{name}:{password}".encode()).decode()}


def grant(app: Flask, *scopes: str, name: str = "player", seconds: int | None = 3600) -> str:
    """A long-lived token."""
    return tokens.create(app.extensions[STORE], name, scopes, ["viewers"], seconds)[1]


@pytest.fixture
def alice(app: Flask) -> FlaskClient:
    """A client that has every scope, by a JWT."""
    client = app.test_client()
    token = Issuer.token(scope=" ".join(SCOPES))
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The application on its own database."""
    yield from serving(settings)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client without credentials."""
    return app.test_client()

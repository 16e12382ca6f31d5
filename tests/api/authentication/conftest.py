"""The application with every method of authentication switched on, in production."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tams.config import Settings
from tams.domain.principals import SCOPES
from tests.support.applications import NewEnvironment, serving
from tests.support.credentials import secured
from tests.support.issuer import Issuer


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """Run an identity provider for one test."""
    running = Issuer()
    yield running
    running.stop()


@pytest.fixture
def settings(new_environment: NewEnvironment, tmp_path: Path, issuer: Issuer) -> Settings:
    """Configure all methods, with a user `everything` who has all scopes, a user per scope, and `nothing`."""
    return secured(tmp_path, issuer, new_environment())


@pytest.fixture
def alice(app: Flask) -> FlaskClient:
    """Return a client that has every scope, by a JWT."""
    client = app.test_client()
    token = Issuer.token(scope=" ".join(SCOPES))
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """Make the application on its own database."""
    yield from serving(settings)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Return a client without credentials."""
    return app.test_client()

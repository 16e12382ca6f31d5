"""The application with classes `news`, `drama` and `sport`, whose groups are `news-read`, `news-write` and so on.

It has two Storage Backends: one without class, and `vault` of the class `vault`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tams.config import Settings
from tams.domain.principals import SCOPES
from tests.support.access_clients import Clients, groups, with_classes


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """Configure authentication and classes."""
    return with_classes(settings, tmp_path)


@pytest.fixture
def by(app: Flask) -> Clients:
    """Return a factory of clients, by their groups."""
    return Clients(app)


@pytest.fixture
def admin(by: Clients) -> FlaskClient:
    """Return a client that may do everything."""
    return by(name="admin", scopes=SCOPES)


@pytest.fixture
def reporter(by: Clients) -> FlaskClient:
    """Return a client with all permissions on news."""
    return by(*groups("news"), name="reporter")

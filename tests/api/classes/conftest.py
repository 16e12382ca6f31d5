"""The application with classes: `news`, `drama` and `sport`, whose groups are `news-read`, `news-write` and so on.

There are two Storage Backends: one that is open, and `vault`, of the class `vault`.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient

from tams.config import Settings
from tams.domain.access import ADMIN, SCOPES

PLAIN = tuple(scope for scope in SCOPES if scope != ADMIN)
"""Every scope but admin."""

SECRET = "s" * 32
OPEN = "0b7f6f0e-61a0-4a39-9d0f-8c8a1f3f7f01"
VAULT = "0b7f6f0e-61a0-4a39-9d0f-8c8a1f3f7f02"

CLASSES = ("news", "drama", "sport", "vault")
ALL = ("read", "write", "delete")


def groups(*classes: str, of: tuple[str, ...] = ALL) -> list[str]:
    """The groups that have those permissions on those classes."""
    return [f"{name}-{permission}" for name in classes for permission in of]


class Clients:
    """Clients by the groups that they are in."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def __call__(self, *groups: str, name: str = "somebody", scopes: tuple[str, ...] = PLAIN) -> FlaskClient:
        """A client in these groups."""
        claims = {
            "iss": "tests",
            "aud": "tams",
            "sub": name,
            "exp": int(time.time()) + 3600,
            "scope": " ".join(scopes),
            "groups": list(groups),
        }
        client = self._app.test_client()
        token = jwt.encode(claims, SECRET, "HS256")
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        return client


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """The store's settings with authentication and classes."""
    return with_classes(settings, tmp_path)


def with_classes(settings: Settings, directory: Path, **changed: Any) -> Settings:
    """The settings with authentication, classes, and the two backends."""
    mapping = directory / "classes.toml"
    mapping.write_text(
        "\n".join(
            line for name in CLASSES for line in (f"[classes.{name}]", *(f'{each} = ["{name}-{each}"]' for each in ALL))
        )
    )
    backends = directory / "backends.toml"
    backends.write_text(
        f'[[backend]]\ntype = "local"\nid = "{OPEN}"\nlabel = "open"\ndirectory = "{directory / "open"}"\n'
        f"default = true\n\n"
        f'[[backend]]\ntype = "local"\nid = "{VAULT}"\nlabel = "vault"\ndirectory = "{directory / "vault"}"\n'
        f'auth_classes = ["vault"]\n'
    )
    return replace(
        settings,
        auth=("jwt",),
        jwt_issuer="tests",
        jwt_audience=("tams",),
        jwt_key=SECRET,
        auth_classes=mapping,
        storage_config=backends,
        **changed,
    )


@pytest.fixture
def by(app: Flask) -> Clients:
    """Makes clients."""
    return Clients(app)


@pytest.fixture
def admin(by: Clients) -> FlaskClient:
    """A client that may do everything."""
    return by(name="admin", scopes=SCOPES)


@pytest.fixture
def reporter(by: Clients) -> FlaskClient:
    """A client that may do everything with news."""
    return by(*groups("news"), name="reporter")

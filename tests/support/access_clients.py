"""Clients of a store with access classes, by their groups."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
from flask import Flask
from flask.testing import FlaskClient

from tams.config import Settings
from tams.domain.principals import ADMIN, SCOPES

PLAIN = tuple(scope for scope in SCOPES if scope != ADMIN)
"""Every scope but admin."""

SECRET = "s" * 32

OPEN = "0b7f6f0e-61a0-4a39-9d0f-8c8a1f3f7f01"

VAULT = "0b7f6f0e-61a0-4a39-9d0f-8c8a1f3f7f02"

CLASSES = ("news", "drama", "sport", "vault")

ALL = ("read", "write", "delete")


def groups(*classes: str, of: tuple[str, ...] = ALL) -> list[str]:
    """Return the groups that have the permissions `of` on these classes."""
    return [f"{name}-{permission}" for name in classes for permission in of]


class Clients:
    """A factory of clients, by the groups that they are in."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def __call__(self, *groups: str, name: str = "someone", scopes: tuple[str, ...] = PLAIN) -> FlaskClient:
        """Return a client in these groups, with a JWT of these scopes."""
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


def with_classes(settings: Settings, directory: Path, **changed: Any) -> Settings:
    """Return the settings with authentication, classes and the two backends, and `changed` on top."""
    mapping = directory / "classes.toml"
    mapping.write_text(
        "\n".join(
            line
            for name in CLASSES
            for line in (f"[classes.{name}]", *(f'{right} = ["{name}-{right}"]' for right in ALL))
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

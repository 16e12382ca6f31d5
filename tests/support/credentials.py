"""Users, passwords and tokens of a store with authentication."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask

from tams.api.context import STORE
from tams.config import Settings
from tams.domain.principals import SCOPES
from tams.services.access import tokens
from tams.services.access.passwords import hash_password
from tams.services.access.users import User, UsersFile
from tests.support.applications import KEY
from tests.support.issuer import AUDIENCE, NAME, Issuer

PASSWORD = "correct horse battery staple"

METHODS = ("jwt", "basic", "token")


def secured(directory: Path, issuer: Issuer, database: Mapping[str, str] | None = None, **changed: Any) -> Settings:
    """Return the settings of a store with all methods of authentication."""
    data = directory / "data"
    write_users(data / "users.json")
    defaults: dict[str, Any] = {
        "environment": "production",
        "auth": METHODS,
        "data_dir": data,
        "secret_key": KEY,
        "jwt_issuer": NAME,
        "jwt_audience": (AUDIENCE,),
        "jwt_jwks_url": issuer.url,
    }
    return Settings.from_env(database or {}, **{**defaults, **changed})


def write_users(path: Path) -> UsersFile:
    """Write a file of users who all have the same password: `everything`, `nothing`, and one for each scope."""
    file = UsersFile(path)
    password_hash = _hash()
    file.add(User("everything", password_hash, frozenset(SCOPES), frozenset({"staff"})))
    file.add(User("nothing", password_hash, frozenset(), frozenset()))
    for scope in SCOPES:
        file.add(User(scope.partition("/")[2], password_hash, frozenset({scope}), frozenset()))
    return file


@cache
def _hash() -> str:
    """Hash the password once, because hashing is slow on purpose."""
    return hash_password(PASSWORD)


def basic(name: str, password: str = PASSWORD) -> dict[str, str]:
    """Return the Authorization header for a user name and a password."""
    return {"Authorization": "Basic " + b64encode(f"{name}:{password}".encode()).decode()}


def grant(app: Flask, *scopes: str, name: str = "player", seconds: int | None = 3600) -> str:
    """Create a long-lived token; return its text."""
    return tokens.create(app.extensions[STORE], name, scopes, ["viewers"], seconds)[1]

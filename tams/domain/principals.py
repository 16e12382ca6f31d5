"""Principals: the users and machines on whose behalf requests are made, and their scopes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

READ: Final = "tams-api/read"
WRITE: Final = "tams-api/write"
DELETE: Final = "tams-api/delete"
ADMIN: Final = "tams-api/admin"

SCOPES: Final = (READ, WRITE, DELETE, ADMIN)
"""The scopes of the specification's application note 0016. None of them includes another."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The user or machine on whose behalf a request is made; `created_by` and `updated_by` show the `name`.

    `scopes` are the granted ones of `SCOPES`. `groups` are the groups that classes of media grant permissions to.
    """

    name: str
    scopes: frozenset[str] = field(default=frozenset())
    groups: frozenset[str] = field(default=frozenset())


ANONYMOUS: Final = Principal("anonymous")
"""The principal of a request without credentials to an operation that needs none."""

UNRESTRICTED: Final = Principal("anonymous", frozenset(SCOPES))
"""The principal of every request if the store runs without authentication."""

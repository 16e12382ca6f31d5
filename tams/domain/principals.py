"""Who is asking, and what for."""

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
    """The one on whose behalf a request is made; `name` is what `created_by` and `updated_by` show.

    `scopes` are those of `SCOPES` that were granted; `groups` are the names by which classes of media are shared.
    """

    name: str
    scopes: frozenset[str] = field(default=frozenset())
    groups: frozenset[str] = field(default=frozenset())


ANONYMOUS: Final = Principal("anonymous")
"""The principal of a request that needs no credentials and was not asked for any."""

UNRESTRICTED: Final = Principal("anonymous", frozenset(SCOPES))
"""Every request's principal where the store runs without authentication."""

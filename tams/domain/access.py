"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """The one on whose behalf a request is made; `name` is what `created_by` and `updated_by` show."""

    name: str


ANONYMOUS = Principal("anonymous")
"""Every request's principal where the store runs without authentication."""

"""Password hashing with argon2id."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from tams.domain.errors import Invalid

if TYPE_CHECKING:
    import argon2

SHORTEST_PASSWORD: Final = 12
"""The least number of characters in a password; there is no other rule."""

LONGEST_PASSWORD: Final = 1024
"""The largest number of characters in a password, so that hashing cannot be used to keep the store busy."""


def hash_password(password: str) -> str:
    """Return the hash of a password, to be stored.

    Raises:
        Invalid: The password is too short or too long.
    """
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise Invalid(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    return _hasher().hash(password)


def is_password(password: str, password_hash: str) -> bool:
    """Return True if the hash is that of the password. Takes some 20 ms, whatever the result."""
    import argon2

    if len(password) > LONGEST_PASSWORD:
        return False
    try:
        return _hasher().verify(password_hash, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


@cache
def _hasher() -> argon2.PasswordHasher:
    """Return a hasher with OWASP's parameters for argon2id: 19 MiB, so that logins cannot exhaust a small machine."""
    import argon2

    return argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

"""User names and passwords (HTTP Basic)."""

from __future__ import annotations

import hmac
import logging
import math
import secrets
import threading
import time
from functools import cache
from typing import TYPE_CHECKING, Final

from werkzeug.exceptions import TooManyRequests

from tams.api.authentication.rate_limiter import RateLimiter
from tams.api.authentication.schemes import InvalidCredentials
from tams.api.authentication.ttl_cache import TtlCache
from tams.domain.errors import Unavailable
from tams.domain.principals import Principal
from tams.services.access.passwords import LONGEST_PASSWORD, hash_password, is_password
from tams.services.access.users import UsersUnreadable

if TYPE_CHECKING:
    from tams.services.access.users import UsersFile

logger = logging.getLogger(__name__)

CACHE_SECONDS: Final = 60.0
"""Seconds for which a correct name and password need not be hashed again."""

_WRONG: Final = "the user name or the password is wrong"
_CACHE_ENTRIES: Final = 1024
# A hash takes 19 MiB and a processor.
_HASHES_AT_ONCE: Final = 2
_MAX_WAIT_FOR_HASHING: Final = 5.0


@cache
def _dummy_hash() -> str:
    """Return the hash that the passwords of unknown users are compared with, so that a refusal takes equally long."""
    return hash_password(secrets.token_hex())


class Passwords:
    """Authenticates by user name and password.

    Failures are limited: per user and address 5 at once and one in 12 seconds, per address 30 and one in 2 seconds, per
    user 100 and one in 6 seconds. Beyond a limit even the correct password is refused, unless it was correct within the
    last minute. A correct pair is cached under a key that only this process knows, together with the user's hash, so
    that a changed password ends it at once.
    """

    def __init__(self, users: UsersFile) -> None:
        self._users = users
        self._cache_key = secrets.token_bytes(32)
        self._cache: TtlCache[Principal] = TtlCache(_CACHE_ENTRIES)
        self._hashing = threading.BoundedSemaphore(_HASHES_AT_ONCE)
        self._per_user_and_address = RateLimiter(5, 1 / 12)
        self._per_address = RateLimiter(30, 1 / 2)
        self._per_user = RateLimiter(100, 1 / 6)
        _dummy_hash()

    def principal(self, name: str, password: str, address: str) -> Principal:
        """Return the principal of a user.

        Raises:
            InvalidCredentials: the name or the password is wrong.
            TooManyRequests: there were too many failures.
            Unavailable: the file of users cannot be read, or too many passwords are being hashed.
        """
        if not 0 < len(password) <= LONGEST_PASSWORD:
            raise InvalidCredentials(_WRONG)
        try:
            user = self._users.users().get(name)
        except UsersUnreadable as error:
            logger.error("No user can log in: %s", error)  # noqa: TRY400 - the message holds everything
            raise Unavailable("credentials cannot be checked: the file of users cannot be read") from error
        password_hash = _dummy_hash() if user is None else user.password
        pair = f"{name}\x00{password}\x00{password_hash}".encode(errors="surrogatepass")
        digest = hmac.digest(self._cache_key, pair, "sha256")
        principal = self._cache.get(digest)
        if user is None or principal is None or (principal.scopes, principal.groups) != (user.scopes, user.groups):
            self._check(name, password, password_hash, address)
            if user is None:
                raise InvalidCredentials(_WRONG)
            principal = Principal(name, user.scopes, user.groups)
            self._cache.put(digest, principal, time.time() + CACHE_SECONDS)
        return principal

    def _check(self, name: str, password: str, password_hash: str, address: str) -> None:
        """Compare the password with the hash. A failure stays counted."""
        # Counted before the comparison and given back after it, so that simultaneous attempts are counted too.
        taken: list[tuple[RateLimiter, tuple[str, ...]]] = []
        for limiter, key in (
            (self._per_user_and_address, (address, name)),
            (self._per_address, (address,)),
            (self._per_user, (name,)),
        ):
            wait = limiter.take(key)
            if wait:
                _give_back(taken)
                logger.warning("Too many wrong passwords from %s: passwords are not compared for a while", address)
                raise TooManyRequests("too many wrong passwords: wait, then try again", retry_after=math.ceil(wait))
            taken.append((limiter, key))
        if not self._hashing.acquire(timeout=_MAX_WAIT_FOR_HASHING):
            _give_back(taken)
            raise Unavailable("too many users are logging in at this moment: try again")
        try:
            correct = is_password(password, password_hash)
        finally:
            self._hashing.release()
        if not correct:
            raise InvalidCredentials(_WRONG)
        _give_back(taken)


def _give_back(taken: list[tuple[RateLimiter, tuple[str, ...]]]) -> None:
    for limiter, key in taken:
        limiter.give_back(key)

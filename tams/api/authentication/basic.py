"""User names and passwords."""

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

from tams.api.authentication.rate_limiter import Pace
from tams.api.authentication.refusal import Refused
from tams.api.authentication.ttl_cache import Remembered
from tams.domain.errors import Unavailable
from tams.domain.principals import Principal
from tams.services.access.users import LONGEST_PASSWORD, UsersUnreadable, hash_password, is_password

if TYPE_CHECKING:
    from tams.services.access.users import UsersFile

logger = logging.getLogger(__name__)

REMEMBERED_FOR: Final = 60.0
"""Seconds for which a pair that was right need not be hashed again."""

_WRONG: Final = "the user name or the password is wrong"
_REMEMBERED: Final = 1024
# A hash takes 19 MiB and a processor.
_HASHES_AT_ONCE: Final = 2
_WAIT_FOR_A_HASH: Final = 5.0


@cache
def _nobodys_hash() -> str:
    """What a password is compared with where there is no such user, so that this takes as long."""
    return hash_password(secrets.token_hex())


class Passwords:
    """What makes principals of user names and passwords.

    Wrong ones are slowed down: per user and address five at once and one in twelve seconds, per address thirty and one
    in two seconds, per user a hundred and one in six seconds. Meanwhile even the right one is refused, unless it was
    right within the last minute. A pair that was right is remembered under a key that this process alone knows, and
    with the user's hash, so that a changed password ends it at once.
    """

    def __init__(self, users: UsersFile) -> None:
        self._users = users
        self._key = secrets.token_bytes(32)
        self._remembered: Remembered[Principal] = Remembered(_REMEMBERED)
        self._hashing = threading.BoundedSemaphore(_HASHES_AT_ONCE)
        self._paces = (Pace(5, 1 / 12), Pace(30, 1 / 2), Pace(100, 1 / 6))
        _nobodys_hash()

    def principal(self, name: str, password: str, address: str) -> Principal:
        """Who that is. `Refused`; 429 after too many failures; `Unavailable` where it cannot be checked now."""
        if not 0 < len(password) <= LONGEST_PASSWORD:
            raise Refused(_WRONG)
        try:
            user = self._users.users().get(name)
        except UsersUnreadable as error:
            logger.error("Nobody can log in: %s", error)  # noqa: TRY400 - the sentence says all
            raise Unavailable("credentials cannot be checked: the file of users cannot be read") from error
        kept = _nobodys_hash() if user is None else user.password
        pair = f"{name}\x00{password}\x00{kept}".encode(errors="surrogatepass")
        digest = hmac.digest(self._key, pair, "sha256")
        principal = self._remembered.get(digest, time.time())
        if user is None or principal is None or (principal.scopes, principal.groups) != (user.scopes, user.groups):
            self._check(name, password, kept, address)
            if user is None:
                raise Refused(_WRONG)
            principal = Principal(name, user.scopes, user.groups)
            self._remembered.put(digest, principal, time.time() + REMEMBERED_FOR)
        return principal

    def _check(self, name: str, password: str, kept: str, address: str) -> None:
        """Compare with the hash. A failure stays counted."""
        keys = ((address, name), (address,), (name,))
        # Counted before and given back after, so that attempts at the same time are counted too.
        taken: list[tuple[Pace, tuple[str, ...]]] = []
        for pace, key in zip(self._paces, keys, strict=True):
            wait = pace.take(key)
            if wait:
                _give_back(taken)
                logger.warning("Too many wrong passwords from %s: they are not compared for a while", address)
                raise TooManyRequests("too many wrong passwords: wait, then try again", retry_after=math.ceil(wait))
            taken.append((pace, key))
        if not self._hashing.acquire(timeout=_WAIT_FOR_A_HASH):
            _give_back(taken)
            raise Unavailable("too many are logging in at this moment: try again")
        try:
            right = is_password(password, kept)
        finally:
            self._hashing.release()
        if not right:
            raise Refused(_WRONG)
        _give_back(taken)


def _give_back(taken: list[tuple[Pace, tuple[str, ...]]]) -> None:
    for pace, key in taken:
        pace.give_back(key)

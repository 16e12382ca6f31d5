"""The presigned URLs of a backend: with which credentials, from when and for how long they are valid."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from tams.storage.s3.credentials import LastingCredentials
from tams.storage.s3.sigv4 import Presigner, Signing

if TYPE_CHECKING:
    from boto3.session import Session

_MICROSECONDS: Final = 1_000_000


class SignedUrls:
    """Presigned URLs for GET and PUT. What the URLs of one signing date have in common is kept for the next call.

    `get_lifetime` is the minimum validity of URLs for GET, `longest_put` the maximum of those for PUT, both in seconds.
    """

    def __init__(self, presigner: Presigner, session: Session, *, get_lifetime: int, longest_put: int) -> None:
        self._presigner = presigner
        self._get_lifetime = get_lifetime
        # The signing dates of GET URLs are this many seconds apart, so that the URLs can be cached.
        self._step = max(1, get_lifetime // 2)
        # A date has no fraction of a second: one second more makes up for the fraction that is cut off.
        self._put_lifetime = min(get_lifetime + 1, longest_put)
        self._credentials = LastingCredentials(session, get_lifetime + self._step)
        self._get_signing: tuple[int, Signing] | None = None
        self._put_signing: tuple[tuple[int, str], Signing] | None = None

    def get_signer(self, now: int) -> Callable[[str], str]:
        """Return a function from a key to its URL for GET, the same for up to half of its lifetime.

        `now` is in microseconds.

        Raises:
            BackendDown: no credentials are valid that long.
        """
        seconds = now // _MICROSECONDS
        date = seconds - seconds % self._step
        prepared = self._get_signing
        if prepared is None or prepared[0] != date:
            lifetime = self._get_lifetime + self._step
            credentials = self._credentials.until(date + lifetime)
            prepared = self._get_signing = (date, self._presigner.signing(credentials, date, lifetime))
        return partial(self._presigner.get, signing=prepared[1])

    def put_url(self, key: str, content_type: str, now: int) -> tuple[str, int]:
        """Return a URL for PUT with that content type, and the time when it ends. Times are in microseconds.

        Raises:
            BackendDown: no credentials are valid that long.
        """
        date = now // _MICROSECONDS
        prepared = self._put_signing
        if prepared is None or prepared[0] != (date, content_type):
            credentials = self._credentials.until(date + self._put_lifetime)
            signing = self._presigner.signing(credentials, date, self._put_lifetime, content_type)
            prepared = self._put_signing = ((date, content_type), signing)
        return self._presigner.put(key, prepared[1]), (date + self._put_lifetime) * _MICROSECONDS

"""Credentials that last: what is signed with temporary ones is worth nothing once they end."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError

from tams.storage.port import BackendDown

if TYPE_CHECKING:
    from boto3.session import Session

logger = logging.getLogger(__name__)

# How much earlier than needed new credentials are asked for: the clocks of two machines differ.
_MARGIN: Final = 60
_EARLIEST_REFRESH: Final = 15 * 60


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key, and the token that goes with it where it is a temporary one."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class LastingCredentials:
    """The credentials of a session, renewed before they are used for URLs that live up to `lifetime` seconds."""

    def __init__(self, session: Session, lifetime: int) -> None:
        self._session = session
        self._refresh_before = max(_EARLIEST_REFRESH, lifetime + _MARGIN)

    def until(self, end: int) -> Credentials:
        """Credentials that are valid beyond `end` (seconds since 1970). `BackendDown` where there are none."""
        try:
            # The session looks for them once and keeps what it found.
            found = self._session.get_credentials()
            if found is None:
                raise BackendDown(
                    "there are no S3 credentials: see docs/how-to/keep-media-in-s3.md for where they are looked for"
                )
            if isinstance(found, RefreshableCredentials):
                # How early the SDK renews them cannot be said where a session makes them.
                vars(found)["_advisory_refresh_timeout"] = self._refresh_before
            frozen = found.get_frozen_credentials()
            remaining = end - time.time()
            if isinstance(found, RefreshableCredentials) and found.refresh_needed(max(0, int(remaining))):
                logger.error("The S3 credentials end before URLs that live %s seconds more would", int(remaining))
                raise BackendDown("the S3 credentials end before a URL would")
        except (BotoCoreError, OSError, RuntimeError) as error:
            # RuntimeError is what the SDK raises for new credentials that have ended already.
            raise BackendDown(f"the S3 credentials cannot be had ({type(error).__name__})") from error
        if not frozen.access_key or not frozen.secret_key:
            raise BackendDown("the S3 credentials are not complete")
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token)

"""Credentials for presigned URLs, which become invalid once the credentials that signed them expire."""

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

# Seconds by which credentials are renewed earlier than needed, because the clocks of two machines differ.
_MARGIN: Final = 60
_EARLIEST_REFRESH: Final = 15 * 60


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key, and its session token if it is a temporary one."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class LastingCredentials:
    """The credentials of a session, renewed in time for URLs that are valid for up to `lifetime` seconds."""

    def __init__(self, session: Session, lifetime: int) -> None:
        self._session = session
        self._refresh_before = max(_EARLIEST_REFRESH, lifetime + _MARGIN)

    def until(self, end: int) -> Credentials:
        """Return credentials that are valid beyond `end` (seconds since 1970).

        Raises:
            BackendDown: there are no credentials, or none that are valid that long.
        """
        try:
            # The session searches for them once and keeps them.
            credentials = self._session.get_credentials()
            if credentials is None:
                raise BackendDown(
                    "there are no S3 credentials: see docs/how-to/keep-media-in-s3.md for where they are searched for"
                )
            if isinstance(credentials, RefreshableCredentials):
                # A session has no option for how early the SDK renews them.
                vars(credentials)["_advisory_refresh_timeout"] = self._refresh_before
            frozen = credentials.get_frozen_credentials()
            remaining = end - time.time()
            if isinstance(credentials, RefreshableCredentials) and credentials.refresh_needed(max(0, int(remaining))):
                logger.error(
                    "The S3 credentials expire before URLs that have to be valid for %s seconds", int(remaining)
                )
                raise BackendDown("the S3 credentials expire before a URL would")
        except (BotoCoreError, OSError, RuntimeError) as error:
            # The SDK raises RuntimeError for new credentials that have already expired.
            raise BackendDown(f"the S3 credentials are not available ({type(error).__name__})") from error
        if not frozen.access_key or not frozen.secret_key:
            raise BackendDown("the S3 credentials are not complete")
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token)

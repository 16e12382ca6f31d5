"""One request to a webhook's receiver: signed, guarded by the rules of destinations, and bounded in time."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tams.domain.clock import MICROSECONDS, format_time
from tams.domain.destinations import parse_allowed
from tams.domain.identifiers import new_id
from tams.services.egress import Connection, DestinationRefused, Egress
from tams.services.webhooks.signatures import signed_headers

if TYPE_CHECKING:
    from tams.config import Settings
    from tams.domain.webhooks import Webhook

TEST_EVENT: Final = "webhooks/test"
"""The `event_type` of `tams webhooks test`, which no change has."""

_LONGEST_RESPONSE: Final = 64 * 1024


class PostFailed(Exception):
    """There was no answer. `str(error)` says why, in words for the owner of the webhook."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a receiver. `refusal` says why it is no success, and is None if it is one."""

    status: int
    retry_after: str | None

    @property
    def refusal(self) -> str | None:
        """Why the event counts as not delivered."""
        if 200 <= self.status < 300:
            return None
        hint = " (redirects are not followed)" if 300 <= self.status < 400 else ""
        return f"the receiver answered {self.status}{hint}"


class Poster:
    """Sends events to receivers. Thread-safe, as long as each connection is used by one thread at a time."""

    def __init__(self, settings: Settings, now: Callable[[], int]) -> None:
        self._egress = Egress(parse_allowed(settings.outbound_allow))
        self._signing_key = settings.webhook_signing_key()
        self._timeout = settings.webhook_timeout
        self._now = now

    def connection(self, webhook: Webhook) -> Connection:
        """Return a connection to the receiver, which is opened by its first request."""
        return self._egress.connection(webhook.url, webhook.owner)

    def post(self, connection: Connection, webhook: Webhook, event_id: str, sequence: int, body: bytes) -> Answer:
        """Send the JSON of an event, and return the answer.

        Raises:
            PostFailed: there is no answer.
        """
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "tams",
            **signed_headers(self._signing_key, event_id, self._now() // MICROSECONDS, body),
            "Webhook-Sequence": str(sequence),
            **webhook.key_header,
        }
        try:
            response = connection.send_request("POST", headers, body, self._timeout)
            if len(response.read(_LONGEST_RESPONSE)) == _LONGEST_RESPONSE:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise PostFailed(self._reason(error)) from error
        return Answer(response.status, response.headers.get("Retry-After"))

    def post_test_event(self, webhook: Webhook) -> Answer:
        """Send an event without content, which stands for no change, outside the queue of the webhook.

        Raises:
            PostFailed: there is no answer.
        """
        connection = self.connection(webhook)
        body = f'{{"event_timestamp":"{format_time(self._now())}","event_type":"{TEST_EVENT}","event":{{}}}}'
        try:
            return self.post(connection, webhook, new_id(), 0, body.encode())
        finally:
            connection.close()

    def _reason(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"the receiver did not answer within {self._timeout} s"
        if isinstance(error, DestinationRefused):
            return str(error)
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"the receiver's certificate was not accepted: {error.verify_message}"
        if isinstance(error, OSError):
            return f"the receiver could not be reached: {error.strerror or type(error).__name__}"
        return f"the receiver's answer is not valid HTTP: {type(error).__name__}"

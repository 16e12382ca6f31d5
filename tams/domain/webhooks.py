"""Webhooks: the events that they select, and their states (specification, `/service/webhooks`)."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

from tams.domain.clock import format_time
from tams.domain.events import Event, EventType

Status = Literal["created", "started", "disabled", "error"]

EVENT_TYPES: Final[tuple[str, ...]] = get_args(EventType)
"""Every type of event."""

HEADER_BYTES: Final = 8192
"""The longest `api_key_value`, in bytes."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}", re.ASCII)
_VALUE: Final = re.compile(r"(?:[!-~](?:[ \t!-~]*[!-~])?)?", re.ASCII)
# Headers that a delivery sets itself, and headers that control the connection.
_RESERVED_HEADERS: Final = re.compile(
    r"webhook-.*|host|content-.*|transfer-encoding|te|trailer|connection|keep-alive|proxy-.*|upgrade|expect|user-agent"
    r"|accept-encoding",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook. `document` holds its properties as in `webhook.json`, without secrets.

    `api_key_value` is secret and never shown. `owner` is the principal that registered it. `base_url` is the URL by
    which the owner reached this service; local URLs in events begin with it unless the service has a public URL.
    `error` (`error.json`) says why it stopped. `groups` and `admin` are those of the owner when the owner last wrote
    it; they decide which events it is sent.
    """

    id: str
    document: dict[str, Any]
    status: Status
    api_key_value: str | None
    owner: str
    base_url: str
    error: dict[str, Any] | None = None
    groups: tuple[str, ...] = ()
    admin: bool = False

    @property
    def url(self) -> str:
        """The URL that events are sent to."""
        return str(self.document["url"])

    @property
    def sends(self) -> bool:
        """True if events are sent as soon as there are any."""
        return self.status in {"created", "started"}

    @property
    def collects(self) -> bool:
        """True if events are queued for it. A disabled webhook misses the events of that time."""
        return self.status != "disabled"

    @property
    def key_header(self) -> dict[str, str]:
        """The header that authenticates the sender to the receiver; empty unless both name and value are set."""
        name = self.document.get("api_key_name")
        return {} if name is None or self.api_key_value is None else {name: self.api_key_value}

    def selects(self, event: Event) -> bool:
        """Return True if the event passes all filters, given the collections at the time of the change."""
        document = self.document
        if event.type not in document["events"] or not _passes(document.get("source_ids"), event.source_id):
            return False
        if not _passes_collectors(document.get("source_collected_by_ids"), event.source_collected_by):
            return False
        if event.flow_id is None:
            return True
        return _passes(document.get("flow_ids"), event.flow_id) and _passes_collectors(
            document.get("flow_collected_by_ids"), event.flow_collected_by
        )

    def failed(self, kind: str, summary: str, now: int) -> Webhook:
        """Return the webhook in the status `error`; `now` is in microseconds."""
        return replace(self, status="error", error={"type": kind, "summary": summary, "time": format_time(now)})


def check_change(before: Status, after: Status) -> str | None:
    """Return why a client may not change the status so, or None if it may."""
    if before == "error" and after == "disabled":
        return "a webhook in the status error cannot be disabled: set created to have it send again, or delete it"
    return None


def check_header_name(name: str) -> str:
    """Return the name of the header that a client chose for its key. Raises ValueError if it cannot be sent."""
    if not _TOKEN.fullmatch(name):
        raise ValueError("expected the name of an HTTP header: letters, digits and !#$%&'*+-.^_`|~")
    if _RESERVED_HEADERS.fullmatch(name):
        raise ValueError("this header is reserved in deliveries; choose another one")
    return name


def check_header_value(value: str) -> str:
    """Return the value of the header that holds a client's key. Raises ValueError if it cannot be sent."""
    if len(value) > HEADER_BYTES or not _VALUE.fullmatch(value):
        raise ValueError(f"expected at most {HEADER_BYTES} printable ASCII characters, without a space at either end")
    return value


def _passes(allowed: Collection[str] | None, resource_id: str) -> bool:
    return allowed is None or resource_id in allowed


def _passes_collectors(allowed: Collection[str] | None, collectors: Collection[str]) -> bool:
    """Return True if one of the collectors is allowed. An empty list allows only items without a collector."""
    if allowed is None:
        return True
    return any(collector in allowed for collector in collectors) if allowed else not collectors

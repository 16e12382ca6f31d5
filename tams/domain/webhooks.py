"""Webhooks: which events they want, and the states that they go through (specification, `/service/webhooks`)."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

from tams.domain.clock import format_time
from tams.domain.events import Event, EventType

Status = Literal["created", "started", "disabled", "error"]

EVENT_TYPES: Final[tuple[str, ...]] = get_args(EventType)
"""Everything that can happen."""

HEADER_BYTES: Final = 8192
"""The longest `api_key_value`, in bytes."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}", re.ASCII)
_VALUE: Final = re.compile(r"(?:[!-~](?:[ \t!-~]*[!-~])?)?", re.ASCII)
# What a delivery says itself, and what rules the connection.
_OURS: Final = re.compile(
    r"webhook-.*|host|content-.*|transfer-encoding|te|trailer|connection|keep-alive|proxy-.*|upgrade|expect|user-agent"
    r"|accept-encoding",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook. `document` is what `webhook.json` has of it, and no secret.

    `api_key_value` is never shown. `owner` is who registered it, and `base_url` where they reached this service: local
    URLs in events begin with it unless the service has a public one. `error` (`error.json`) tells why it stopped.
    `groups` and `admin` are what the owner had when they last wrote it: by these it is judged what it is sent.
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
        """Where events are sent to."""
        return str(self.document["url"])

    @property
    def sends(self) -> bool:
        """True where events are sent, or would be if there were any."""
        return self.status in {"created", "started"}

    @property
    def collects(self) -> bool:
        """True where events are kept for it: one that was disabled gets none of what happens meanwhile."""
        return self.status != "disabled"

    @property
    def key_header(self) -> dict[str, str]:
        """The header by which the receiver knows the sender, where both of its halves were given."""
        name = self.document.get("api_key_name")
        return {} if name is None or self.api_key_value is None else {name: self.api_key_value}

    def wants(self, event: Event) -> bool:
        """Whether its filters, all of which have to hold, let the event pass; as things were at the change."""
        document = self.document
        if event.type not in document["events"] or not _listed(document.get("source_ids"), event.source_id):
            return False
        if not _collected(document.get("source_collected_by_ids"), event.source_collected_by):
            return False
        if event.flow_id is None:
            return True
        return _listed(document.get("flow_ids"), event.flow_id) and _collected(
            document.get("flow_collected_by_ids"), event.flow_collected_by
        )

    def failed(self, kind: str, summary: str, now: int) -> Webhook:
        """The same in the state `error`. `now` in microseconds."""
        return replace(self, status="error", error={"type": kind, "summary": summary, "time": format_time(now)})


def check_change(before: Status, after: Status) -> str | None:
    """What is wrong about a client's change of the state, None where it may be made."""
    if before == "error" and after == "disabled":
        return "a webhook in the state error cannot be disabled: write created to have it send again, or delete it"
    return None


def check_header_name(name: str) -> str:
    """The name of a header that a client chose for its key. `ValueError` where it cannot be sent."""
    if not _TOKEN.fullmatch(name):
        raise ValueError("expected the name of an HTTP header: letters, digits and !#$%&'*+-.^_`|~")
    if _OURS.fullmatch(name):
        raise ValueError("this header has a meaning of its own in a delivery: take another one")
    return name


def check_header_value(value: str) -> str:
    """The value of that header. `ValueError` where it cannot be sent."""
    if len(value) > HEADER_BYTES or not _VALUE.fullmatch(value):
        raise ValueError(f"expected at most {HEADER_BYTES} printable ASCII characters, without a blank at either end")
    return value


def _listed(wanted: Collection[str] | None, held: str) -> bool:
    return wanted is None or held in wanted


def _collected(wanted: Collection[str] | None, by: Collection[str]) -> bool:
    """An empty list wants what is collected by nothing."""
    if wanted is None:
        return True
    return any(each in wanted for each in by) if wanted else not by

"""The settings of webhooks and of other requests to URLs that clients choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tams.config.fields import SECRET, parsed, setting, whole
from tams.config.parsers import parse_delays, parse_destinations

_RETRIES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, *[3600] * 23)


@dataclass(frozen=True, kw_only=True)
class WebhookSettings:
    """The settings of requests that the store sends."""

    outbound_allow: tuple[str, ...] = setting(
        parsed(
            "a comma-separated list of host names, IP addresses or networks",
            "hooks.internal.example,10.1.0.0/16",
            parse_destinations,
        ),
        (),
        "Destinations besides the internet that URLs chosen by clients may lead to: webhook receivers on this machine "
        "or in a private network, and uncontrolled instances to be copied to a storage backend. Clients that may "
        "register webhooks can make the store send requests to them, and clients that may write Objects can make it "
        "read from them.",
    )
    webhook_key: str | None = setting(
        SECRET,
        None,
        "Key that signs requests to webhooks; receivers verify with it. Has to be the same for every process of a "
        "store. By default, a random key is created once and kept in `webhook.key` in the data directory.",
        secret=True,
    )
    webhook_timeout: int = setting(
        whole("seconds", 1, 10), 10, "How long a webhook's receiver may take to answer an event."
    )
    webhook_retries: tuple[int, ...] = setting(
        parsed("a comma-separated list of whole numbers of seconds", "1,2,4,8,16,32,64", parse_delays),
        _RETRIES,
        "Delays before an event is sent to a webhook again, each varied at random by up to a quarter. If it fails "
        "after the last of them, the webhook is in error.",
        shown=",".join(map(str, _RETRIES)),
    )
    webhook_backlog: int = setting(
        whole("events", 1, 100_000),
        100_000,
        "Maximum number of events that wait for one webhook, give or take a tenth. Beyond it the oldest are dropped, "
        "and the webhook is in error.",
    )
    webhook_threads: int = setting(
        whole("threads", 1, 8),
        8,
        "Number of webhooks that a background worker sends to concurrently. It sends to as many more if their "
        "receivers are slow or fail.",
    )

"""The settings of where and how the store runs: environment, network, processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tams.config.authentication import METHODS, parse_methods
from tams.config.fields import BASE_URL, one_of, parsed, setting, text, whole
from tams.config.parsers import parse_origins, parse_proxies

DEVELOPMENT: Final = "development"
PRODUCTION: Final = "production"


@dataclass(frozen=True, kw_only=True)
class StartSettings:
    """The settings that have to be decided first."""

    environment: str = setting(
        one_of(DEVELOPMENT, PRODUCTION),
        PRODUCTION,
        "Environment the store runs in. In production it refuses to start without authentication unless `TAMS_AUTH` is "
        "`none`, and logs are JSON, one object per line; in development logs are plain text.",
        variable="ENVIRONMENT",
    )
    log_level: str = setting(
        one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
        "",
        "Minimum severity of log messages. Libraries never log below WARNING.",
        variable="LOG_LEVEL",
        shown="INFO; in development: DEBUG",
    )
    auth: tuple[str, ...] | None = setting(
        parsed("none, or a comma-separated list of " + ", ".join(METHODS), "basic,token", parse_methods),
        None,
        "Authentication methods, one or several (see docs/how-to/set-up-authentication.md). `none`: no authentication, "
        "every client may do everything. Required in production; the default in development is `none`.",
    )


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """The settings of URLs, proxies and browsers."""

    public_url: str | None = setting(
        BASE_URL,
        None,
        "Absolute base URL under which clients reach the service, for links in responses. By default, links begin with "
        "the URL that the client used.",
    )
    trusted_proxies: tuple[str, ...] = setting(
        parsed(
            "a comma-separated list of IP addresses or networks, or the word unix for a Unix socket",
            "127.0.0.1,10.0.0.0/8",
            parse_proxies,
        ),
        (),
        "Proxies whose `Forwarded` and `X-Forwarded-*` headers are trusted. These headers are ignored in requests from "
        "other addresses.",
    )
    cors_origins: tuple[str, ...] = setting(
        parsed(
            "a comma-separated list of origins (scheme, host and port; no path and no wildcard), or * alone",
            "https://player.example.com",
            parse_origins,
        ),
        (),
        "Web origins whose pages may call the API from a browser; `*` allows all of them.",
    )


@dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """The settings of the service's description of itself."""

    name: str = setting(text("a text", "TAMS"), "TAMS", "Name in `/service`, until a client changes it there.")
    description: str | None = setting(
        text("a text", "The archive of the news desk"),
        None,
        "Description in `/service`, until a client changes it there.",
    )


@dataclass(frozen=True, kw_only=True)
class ProcessSettings:
    """The settings of web processes and background workers."""

    workers: int = setting(whole("processes", 1, 2), 2, "Number of web processes.")
    threads: int = setting(
        whole("threads", 2, 4),
        4,
        "Number of requests that each web process answers at once, besides transfers of local media. Each of them "
        "holds at most one connection to the database.",
    )
    transfers: int = setting(
        whole("transfers", 1, 8),
        8,
        "Number of uploads and downloads of local media at once, per web process. They have threads of their own.",
    )
    transfer_wait: int = setting(
        whole("seconds", 0, 10),
        10,
        "How long an upload or download waits for its place if all of `TAMS_TRANSFERS` are taken, before it is "
        "answered with 503 and `Retry-After`. As many as have a place can wait; any more are 503 at once.",
    )
    delete_request_retention: int = setting(
        whole("seconds", 0, 86400), 86400, "How long a finished Flow delete request can still be read."
    )
    job_lease: int = setting(
        whole("seconds", 5, 60),
        60,
        "How long a background worker holds a job. If the worker dies, another one takes the job after this time.",
    )

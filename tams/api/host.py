"""The `Host` of a request: checked before anything else, and sent back in URLs as the client sent it."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Final

from flask import Flask, Request, request

from tams.domain.errors import Invalid

# A name may hold an underscore: names of containers often do.
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,255}|\[(?P<v6>[0-9A-Fa-f:.]+)\])(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
_WITHOUT_HOST: Final = frozenset({"HTTP/1.0", "HTTP/0.9"})


@lru_cache(maxsize=1024)
def is_host(text: str) -> bool:
    """Return True if `text` is the name or the address of a host, with or without a port."""
    match = _HOST.fullmatch(text)
    if match is None or int(match["port"] or 0) > 65535:
        return False
    if match["v6"] is not None:
        try:
            IPv6Address(match["v6"])
        except AddressValueError:
            return False
    return True


def install(app: Flask) -> None:
    """Refuse each request without a valid `Host` (RFC 9112, section 3.2), before all other hooks."""
    app.before_request(_check)


def requested_host(requested: Request) -> str:
    """Return host and port as the client sent them, without the default port of the scheme.

    werkzeug's `Request.host` is empty if the name holds an underscore. A client of HTTP/1.0 may send no host: it gets
    the address that the server listens on.
    """
    host = requested.environ.get("HTTP_HOST")
    return requested.host if host is None else host.removesuffix(_DEFAULT_PORTS.get(requested.scheme, ""))


def _check() -> None:
    host = request.environ.get("HTTP_HOST")
    if host is None:
        if request.environ.get("SERVER_PROTOCOL") not in _WITHOUT_HOST:
            raise Invalid("The request has no Host header, which HTTP/1.1 requires", {"Host": ["missing"]})
    elif not is_host(host):
        raise Invalid.field("Host", "expected a host name or address, with or without a port")

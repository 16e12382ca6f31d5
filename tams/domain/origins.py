"""Web origins, as browsers write them in the header `Origin`."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_NAME: Final = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_.])?", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)


def web_origin(url: str) -> str:
    """Return the origin of an http or https URL: scheme, host and port in the form that browsers send.

    Scheme and host are in lower case, and the default port is left out (RFC 6454, section 6.2). Path and query of the
    URL are ignored.

    Raises:
        ValueError: the URL has no origin that a browser could send; a wildcard is no part of a host name.
    """
    parts = urlsplit(url)
    # `port` raises ValueError itself if it is not a port.
    port = parts.port
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or port == 0:
        raise ValueError(url)
    suffix = "" if port is None or port == _DEFAULT_PORTS[parts.scheme] else f":{port}"
    return f"{parts.scheme}://{_host(parts.hostname)}{suffix}"


def _host(host: str) -> str:
    if ":" in host:
        return f"[{ipaddress.IPv6Address(host)}]"
    if not _NAME.fullmatch(host) or ".." in host:
        raise ValueError(host)
    # A browser takes a host whose last label is a number for an IPv4 address, and writes it with four numbers.
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        return str(ipaddress.IPv4Address(host))
    return host

"""Which URL the client used, as told by proxies that are trusted (`TAMS_TRUSTED_PROXIES`).

Believed are `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix`, or where none of them is sent `Forwarded` (RFC 7239):
always the last entry, which is the one that the nearest proxy wrote. Anybody else's headers of these names are as if
not sent.
"""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from werkzeug.http import parse_options_header

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_UNIX = "unix"
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)+", re.ASCII)


class TrustedProxies:
    """WSGI middleware that applies what trusted proxies say."""

    def __init__(self, app: WSGIApplication, trusted: Collection[str]) -> None:
        self._app = app
        self._unix = _UNIX in trusted
        self._networks = [ip_network(item) for item in trusted if item != _UNIX]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer by the wrapped application."""
        if self._is_trusted(environ.get("REMOTE_ADDR", "")):
            self._apply(environ)
        return self._app(environ, start_response)

    def _is_trusted(self, address: str) -> bool:
        # The peer of a Unix socket has no address.
        if not address:
            return self._unix
        if not self._networks:
            return False
        try:
            peer = ip_address(address)
        except ValueError:
            return False
        # A socket that listens on IPv6 shows peers of IPv4 as ::ffff:192.0.2.1.
        peer = getattr(peer, "ipv4_mapped", None) or peer
        return any(peer in network for network in self._networks)

    def _apply(self, environ: WSGIEnvironment) -> None:
        client = self._client(environ.get("HTTP_X_FORWARDED_FOR", ""))
        scheme = _last(environ.get("HTTP_X_FORWARDED_PROTO", ""))
        host = _last(environ.get("HTTP_X_FORWARDED_HOST", ""))
        prefix = _last(environ.get("HTTP_X_FORWARDED_PREFIX", "")).rstrip("/")
        if not (client or scheme or host or prefix) and "HTTP_FORWARDED" in environ:
            _, told = parse_options_header(f"_;{_last(environ['HTTP_FORWARDED'])}")
            client, scheme, host = _node(told.get("for", "")), told.get("proto", ""), told.get("host", "")
        if client:
            environ["REMOTE_ADDR"] = client
        if scheme.lower() in {"http", "https"}:
            environ["wsgi.url_scheme"] = scheme.lower()
        if _HOST.fullmatch(host):
            environ["HTTP_HOST"] = host
        if _PREFIX.fullmatch(prefix):
            environ["SCRIPT_NAME"] = prefix + environ.get("SCRIPT_NAME", "")

    def _client(self, chain: str) -> str:
        """The nearest address of the chain that is not a trusted proxy itself."""
        client = ""
        for item in reversed(chain.split(",")):
            client = _node(item.strip())
            if not client or not self._is_trusted(client):
                break
        return client


def _last(value: str) -> str:
    return value.rpartition(",")[2].strip()


def _node(text: str) -> str:
    """The address of `192.0.2.1`, `192.0.2.1:4711`, `[2001:db8::1]:4711`; nothing where it is none."""
    bare = text.strip('"')
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        return str(ip_address(bare))
    except ValueError:
        return ""

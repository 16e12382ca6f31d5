"""The client's address and URL, as reported by trusted proxies (`TAMS_TRUSTED_PROXIES`).

Read are `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix`, or, if none of them is sent, `Forwarded` (RFC 7239). Only
the last entry counts, which the nearest proxy wrote. These headers are ignored if any other peer sends them.

Written by hand, because werkzeug's `ProxyFix` trusts a number of proxies, not their networks.
"""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from werkzeug.http import parse_options_header

from tams.api.host import is_host

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_UNIX = "unix"
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)+", re.ASCII)


class TrustedProxies:
    """WSGI middleware that applies the headers of trusted proxies to the WSGI environment."""

    def __init__(self, app: WSGIApplication, trusted: Collection[str]) -> None:
        self._app = app
        self._unix = _UNIX in trusted
        self._networks = [ip_network(item) for item in trusted if item != _UNIX]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Apply the headers if the peer is trusted, then call the wrapped application."""
        if self._is_trusted(environ.get("REMOTE_ADDR", "")):
            self._apply(environ)
        return self._app(environ, start_response)

    def _is_trusted(self, address: str) -> bool:
        # A peer on a Unix socket has no address.
        if not address:
            return self._unix
        if not self._networks:
            return False
        try:
            peer = ip_address(address)
        except ValueError:
            return False
        # A socket that listens on IPv6 reports IPv4 peers as ::ffff:192.0.2.1.
        peer = getattr(peer, "ipv4_mapped", None) or peer
        return any(peer in network for network in self._networks)

    def _apply(self, environ: WSGIEnvironment) -> None:
        client = self._client(environ.get("HTTP_X_FORWARDED_FOR", ""))
        scheme = _last(environ.get("HTTP_X_FORWARDED_PROTO", ""))
        host = _last(environ.get("HTTP_X_FORWARDED_HOST", ""))
        prefix = _last(environ.get("HTTP_X_FORWARDED_PREFIX", "")).rstrip("/")
        if not (client or scheme or host or prefix) and "HTTP_FORWARDED" in environ:
            _, forwarded = parse_options_header(f"_;{_last(environ['HTTP_FORWARDED'])}")
            client = _address(forwarded.get("for", ""))
            scheme, host = forwarded.get("proto", ""), forwarded.get("host", "")
        if client:
            environ["REMOTE_ADDR"] = client
        if scheme.lower() in {"http", "https"}:
            environ["wsgi.url_scheme"] = scheme.lower()
        if is_host(host):
            environ["HTTP_HOST"] = host
        if _PREFIX.fullmatch(prefix):
            environ["SCRIPT_NAME"] = prefix + environ.get("SCRIPT_NAME", "")

    def _client(self, chain: str) -> str:
        """Return the nearest address in the chain that is not a trusted proxy, or the farthest one; "" if malformed."""
        client = ""
        for item in reversed(chain.split(",")):
            client = _address(item.strip())
            if not client or not self._is_trusted(client):
                break
        return client


def _last(value: str) -> str:
    """Return the last entry of a comma-separated header."""
    return value.rpartition(",")[2].strip()


def _address(text: str) -> str:
    """Return the address in `192.0.2.1`, `192.0.2.1:4711` or `[2001:db8::1]:4711`, or "" if it is malformed."""
    bare = text.strip('"')
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        return str(ip_address(bare))
    except ValueError:
        return ""

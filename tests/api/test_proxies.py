"""Headers of proxies are applied only if the proxy is trusted."""

from __future__ import annotations

from typing import Any

import pytest

from tams.api.middleware.proxies import TrustedProxies

FORWARDED = {
    "HTTP_X_FORWARDED_FOR": "203.0.113.7",
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_X_FORWARDED_HOST": "media.example.com:8443",
    "HTTP_X_FORWARDED_PREFIX": "/tams",
}


def applied(environ: dict[str, Any], *trusted: str) -> tuple[str, str, str, str]:
    """Return client, scheme, host and prefix in the environment that the application receives."""
    direct = {"REMOTE_ADDR": "10.0.0.1", "wsgi.url_scheme": "http", "HTTP_HOST": "inside", "SCRIPT_NAME": "", **environ}
    received: dict[str, Any] = {}

    def application(environ: dict[str, Any], _: Any) -> list[bytes]:
        received.update(environ)
        return []

    TrustedProxies(application, trusted)(direct, lambda *_: lambda _: None)
    return (received["REMOTE_ADDR"], received["wsgi.url_scheme"], received["HTTP_HOST"], received["SCRIPT_NAME"])


DIRECT = ("10.0.0.1", "http", "inside", "")
THROUGH = ("203.0.113.7", "https", "media.example.com:8443", "/tams")


@pytest.mark.parametrize("trusted", ["10.0.0.1", "10.0.0.0/8", "10.0.0.1/32"])
def test_a_trusted_proxy_is_applied(trusted: str) -> None:
    assert applied(FORWARDED, "192.0.2.0/24", trusted) == THROUGH


@pytest.mark.parametrize("trusted", [(), ("192.0.2.1",), ("unix",), ("::1",)])
def test_any_other_peer_is_ignored(trusted: tuple[str, ...]) -> None:
    assert applied(FORWARDED, *trusted) == DIRECT


def test_unix_sockets_are_trusted_by_name() -> None:
    assert applied(FORWARDED | {"REMOTE_ADDR": ""}, "unix") == THROUGH
    assert applied(FORWARDED | {"REMOTE_ADDR": ""}, "0.0.0.0/0")[1] == "http"


def test_an_ipv4_peer_of_an_ipv6_socket_is_recognised() -> None:
    assert applied(FORWARDED | {"REMOTE_ADDR": "::ffff:10.0.0.1"}, "10.0.0.0/8") == THROUGH


def test_the_entry_of_the_nearest_proxy_counts() -> None:
    forged = {
        "HTTP_X_FORWARDED_FOR": "127.0.0.1, 203.0.113.7, 10.0.0.2",
        "HTTP_X_FORWARDED_PROTO": "ftp, https",
        "HTTP_X_FORWARDED_HOST": "evil.example.com, media.example.com",
    }
    assert applied(forged, "10.0.0.0/8") == ("203.0.113.7", "https", "media.example.com", "")


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("HTTP_X_FORWARDED_PROTO", "javascript"),
        ("HTTP_X_FORWARDED_HOST", "a b"),
        ("HTTP_X_FORWARDED_HOST", "evil.com/path"),
        ("HTTP_X_FORWARDED_HOST", 'x"><script>'),
        ("HTTP_X_FORWARDED_PREFIX", "//evil.example.com"),
        ("HTTP_X_FORWARDED_PREFIX", "https://evil.example.com"),
        ("HTTP_X_FORWARDED_PREFIX", "/"),
        ("HTTP_X_FORWARDED_FOR", "unknown"),
    ],
)
def test_a_value_that_fits_no_url_is_ignored(header: str, value: str) -> None:
    assert applied({header: value}, "10.0.0.1") == DIRECT


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            "for=203.0.113.7;proto=https;host=media.example.com",
            ("203.0.113.7", "https", "media.example.com", ""),
        ),
        (
            'for="[2001:db8::1]:4711";host="media.example.com:8443";proto=HTTPS',
            ("2001:db8::1", "https", "media.example.com:8443", ""),
        ),
        ("host=evil.example.com, for=_hidden;proto=https", ("10.0.0.1", "https", "inside", "")),
        ("rubbish", DIRECT),
        (";;;=", DIRECT),
    ],
)
def test_forwarded_is_read(header: str, expected: tuple[str, str, str, str]) -> None:
    assert applied({"HTTP_FORWARDED": header}, "10.0.0.1") == expected


def test_forwarded_of_a_client_does_not_win_over_the_proxy() -> None:
    assert applied(FORWARDED | {"HTTP_FORWARDED": "proto=http;host=evil.example.com"}, "10.0.0.1") == THROUGH

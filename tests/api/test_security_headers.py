"""Security headers of every response, and the fast way in which they are added."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from tams.api.middleware.security_headers import SecurityHeaders


@pytest.mark.parametrize("path", ["/", "/flows", "/nowhere", "/flows?limit=x", "/health/live", "/openapi.json"])
def test_every_response_has_the_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "Access-Control-Allow-Origin" not in headers


fields = st.lists(
    st.tuples(
        st.sampled_from(["Vary", "vary", "Cache-Control", "cache-CONTROL", "X-Frame-Options", "ETag"]),
        st.sampled_from(["a", "b", "Origin"]),
    ),
    max_size=6,
)
DEFAULTS = (("X-Frame-Options", "DENY"), ("Cache-Control", "private"))
ALWAYS = (("Vary", "Authorization"),)


def plain_headers(present: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Do what `SecurityHeaders` does, with the framework's `Headers`: its plain twin."""
    headers = Headers(list(present))
    for name, value in DEFAULTS:
        headers.setdefault(name, value)
    for name, value in ALWAYS:
        headers.add(name, value)
    return list(headers)


@given(present=fields)
def test_the_fast_way_adds_the_headers_of_the_plain_one(present: list[tuple[str, str]]) -> None:
    sent: list[tuple[str, str]] = []

    def application(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", present)
        return []

    def start_response(_status: str, headers: list[tuple[str, str]], *_error: Any) -> Any:
        sent.extend(headers)

    SecurityHeaders(application, DEFAULTS, ALWAYS)({}, start_response)
    assert sent == plain_headers(present)

"""A request and its response, for the checks and the report."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SHOWN = 1500
"""Characters of a body that a report shows."""

_SECRET_HEADERS = {"authorization", "cookie"}
_CURL_HEADERS = {"content-type", "if-none-match"}


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its response; header names are in lower case."""

    method: str
    url: str
    request_headers: Mapping[str, str]
    request_body: bytes
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def query(self) -> list[tuple[str, str]]:
        """Return the decoded query parameters."""
        return parse_qsl(urlsplit(self.url).query, keep_blank_values=True)

    def json(self) -> Any:
        """Return the parsed body of the response.

        Raises:
            ValueError: The body is not JSON.
        """
        return json.loads(self.body)

    def curl(self) -> str:
        """Return the request as a command line without credentials; a long body is cut."""
        words = ["curl", "--include", *(["--head"] if self.method == "HEAD" else ["--request", self.method])]
        for name, value in self.request_headers.items():
            if name.lower() in _CURL_HEADERS and name.lower() not in _SECRET_HEADERS:
                words += ["--header", f"{name}: {value}"]
        if self.request_body:
            words += ["--data-binary", _cut(self.request_body)]
        return shlex.join([*words, _without_token(self.url)])

    def response_text(self) -> str:
        """Return the response as text for the report."""
        headers = "".join(f"\n{name}: {value}" for name, value in self.headers.items() if name in _SHOWN_HEADERS)
        return f"{self.status}{headers}\n{_cut(self.body)}".rstrip()


_SHOWN_HEADERS = {"content-type", "link", "location", "allow"}


def _cut(body: bytes) -> str:
    text = body.decode(errors="backslashreplace")
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}… ({len(body)} bytes)"


def _without_token(url: str) -> str:
    """Return the URL without an `access_token`, otherwise exactly as it was sent."""
    parts = urlsplit(url)
    query = "&".join(pair for pair in parts.query.split("&") if not pair.startswith("access_token="))
    return urlunsplit(parts._replace(query=query))

"""One request and its answer, as the checks judge it and the report shows it."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

SHOWN = 1500
"""How many characters of a body a report shows."""

_SECRET_HEADERS = {"authorization", "cookie"}
_OWN_HEADERS = {"content-type", "if-none-match"}


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request with its answer; header names are lower case."""

    method: str
    url: str
    request_headers: Mapping[str, str]
    request_body: bytes
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameters of the query, decoded."""
        return parse_qsl(urlsplit(self.url).query, keep_blank_values=True)

    def json(self) -> Any:
        """The answer's body. Raises ValueError where it is not JSON."""
        return json.loads(self.body)

    def curl(self) -> str:
        """The request as a command line; without credentials, and cut where the body is long."""
        words = ["curl", "--include", *(["--head"] if self.method == "HEAD" else ["--request", self.method])]
        for name, value in self.request_headers.items():
            if name.lower() in _OWN_HEADERS and name.lower() not in _SECRET_HEADERS:
                words += ["--header", f"{name}: {value}"]
        if self.request_body:
            words += ["--data-binary", _cut(self.request_body)]
        return shlex.join([*words, _without_token(self.url)])

    def answer(self) -> str:
        """The answer as a person reads it."""
        headers = "".join(f"\n{name}: {value}" for name, value in self.headers.items() if name in _SHOWN_HEADERS)
        return f"{self.status}{headers}\n{_cut(self.body)}".rstrip()


_SHOWN_HEADERS = {"content-type", "link", "location", "allow"}


def _cut(body: bytes) -> str:
    text = body.decode(errors="backslashreplace")
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(body)} bytes)"


def _without_token(url: str) -> str:
    """Without an `access_token`, and everything else as it was sent."""
    parts = urlsplit(url)
    query = "&".join(pair for pair in parts.query.split("&") if not pair.startswith("access_token="))
    return urlunsplit(parts._replace(query=query))

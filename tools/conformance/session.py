"""The client of all parts: it sends requests to operations of the document, and checks every response at once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from tools.conformance import allowances
from tools.conformance.checks import check, check_head
from tools.conformance.document import JSON_TYPE, ApiDocument, Operation
from tools.conformance.exchange import Exchange
from tools.conformance.results import Results

Query = Mapping[str, Any] | Sequence[tuple[str, Any]]

_NO_BODY = object()


class Session:
    """A client of one server, whose requests are checked against the document and counted under the name of a part."""

    def __init__(self, document: ApiDocument, url: str, results: Results, part: str) -> None:
        self.document = document
        self.url = url
        self.results = results
        self.part = part
        self.last: Exchange | None = None
        """The latest request, for the report of a step that failed."""
        self._client = httpx.Client(timeout=60)

    def call(
        self,
        method: str,
        path: str,
        names: Mapping[str, str] | None = None,
        *,
        expect: int,
        query: Query | None = None,
        body: Any = _NO_BODY,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        head: bool = True,
    ) -> Exchange:
        """Send a request and check the response.

        `path` is the document's path; its parameters are filled from `names`. `body` is sent as JSON, `content` as it
        is. `expect` is the status that the response must have. A GET is followed by its HEAD, unless `head` is False
        because the response may change between the two.
        """
        operation = self.document.operations[f"{method} {path}"]
        url = self._url(path, names or {}, query)
        sent_headers = dict(headers or {})
        if body is not _NO_BODY:
            content = json.dumps(body, ensure_ascii=False).encode()
            sent_headers.setdefault("Content-Type", JSON_TYPE)
        exchange = self._checked(operation, url, content, sent_headers)
        fault = f"{expect}, got {exchange.status}" if exchange.status != expect else None
        self.results.record(self.part, operation.label, "status", fault, exchange)
        if method == "GET" and head:
            self._checked_head(path, exchange, sent_headers)
        return exchange

    def expect(self, what: str, expected: Any, actual: Any, exchange: Exchange | None = None) -> None:
        """Check a rule that the document states in words."""
        operation = f"{exchange.method} {exchange.url.removeprefix(self.url)}" if exchange else self.part
        fault = None if actual == expected else f"{expected!r}, got {actual!r}"
        self.results.record(self.part, operation, what, fault, exchange)

    def media(
        self, method: str, url: str, *, content: bytes | None = None, content_type: str | None = None
    ) -> Exchange:
        """Use a URL of an Object's bytes, which is not an operation of the document."""
        headers = {"Content-Type": content_type} if content_type else {}
        exchange = self._send(method, url, content, headers)
        # The URL may be signed: the report shows it without its query.
        reported = Exchange(
            method=method,
            url=url.partition("?")[0],
            request_headers=headers,
            request_body=b"",
            status=exchange.status,
            headers=exchange.headers,
            body=exchange.body[:200],
        )
        fault = None if 200 <= exchange.status < 300 else f"success, got {exchange.status}"
        self.results.record(self.part, f"{method} of an object's bytes", "status", fault, reported)
        return exchange

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _url(self, path: str, names: Mapping[str, str], query: Query | None) -> str:
        for name, value in names.items():
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        return f"{self.url}{path}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")

    def _checked(self, operation: Operation, url: str, content: bytes | None, headers: dict[str, str]) -> Exchange:
        exchange = self._send(operation.method, url, content, headers)
        judge(self.document, self.results, self.part, operation, exchange)
        return exchange

    def _checked_head(self, path: str, get_exchange: Exchange, headers: dict[str, str]) -> None:
        operation = self.document.operations[f"HEAD {path}"]
        exchange = self._checked(operation, get_exchange.url, None, headers)
        for name, fault in check_head(get_exchange, exchange):
            self.results.record(self.part, operation.label, name, fault, exchange)

    def _send(self, method: str, url: str, content: bytes | None, headers: dict[str, str]) -> Exchange:
        response = self._client.request(method, url, content=content, headers=headers)
        lower = {name.lower(): value for name, value in response.headers.items()}
        self.last = Exchange(
            method=method,
            url=url,
            request_headers=headers,
            request_body=content or b"",
            status=response.status_code,
            headers=lower,
            body=response.content,
        )
        return self.last


def judge(document: ApiDocument, results: Results, part: str, operation: Operation, exchange: Exchange) -> None:
    """Count a request, and run every check of its response."""
    results.sent(part, operation, exchange)
    if exchange.status not in operation.responses and (allowance := allowances.added_status(operation, exchange)):
        results.allowed[allowance.name] += 1
    for name, fault in check(document, operation, exchange):
        results.record(part, operation.label, name, fault, exchange)

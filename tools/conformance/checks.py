"""Whether one answer keeps to the document: each check yields its name and, where it failed, what was expected."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from tools.conformance import allowances
from tools.conformance.document import JSON_TYPE, Answer, ApiDocument, Header, Operation
from tools.conformance.exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Iterator

Finding = tuple[str, str | None]

LINK = re.compile(r'<(?P<url>[^<>,;\s]+)>; rel="next"')

_VOLATILE = {"date", "x-request-id", "connection", "keep-alive", "transfer-encoding"}
"""Headers that differ between two answers to the same request."""


def check(document: ApiDocument, operation: Operation, exchange: Exchange) -> Iterator[Finding]:
    """Everything that can be said of an answer by itself."""
    documented = operation.answers.get(exchange.status)
    yield "status is documented", _status_fault(operation, exchange)
    if operation.method == "HEAD":
        yield "HEAD has no body", f"no body, got {len(exchange.body)} bytes" if exchange.body else None
    elif exchange.status >= 400:
        yield "error body", _body_fault(document, "schemas/error.json", exchange)
    elif documented is not None and documented.schema is not None:
        yield "content type", _content_type_fault(exchange)
        yield "body", _body_fault(document, documented.schema, exchange)
    else:
        yield "no body where none is documented", "no body" if exchange.body else None
    if documented is not None:
        yield from _check_headers(document, operation, documented, exchange)


def check_head(got: Exchange, head: Exchange) -> Iterator[Finding]:
    """Whether HEAD answers what GET of the same URL answered, without the body."""
    yield (
        "HEAD has the status of GET",
        f"{got.status}, got {head.status}" if head.status != got.status else None,
    )
    expected = {name: value for name, value in got.headers.items() if name not in _VOLATILE}
    # A server may leave out what it only knows after making the body (RFC 9110, 9.3.2).
    if "content-length" not in head.headers:
        expected.pop("content-length", None)
    headers = {name: value for name, value in head.headers.items() if name not in _VOLATILE}
    yield "HEAD has the headers of GET", f"{expected}, got {headers}" if headers != expected else None


def _status_fault(operation: Operation, exchange: Exchange) -> str | None:
    if exchange.status in operation.answers or allowances.added_status(operation, exchange):
        return None
    return f"one of {sorted(operation.answers)}"


def _content_type_fault(exchange: Exchange) -> str | None:
    content_type = exchange.headers.get("content-type", "")
    is_json = content_type.partition(";")[0].strip().lower() == JSON_TYPE
    return None if is_json else f"Content-Type {JSON_TYPE}, got {content_type!r}"


def _body_fault(document: ApiDocument, schema: str, exchange: Exchange) -> str | None:
    if fault := _content_type_fault(exchange):
        return fault
    try:
        body = exchange.json()
    except ValueError as error:
        return f"JSON: {error}"
    faults = document.faults(schema, body)
    return f"a body that keeps to {schema}: {'; '.join(faults[:5])}" if faults else None


def _check_headers(
    document: ApiDocument, operation: Operation, documented: Answer, exchange: Exchange
) -> Iterator[Finding]:
    for header in documented.headers:
        if header.name.lower() in exchange.headers:
            yield (
                f"header {header.name}",
                _header_fault(document, header, exchange.headers[header.name.lower()]),
            )
    names = {header.name for header in documented.headers}
    if "Location" in names:
        yield "Location", _location_fault(exchange)
    if "X-Paging-Limit" in names:
        yield from _check_paging(names, exchange)


def _header_fault(document: ApiDocument, header: Header, text: str) -> str | None:
    value: Any = text
    if header.type == "integer" and re.fullmatch(r"[0-9]+", text):
        value = int(text)
    elif header.type == "boolean":
        value = {"true": True, "false": False}.get(text, text)
    faults = document.faults(header.schema, value)
    return f"{header.name} that keeps to its schema, got {text!r}: {'; '.join(faults)}" if faults else None


def _location_fault(exchange: Exchange) -> str | None:
    location = exchange.headers.get("location", "")
    origin = "{0.scheme}://{0.netloc}/".format(urlsplit(exchange.url))
    if not location.startswith(origin) or "/flow-delete-requests/" not in location:
        return f"an absolute Location of the flow delete request, got {location!r}"
    return None


def _check_paging(documented: set[str], exchange: Exchange) -> Iterator[Finding]:
    """The paging headers of a listing's page; `documented` are the names of those that the operation has."""
    headers = exchange.headers
    for name in sorted(documented - {"Link", "X-Paging-NextKey"}):
        yield f"{name} is there", f"a {name} header" if name.lower() not in headers else None
    key, link = headers.get("x-paging-nextkey"), headers.get("link")
    if (key is None) != (link is None):
        yield "Link and X-Paging-NextKey come together", f"both or none, got Link {link!r} and key {key!r}"
    elif link is not None:
        yield "Link", _link_fault(link, key or "", exchange)
    if "X-Paging-Reverse-Order" in documented:
        asked = dict(exchange.query).get("reverse_order", "false").lower()
        got = headers.get("x-paging-reverse-order")
        yield "X-Paging-Reverse-Order is what was asked", f"{asked}, got {got}" if got != asked else None
    if exchange.method == "GET" and "X-Paging-Count" in documented:
        items = len(exchange.json()) if exchange.body else 0
        got = headers.get("x-paging-count")
        yield "X-Paging-Count is the page's", f"{items}, got {got}" if got != str(items) else None
    if exchange.method == "GET" and "X-Paging-Timerange" in documented and exchange.json() == []:
        got = headers.get("x-paging-timerange")
        yield "X-Paging-Timerange of an empty page", f"(), got {got}" if got != "()" else None


def _link_fault(link: str, key: str, exchange: Exchange) -> str | None:
    match = LINK.fullmatch(link)
    if match is None:
        return f'Link of the form <absolute URL>; rel="next", got {link!r}'
    here, there = urlsplit(exchange.url), urlsplit(match["url"])
    if (there.scheme, there.netloc, there.path) != (here.scheme, here.netloc, here.path):
        return f"Link to the URL that was asked, got {link!r}"
    carried = [pair for pair in exchange.query if pair[0] != "page"]
    query = parse_qsl(there.query, keep_blank_values=True)
    if ("page", key) not in query or any(pair not in query for pair in carried):
        return f"Link with page={key} and the query's own parameters, got {link!r}"
    return None

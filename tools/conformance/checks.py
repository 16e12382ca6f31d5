"""The checks of a single response: each yields its name and, if it failed, what was expected."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from tools.conformance import allowances
from tools.conformance.document import JSON_TYPE, ApiDocument, DocumentedResponse, Header, Operation
from tools.conformance.exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Iterator

Finding = tuple[str, str | None]

LONGEST_PLAIN_QUERY = 1000
"""Characters of the longest query that `Link` repeats; the page token of `Link` carries a longer one."""
LINK = re.compile(r'<(?P<url>[^<>,;\s]+)>; rel="next"')

_VOLATILE = {"date", "x-request-id", "connection", "keep-alive", "transfer-encoding"}
"""Headers that differ between two responses to the same request."""


def check(document: ApiDocument, operation: Operation, exchange: Exchange) -> Iterator[Finding]:
    """Yield the results of all checks that need only this response."""
    documented = operation.responses.get(exchange.status)
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


def check_head(get: Exchange, head: Exchange) -> Iterator[Finding]:
    """Check that HEAD returns what GET of the same URL returned, without the body."""
    yield (
        "HEAD has the status of GET",
        f"{get.status}, got {head.status}" if head.status != get.status else None,
    )
    expected = {name: value for name, value in get.headers.items() if name not in _VOLATILE}
    # A server may omit header fields whose value it knows only after creating the body (RFC 9110, 9.3.2).
    if "content-length" not in head.headers:
        expected.pop("content-length", None)
    headers = {name: value for name, value in head.headers.items() if name not in _VOLATILE}
    yield "HEAD has the headers of GET", f"{expected}, got {headers}" if headers != expected else None


def _status_fault(operation: Operation, exchange: Exchange) -> str | None:
    if exchange.status in operation.responses or allowances.added_status(operation, exchange):
        return None
    return f"one of {sorted(operation.responses)}"


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
    document: ApiDocument, operation: Operation, documented: DocumentedResponse, exchange: Exchange
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
    """Check the paging headers of a page; `documented` are the names of those that the operation documents."""
    headers = exchange.headers
    for name in sorted(documented - {"Link", "X-Paging-NextKey"}):
        yield f"{name} is there", f"a {name} header" if name.lower() not in headers else None
    page_token, link = headers.get("x-paging-nextkey"), headers.get("link")
    if (page_token is None) != (link is None):
        yield (
            "Link and X-Paging-NextKey come together",
            f"both or none, got Link {link!r} and key {page_token!r}",
        )
    elif link is not None:
        yield "Link", _link_fault(link, page_token or "", exchange)
    if "X-Paging-Reverse-Order" in documented:
        requested = dict(exchange.query).get("reverse_order", "false").lower()
        value = headers.get("x-paging-reverse-order")
        yield (
            "X-Paging-Reverse-Order is what was requested",
            f"{requested}, got {value}" if value != requested else None,
        )
    if exchange.method == "GET" and "X-Paging-Count" in documented:
        items = len(exchange.json()) if exchange.body else 0
        value = headers.get("x-paging-count")
        yield "X-Paging-Count is the page's", f"{items}, got {value}" if value != str(items) else None
    if exchange.method == "GET" and "X-Paging-Timerange" in documented and exchange.json() == []:
        value = headers.get("x-paging-timerange")
        yield "X-Paging-Timerange of an empty page", f"(), got {value}" if value != "()" else None


def _link_fault(link: str, page_token: str, exchange: Exchange) -> str | None:
    match = LINK.fullmatch(link)
    if match is None:
        return f'Link of the form <absolute URL>; rel="next", got {link!r}'
    request_url, link_url = urlsplit(exchange.url), urlsplit(match["url"])
    if (link_url.scheme, link_url.netloc, link_url.path) != (request_url.scheme, request_url.netloc, request_url.path):
        return f"Link to the URL of the request, got {link!r}"
    parameters = [pair for pair in exchange.query if pair[0] != "page"]
    query = parse_qsl(link_url.query, keep_blank_values=True)
    if len(urlencode(parameters, quote_via=quote, safe="")) > LONGEST_PLAIN_QUERY:
        if [name for name, _ in query] != ["page"] or not query[0][1].startswith(f"{page_token}~"):
            return f"Link with a page token that carries the long query, got {link!r}"
        return None
    if ("page", page_token) not in query or any(pair not in query for pair in parameters):
        return f"Link with page={page_token} and the parameters of the query, got {link!r}"
    return None

"""Deviations from the document that are accepted, each with its reason; anything else undocumented is a failure.

The report prints these tables, and docs/reference/conformance.md contains them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.conformance.document import Operation
    from tools.conformance.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Allowance:
    """An accepted deviation, with the name that the report and the documentation use."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Status(Allowance):
    """A status that an operation may return without documenting it, for requests that `applies` accepts."""

    status: int
    applies: Callable[[Operation, Exchange], bool]


def _anywhere(operation: Operation, exchange: Exchange) -> bool:
    return True


def _is_conditional(operation: Operation, exchange: Exchange) -> bool:
    return exchange.method in {"GET", "HEAD"} and "if-none-match" in {name.lower() for name in exchange.request_headers}


def _is_conditional_change(operation: Operation, exchange: Exchange) -> bool:
    """Return True for a conditional change of a Flow or Source, or of one of their properties."""
    names = {name.lower() for name in exchange.request_headers}
    return (
        exchange.method in {"PUT", "DELETE"}
        and re.search(r" /(flows|sources)/\{\w+\}(?!/(segments|storage))", operation.label) is not None
        and not names.isdisjoint({"if-match", "if-none-match"})
    )


def _is_query(operation: Operation, exchange: Exchange) -> bool:
    """Return True if the request has a query parameter that the operation reads.

    Without a body, nothing else in such a request can be malformed.
    """
    patterns = [re.escape(name).replace(r"\{name\}", ".*") for name in operation.query_parameters]
    return any(re.fullmatch(pattern, name, re.DOTALL) for pattern in patterns for name, _ in exchange.query)


def _has_no_valid_host(operation: Operation, exchange: Exchange) -> bool:
    """Return True if the request names no host, or one with characters that no host has."""
    hosts = [value for name, value in exchange.request_headers.items() if name.lower() == "host"]
    return bool(hosts) and re.fullmatch(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?", hosts[0]) is None


def _is_inherited_bit_rate(operation: Operation, exchange: Exchange) -> bool:
    return operation.label == "DELETE /flows/{flowId}/avg_bit_rate"


ADDED_STATUSES = (
    Status(
        "304 to If-None-Match",
        "responses carry an ETag, and a client that already has the response need not receive it again",
        304,
        _is_conditional,
    ),
    Status(
        "400 to a bad query",
        "a malformed `limit`, `page` or filter is an error, although some listings document no 400",
        400,
        _is_query,
    ),
    Status(
        "400 to an invalid Host",
        "HTTP requires it (RFC 9112, section 3.2), and links are built from the host",
        400,
        _has_no_valid_host,
    ),
    Status(
        "400 to DELETE of an inherited avg_bit_rate",
        "the document returns 400 to a PUT that would break a Flow's link to its Profile, and a DELETE would break it "
        "as well",
        400,
        _is_inherited_bit_rate,
    ),
    Status("401", "every operation requires credentials if authentication is enabled", 401, _anywhere),
    Status("405", "a method that the path does not support", 405, _anywhere),
    Status("409", "a deletion or creation that conflicts with stored data", 409, _anywhere),
    Status(
        "412 to If-Match and If-None-Match",
        "a change of a Flow, a Source or one of their properties, under a condition that does not hold",
        412,
        _is_conditional_change,
    ),
    Status("413", "a body larger than the configured limit", 413, _anywhere),
    Status(
        "415",
        "a body that is not JSON, or a body without type or a form from a page of another website",
        415,
        _anywhere,
    ),
    Status("429", "more requests than the service accepts", 429, _anywhere),
    Status("503", "a database or storage backend that is unreachable", 503, _anywhere),
)

_NO_CREDENTIALS = "returned only to a client that lacks a permission, and the session runs without authentication"
_WEBHOOKS = "returned only by a service that does not offer webhooks, and this one does"

UNSEEN_STATUSES = {
    "403 to POST /service": _NO_CREDENTIALS,
    "403 to PUT /sources/{sourceId}/tags/{name}": _NO_CREDENTIALS,
    "403 to DELETE /sources/{sourceId}/tags/{name}": _NO_CREDENTIALS,
    "403 to PUT /sources/{sourceId}/description": _NO_CREDENTIALS,
    "403 to DELETE /sources/{sourceId}/description": _NO_CREDENTIALS,
    "403 to PUT /sources/{sourceId}/label": _NO_CREDENTIALS,
    "403 to DELETE /sources/{sourceId}/label": _NO_CREDENTIALS,
    "403 to PUT /flows/{flowId}/read_only": _NO_CREDENTIALS,
    "403 to POST /objects/{objectId}/instances": _NO_CREDENTIALS,
    "403 to DELETE /objects/{objectId}/instances": _NO_CREDENTIALS,
    "403 to PUT /service/webhooks/{webhookId}": _NO_CREDENTIALS,
    "403 to DELETE /service/webhooks/{webhookId}": _NO_CREDENTIALS,
    "404 to GET /service/webhooks": _WEBHOOKS,
    "404 to HEAD /service/webhooks": _WEBHOOKS,
    "404 to POST /service/webhooks": _WEBHOOKS,
}
"""Documented statuses that the session cannot cause."""

HEAD_BODY = Allowance(
    "the body of HEAD",
    "the document describes a JSON body for responses to HEAD, which HTTP does not allow: the body must be empty, and "
    "the headers those of GET",
)
REFERENCE_HEADERS = Allowance(
    "headers beside $ref",
    "two responses to HEAD have headers beside a `$ref`, where OpenAPI ignores them: they are checked nevertheless",
)
ERROR_BODY = Allowance(
    "the body of errors",
    "the document describes none: it must be JSON that follows schemas/error.json",
)
BLOCK_TEXT = Allowance(
    "examples as block texts",
    'short examples such as `"new_value"` are texts that contain JSON: the JSON is sent, not the text',
)
DOCUMENT_FAULTS = (HEAD_BODY, REFERENCE_HEADERS, ERROR_BODY, BLOCK_TEXT)
"""Faults of the document itself, and what is checked instead."""

_COLLECTS_ITSELF = "the Flow collects itself, which no Flow can: it must be refused with 400"

EXAMPLES = {
    "flow-put-multi.json": _COLLECTS_ITSELF,
    "flow-get-200-multi.json": _COLLECTS_ITSELF,
    "flow-segments-get-200-object-timerange.json": (
        "its second Segment, shifted by ts_offset, lies outside its object_timerange, and its third gives the object "
        "of the first another object_timerange: the text forbids both, and both must be refused"
    ),
    "service-get-200.json": (
        "its min_presigned_url_timeout is longer than its min_object_timeout, which the text forbids: nothing can be "
        "sent, so the two are compared"
    ),
}
"""Examples of the document that a store cannot accept; each is replayed to verify that the reason still holds."""


def added_status(operation: Operation, exchange: Exchange) -> Status | None:
    """Return the allowance for the response's status, which the operation does not document, or None."""
    for allowance in ADDED_STATUSES:
        if allowance.status == exchange.status and allowance.applies(operation, exchange):
            return allowance
    return None

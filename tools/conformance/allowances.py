"""What is accepted beyond the document, each with its reason; anything else undocumented is a failure.

The report prints these tables, and docs/reference/conformance.md has them too.
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
    """One thing accepted, named as the report and the docs name it."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Status(Allowance):
    """A status that an operation may answer without documenting it, on requests for which `applies` holds."""

    status: int
    applies: Callable[[Operation, Exchange], bool]


def _anywhere(operation: Operation, exchange: Exchange) -> bool:
    return True


def _is_conditional(operation: Operation, exchange: Exchange) -> bool:
    return exchange.method in {"GET", "HEAD"} and "if-none-match" in {name.lower() for name in exchange.request_headers}


def _is_query(operation: Operation, exchange: Exchange) -> bool:
    """Whether the request has a query that the operation reads: nothing else of it can be malformed without a body."""
    read = [re.escape(name).replace(r"\{name\}", ".*") for name in operation.query_parameters]
    return any(re.fullmatch(pattern, name, re.DOTALL) for pattern in read for name, _ in exchange.query)


def _is_inherited_bit_rate(operation: Operation, exchange: Exchange) -> bool:
    return operation.label == "DELETE /flows/{flowId}/avg_bit_rate"


ADDED_STATUSES = (
    Status(
        "304 to If-None-Match",
        "answers carry an ETag, and a client that has the answer already need not be sent it again",
        304,
        _is_conditional,
    ),
    Status(
        "400 to a bad query",
        "a malformed `limit`, `page` or filter is told to the client, where some listings document no 400",
        400,
        _is_query,
    ),
    Status(
        "400 to DELETE of an inherited avg_bit_rate",
        "a PUT that would break a Flow's link to its Profile is 400 by the document, and a DELETE breaks it alike",
        400,
        _is_inherited_bit_rate,
    ),
    Status("401", "every operation asks for credentials where authentication is switched on", 401, _anywhere),
    Status("405", "a method that a path does not have", 405, _anywhere),
    Status("409", "a deletion or creation that what is stored stands against", 409, _anywhere),
    Status("413", "a body larger than the configured limit", 413, _anywhere),
    Status("415", "a body that is not JSON", 415, _anywhere),
    Status("429", "more requests than the service takes", 429, _anywhere),
    Status("503", "a database or storage backend that cannot be reached", 503, _anywhere),
)

_NO_CREDENTIALS = "refused only to a client that lacks a permission, and the session is driven without authentication"
_WEBHOOKS = "answered only by a service that does not offer webhooks, and this one does"

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
"""Documented statuses that the session cannot bring about."""

HEAD_BODY = Allowance(
    "the body of HEAD",
    "the document gives answers to HEAD a JSON text as their body, and HTTP allows none: it has to be empty, with the "
    "headers of GET",
)
REFERENCE_HEADERS = Allowance(
    "headers beside $ref",
    "two answers to HEAD have headers beside a `$ref`, where OpenAPI ignores them: they are checked all the same",
)
ERROR_BODY = Allowance(
    "the body of errors",
    "the document describes none: it has to be JSON that keeps to schemas/error.json",
)
BLOCK_TEXT = Allowance(
    "examples as block texts",
    'short examples such as `"new_value"` are texts that hold JSON: what is sent is the JSON, not the text',
)
DOCUMENT_FAULTS = (HEAD_BODY, REFERENCE_HEADERS, ERROR_BODY, BLOCK_TEXT)
"""Where the document itself is at fault, and what is checked instead."""

_COLLECTS_ITSELF = "the Flow collects itself, which no Flow can: it has to be refused with 400"

EXAMPLES = {
    "flow-put-multi.json": _COLLECTS_ITSELF,
    "flow-get-200-multi.json": _COLLECTS_ITSELF,
    "flow-segments-get-200-object-timerange.json": (
        "its second Segment, shifted by ts_offset, lies outside its object_timerange, and its third gives the object "
        "of the first another object_timerange: the text forbids both, and both have to be refused"
    ),
    "service-get-200.json": (
        "its min_presigned_url_timeout is longer than its min_object_timeout, which the text forbids: there is nothing "
        "to send, the two are compared"
    ),
}
"""Examples of the document that a store cannot accept; each is replayed to see that the reason still holds."""


def added_status(operation: Operation, exchange: Exchange) -> Status | None:
    """The addition that allows the answer's status, which the operation does not document."""
    for added in ADDED_STATUSES:
        if added.status == exchange.status and added.applies(operation, exchange):
            return added
    return None

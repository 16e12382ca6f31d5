"""The DELETE operations that remove media: Flows, Segments, Sources, Objects.

Each takes `cascade` beside the parameters of the specification: absent, the operation does what the specification says;
`false` refuses with 409 where something else would be lost; `true` deletes what depends on it and says what went.
"""

from __future__ import annotations

from typing import Any

from flask import Response
from marshmallow import ValidationError

from tams.api import context
from tams.api.resources.delete_requests import LISTING_PATH
from tams.api.responses import json_answer, no_content
from tams.api.schemas.queries import (
    FlagParameter,
    Query,
    TextParameter,
    TimerangeParameter,
    query_arguments,
    query_pairs,
)
from tams.api.validation import invalid
from tams.domain.deletion import Accepted, Deleted, Outcome
from tams.domain.timerange import ETERNITY
from tams.services.deletion import deletion
from tams.services.rendering.deletions import accepted_json, delete_request_json, deleted_json


class DeleteQuery(Query):
    """Query of every deletion."""

    cascade = FlagParameter(load_default=None)


class DeleteSegmentsQuery(DeleteQuery):
    """Query of `DELETE /flows/{flowId}/segments`."""

    timerange = TimerangeParameter(load_default=ETERNITY)
    object_id = TextParameter(load_default=None)


_DELETE_QUERY = DeleteQuery()
_DELETE_SEGMENTS_QUERY = DeleteSegmentsQuery()
# What a caller may add for other reasons than to choose Segments.
_NOT_FILTERS = {"access_token"}


def delete_flow(flow_id: str) -> Response:
    """`DELETE /flows/{flowId}`."""
    cascade = _query(_DELETE_QUERY)["cascade"]
    outcome = deletion.delete_flow(context.store(), flow_id, cascade, context.principal())
    return _answer(outcome, summary=cascade is True)


def delete_segments(flow_id: str) -> Response:
    """`DELETE /flows/{flowId}/segments`. An unknown parameter is refused: a misspelt filter would delete everything."""
    known = _DELETE_SEGMENTS_QUERY.fields
    unknown = {name for name, _ in query_pairs()} - set(known) - _NOT_FILTERS
    if unknown:
        expected = f"not a parameter of this deletion, which has {', '.join(sorted(known))}"
        raise invalid({name: [expected] for name in sorted(unknown)})
    query = _query(_DELETE_SEGMENTS_QUERY)
    outcome = deletion.delete_segments(
        context.store(), flow_id, query["timerange"], query["object_id"], query["cascade"], context.principal()
    )
    return _answer(outcome, summary=query["cascade"] is True)


def delete_source(source_id: str) -> Response:
    """`DELETE /sources/{sourceId}`, an operation of ours."""
    cascade = _query(_DELETE_QUERY)["cascade"]
    outcome = deletion.delete_source(context.store(), source_id, cascade, context.principal())
    return _answer(outcome, summary=cascade is True, several=True)


def delete_object(object_id: str) -> Response:
    """`DELETE /objects/{objectId}`, an operation of ours."""
    cascade = _query(_DELETE_QUERY)["cascade"]
    outcome = deletion.delete_object(context.store(), object_id, cascade, context.principal())
    return _answer(outcome, summary=cascade is True, several=True)


def _query(schema: Query) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = schema.load(query_arguments(schema))
    except ValidationError as error:
        raise invalid(dict(error.messages_dict)) from error
    return loaded


def _answer(outcome: Outcome, *, summary: bool, several: bool = False) -> Response:
    match outcome:
        case Deleted(counts):
            return json_answer(deleted_json(counts)) if summary else no_content()
        case Accepted(requests) if several:
            body = accepted_json(requests)
            location = f"{context.base_url()}{LISTING_PATH}"
        case Accepted((accepted,)):
            body = delete_request_json(accepted)
            location = f"{context.base_url()}{LISTING_PATH}/{accepted.id}"
        case _:
            raise AssertionError("a deletion of one Flow makes one request")
    return json_answer(body, 202, {"Location": location})

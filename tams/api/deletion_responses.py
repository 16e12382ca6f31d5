"""Answers to the DELETE operations that remove media: Flows, Segments, Sources, Objects.

Each takes `cascade` beside the parameters of the specification. Without it, the operation does what the specification
says. `false` refuses with 409 if something else would be lost. `true` deletes what depends on it and answers how much.
"""

from __future__ import annotations

from typing import Final

from flask import Response

from tams.api import context
from tams.api.responses import json_response, no_content
from tams.domain.deletion import Accepted, Deleted, Outcome
from tams.services.rendering.deletions import accepted_json, delete_request_json, deleted_json

DELETE_REQUESTS_PATH: Final = "/flow-delete-requests"
"""The listing of Flow Delete Requests; each of them is below it, by its id."""


def deletion_response(outcome: Outcome, *, cascade: bool | None, several: bool = False) -> Response:
    """Return the answer to a deletion: 204, with `cascade` 200 and the counts, or 202 and where to watch it.

    `several`: the deletion may make any number of requests, otherwise it makes one.
    """
    match outcome:
        case Deleted(counts):
            return json_response(deleted_json(counts)) if cascade else no_content()
        case Accepted(requests) if several:
            body = accepted_json(requests)
            location = f"{context.base_url()}{DELETE_REQUESTS_PATH}"
        case Accepted((accepted,)):
            body = delete_request_json(accepted)
            location = f"{context.base_url()}{DELETE_REQUESTS_PATH}/{accepted.id}"
        case _:
            raise AssertionError("a deletion of one Flow makes one request")
    return json_response(body, 202, {"Location": location})

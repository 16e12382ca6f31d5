"""Requests that schemathesis generates from the document, a fixed and repeatable number for each operation.

Generated ids refer to nothing, so about half of the requests get ids of existing resources, to reach deeper code.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Err
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tools.conformance import allowances
from tools.conformance.document import ApiDocument, Operation
from tools.conformance.driven.documents import allocate, new_id, profile, put_flow, register
from tools.conformance.exchange import Exchange
from tools.conformance.session import Session, judge

EXAMPLES = {GenerationMode.POSITIVE: 24, GenerationMode.NEGATIVE: 12}
"""Requests that are generated for an operation: valid and invalid by its schemas."""

CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


class Resources:
    """Resources that generated requests refer to, created anew when a request may have removed them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        document = profile()
        session.call("POST", "/service/profiles/{profileId}", {"profileId": document["id"]}, body=document, expect=201)
        deletions = session.call("GET", "/flow-delete-requests", expect=200).json()
        self._fixed = {
            "profileId": document["id"],
            "request-id": deletions[0]["id"] if deletions else new_id(),
            "name": "known",
        }
        self.storage_id = session.call("GET", "/service/storage-backends", expect=200).json()[0]["id"]
        self.renew()

    def renew(self) -> None:
        """Create a Flow with its Source, a tag, a Segment and its Object, an unregistered Object, and a webhook."""
        flow = put_flow(self._session, tags={"known": "yes"}, label="known", description="known", max_bit_rate=1)
        registered, self.unregistered = (item["object_id"] for item in allocate(self._session, flow["id"], 2))
        register(self._session, flow["id"], registered, "[0:0_1:0)")
        webhook = {"url": "https://receiver.invalid/", "events": [], "status": "disabled"}
        webhook_id = self._session.call("POST", "/service/webhooks", body=webhook, expect=201).json()["id"]
        self.names = {
            **self._fixed,
            "flowId": flow["id"],
            "sourceId": flow["source_id"],
            "objectId": registered,
            "webhookId": webhook_id,
        }


def generated(document: ApiDocument, session: Session) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield each operation's label, and a function that sends the requests generated for it."""
    config = SchemathesisConfig()
    config.projects.default.generation.with_security_parameters = False
    api = schemathesis.openapi.from_path(document.path, config=config)
    resources = Resources(session)
    transport = requests.Session()
    for result in api.get_all_operations():
        if isinstance(result, Err):
            raise result.err()
        operation = result.ok()
        yield operation.label, partial(_exercise, document, session, resources, transport, operation)


def _exercise(
    document: ApiDocument,
    session: Session,
    resources: Resources,
    transport: requests.Session,
    operation: APIOperation[Any, Any, Any, Any],
) -> None:
    documented = document.operations[operation.label]
    resources.renew()
    for mode, examples in EXAMPLES.items():
        if mode is GenerationMode.NEGATIVE and not _can_be_negative(documented):
            continue

        @seed(zlib.crc32(f"{operation.label} {mode}".encode()))
        @settings(
            max_examples=examples,
            phases=[Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode), is_aimed=st.booleans())
        def send(case: Case[Any], is_aimed: bool) -> None:
            if is_aimed:
                _aim(case, documented, resources)
            _agree(case, documented)
            response = case.call(base_url=session.url, session=transport)
            _judge(document, session, documented, case, response)
            if is_aimed and _may_remove(documented):
                resources.renew()

        send()


def _can_be_negative(operation: Operation) -> bool:
    """Return True if a request can violate a schema."""
    is_constrained = any(parameter["schema"] != {"type": "string"} for parameter in operation.parameters)
    return is_constrained or "requestBody" in operation.definition


def _may_remove(operation: Operation) -> bool:
    return operation.method == "DELETE" or operation.path.endswith("/read_only")


def _aim(case: Case[Any], operation: Operation, resources: Resources) -> None:
    """Put ids of existing resources into the path and, if the body refers to resources, into the body."""
    for name in case.path_parameters or {}:
        case.path_parameters[name] = resources.names[name]
    bodies = case.body if isinstance(case.body, list) else [case.body]
    for body in bodies:
        if isinstance(body, dict) and operation.path.endswith("/segments") and "object_id" in body:
            body["object_id"] = resources.unregistered
        if isinstance(body, dict) and "storage_id" in body:
            body["storage_id"] = resources.storage_id


def _agree(case: Case[Any], operation: Operation) -> None:
    """Set the id in a body to that of the path; a server rejects any difference before it reads the rest."""
    if operation.label in {
        "PUT /flows/{flowId}",
        "POST /service/profiles/{profileId}",
        "PUT /service/webhooks/{webhookId}",
    }:
        (path_id,) = case.path_parameters.values()
        if isinstance(case.body, dict) and isinstance(case.body.get("id"), str):
            case.body["id"] = path_id


def _judge(document: ApiDocument, session: Session, operation: Operation, case: Case[Any], response: Response) -> None:
    """Run the checks of schemathesis, and the session's checks of every response."""
    exchange = _exchange(response)
    judge(document, session.results, session.part, operation, exchange)
    for check in CHECKS:
        if not _is_excepted(check, operation, exchange):
            fault = None
            try:
                case.validate_response(response, checks=[check])
            except FailureGroup as group:
                fault = "; ".join(str(failure) for failure in group.exceptions)
            session.results.record(session.part, operation.label, f"schemathesis {check.__name__}", fault, exchange)


def _is_excepted(check: Callable[..., Any], operation: Operation, exchange: Exchange) -> bool:
    if check is response_schema_conformance:
        return operation.method == "HEAD"
    return check is status_code_conformance and allowances.added_status(operation, exchange) is not None


def _exchange(response: Response) -> Exchange:
    request = response.request
    body = request.body or b""
    return Exchange(
        method=str(request.method),
        url=str(request.url),
        request_headers={str(name): str(value) for name, value in request.headers.items()},
        request_body=body.encode() if isinstance(body, str) else bytes(body),
        status=response.status_code,
        headers={name.lower(): ", ".join(values) for name, values in response.headers.items()},
        body=response.content,
    )

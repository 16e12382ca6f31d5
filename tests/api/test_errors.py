"""The form of error responses, which is the same for every kind of error."""

from __future__ import annotations

import logging
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.exceptions import RequestedRangeNotSatisfiable, Unauthorized

from tams.api.errors import STATUS, status_of
from tams.domain.errors import (
    Blockers,
    Conflict,
    Contended,
    Forbidden,
    IntegrityBroken,
    Invalid,
    NotFound,
    TamsError,
    Unavailable,
)
from tams.domain.identifiers import new_id
from tams.storage.port import BackendDown, ChecksumMismatch, MissingObject, TooLarge
from tests.support.api_steps import allocate, make_flow


def failing(app: Flask, error: Exception) -> FlaskClient:
    def view() -> None:
        raise error

    app.add_url_rule("/fail", view_func=view, methods=["GET", "POST"])
    return app.test_client()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Invalid("no"), 400),
        (Forbidden("no"), 403),
        (NotFound("no"), 404),
        (Conflict("no"), 409),
        (Unavailable("no"), 503),
        (Contended("no"), 503),
        (IntegrityBroken("no"), 500),
        (ChecksumMismatch("no"), 400),
        (MissingObject("no"), 404),
        (TooLarge("no"), 413),
        (BackendDown("no"), 503),
        (Unauthorized(), 401),
        (RuntimeError("secret"), 500),
    ],
)
def test_the_body_has_the_form_of_the_specification(own_app: Flask, error: Exception, status: int) -> None:
    answer = failing(own_app, error).get("/fail", headers={"X-Request-ID": "abc"})
    assert answer.status_code == status
    body = answer.json
    assert body is not None
    assert answer.content_type == "application/json"
    assert body["request_id"] == "abc"
    assert body["message"] == body["summary"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["time"])
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


def test_every_domain_error_has_a_status() -> None:
    assert {kind for kind in TamsError.__subclasses__() if kind not in STATUS} == set()
    assert status_of(Contended("")) == 503


def test_fields_at_fault_are_named(own_app: Flask) -> None:
    answer = failing(own_app, Invalid.field("essence_parameters.frame_rate", "required")).get("/fail")
    assert answer.json is not None
    assert answer.json["errors"] == {"essence_parameters.frame_rate": ["required"]}


def test_a_conflict_names_what_blocks_the_deletion(own_app: Flask) -> None:
    answer = failing(own_app, Conflict("in use", Blockers(flows=2, examples=("a", "b")))).get("/fail")
    assert answer.json is not None
    assert answer.json["blocked_by"] == {
        "flows": 2,
        "segments": 0,
        "collections": 0,
        "objects": 0,
        "examples": ["a", "b"],
    }


def test_an_unavailable_service_says_when_to_retry(own_app: Flask) -> None:
    assert failing(own_app, Unavailable("later", retry_after=7)).get("/fail").headers["Retry-After"] == "7"


def test_headers_of_the_framework_errors_are_kept(own_app: Flask) -> None:
    answer = failing(own_app, RequestedRangeNotSatisfiable(10)).get("/fail")
    assert answer.headers["Content-Range"] == "bytes */10"
    assert answer.content_type == "application/json"


def test_an_unexpected_error_is_logged_with_the_request_id(own_app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    failing(own_app, RuntimeError("the cause")).get("/fail", headers={"X-Request-ID": "find-me"})
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.__dict__["request_id"] == "find-me"
    assert record.exc_info is not None
    assert "the cause" in str(record.exc_info[1])


def test_an_unknown_method_is_405_with_the_allowed_ones(client: FlaskClient) -> None:
    answer = client.delete("/service")
    assert answer.status_code == 405
    assert {"GET", "HEAD", "POST"} <= set(answer.headers["Allow"].split(", "))
    assert answer.json is not None
    assert answer.json["type"] == "MethodNotAllowed"


def test_an_unknown_path_is_404_in_the_same_form(client: FlaskClient) -> None:
    answer = client.get("/nothing/here")
    assert answer.status_code == 404
    assert answer.json is not None
    assert answer.json["type"] == "NotFound"


def test_an_error_to_head_has_the_same_headers_and_no_body(client: FlaskClient) -> None:
    got, head = client.get("/nothing"), client.head("/nothing")
    assert head.status_code == got.status_code == 404
    assert head.content_type == got.content_type
    assert head.data == b""


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/flows/{0}?include_timerange=true&timerange=x"),
        ("DELETE", "/flows/{0}?cascade=x"),
        ("DELETE", "/flows/{0}/segments?cascade=x"),
        ("DELETE", "/sources/{0}?cascade=x"),
        ("GET", "/objects/{0}?limit=0"),
        ("GET", "/objects/{0}?page=x"),
        ("DELETE", "/objects/{0}?cascade=x"),
    ],
)
def test_a_missing_resource_is_404_even_with_a_malformed_query(client: FlaskClient, method: str, path: str) -> None:
    assert client.open(path.format(new_id()), method=method).status_code == 404


def test_an_existing_resource_has_its_query_checked(client: FlaskClient) -> None:
    flow_id = make_flow(client)
    (allocated,) = allocate(client, flow_id)
    assert client.delete(f"/objects/{allocated}?cascade=x").status_code == 400
    assert client.get(f"/objects/{allocated}?limit=0").status_code == 404
    assert client.delete(f"/flows/{flow_id}?cascade=x").status_code == 400
    client.put(f"/flows/{flow_id}/read_only", json=True)
    assert client.delete(f"/flows/{flow_id}?cascade=x").status_code == 403
    assert client.get(f"/flows/{flow_id}?timerange=x").status_code == 400


def test_a_malformed_host_is_never_a_server_error(client: FlaskClient) -> None:
    for host in ("a b", "ex ample:99999999", "x" * 300, "<script>"):
        assert client.get("/service/storage-backends", headers={"Host": host}).status_code in {200, 400}

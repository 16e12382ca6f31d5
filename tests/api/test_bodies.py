"""JSON bodies: strict reading, and the order of the checks."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask.views import MethodView
from marshmallow import fields

from tams.api.blueprint import Blueprint
from tams.api.json_body import json_body
from tams.api.responses import json_response
from tams.api.schemas.base import Body
from tams.api.schemas.fields import Boolean, Integer, PositiveInteger, Tags, Text, Timerange, Url, Uuid
from tams.config import Settings
from tams.domain.errors import Forbidden
from tests.support.applications import serving

JSON = {"Content-Type": "application/json"}


class Part(Body):
    number = PositiveInteger()


class Probe(Body):
    read_only = ("created",)

    text = Text(max_bytes=8)
    count = Integer()
    flag = Boolean()
    id = Uuid()
    range = Timerange()
    url = Url()
    tags = Tags()
    part = fields.Nested(Part)
    parts = fields.List(fields.Nested(Part))


@pytest.fixture
def probe(own_app: Flask) -> FlaskClient:
    return with_probe(own_app)


def with_probe(app: Flask) -> FlaskClient:
    """Add a few views that accept bodies to the application; return a client."""
    blp = Blueprint("probe", __name__)

    @blp.route("/object")
    class Object(MethodView):
        @blp.arguments(Probe)
        def put(self, body: dict[str, Any]) -> Any:
            return json_response({name: str(value) for name, value in body.items()})

    @blp.route("/list")
    class List(MethodView):
        @blp.arguments(Probe(many=True))
        def put(self, body: list[Any]) -> Any:
            return json_response(len(body))

    @blp.route("/optional")
    class Optional(MethodView):
        @blp.arguments(Probe, required=False)
        def put(self, body: dict[str, Any]) -> Any:
            return json_response(body)

    @blp.route("/anything/<text:name>")
    class Anything(MethodView):
        @blp.check_first(refuse_closed)
        def put(self, name: str) -> Any:
            return json_response([name, json_body()])

    @blp.route("/checked/<text:name>")
    class Checked(MethodView):
        @blp.check_first(refuse_closed)
        @blp.arguments(Probe)
        def put(self, body: dict[str, Any], name: str) -> Any:
            return json_response([name, body])

    app.register_blueprint(blp)
    return app.test_client()


def refuse_closed(name: str) -> None:
    if name == "closed":
        raise Forbidden("closed")


def errors_of(answer: Any) -> dict[str, list[str]]:
    assert answer.status_code == 400, answer.text
    errors: dict[str, list[str]] = answer.json["errors"]
    return errors


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"{'a': 1}",
        b"\xff",
        b"{} {}",
        b"NaN",
        b'{"count": NaN}',
        b'{"count": Infinity}',
        b'{"count": 1e999}',
        b'{"text": "\x00"}',
        b'{"text": "\\ud800"}',
        b'{"text": "\xed\xa0\x80"}',
        b"[" * 100_000,
        b"[" * 200 + b"]" * 200,
        b'{"a":' * 150 + b"1" + b"}" * 150,
        b"",
    ],
)
def test_what_is_no_json_or_cannot_be_stored_is_400(probe: FlaskClient, content: bytes) -> None:
    for path in ("/object", "/anything/x"):
        assert probe.put(path, data=content, headers=JSON).status_code == 400


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (b'{"text": "a\\u0000b"}', "text"),
        (b'{"a": [{"b": "\\u0000"}]}', "a[0].b"),
        (b'{"a": {"x\\u0000": 1}}', "a"),
        (b'{"count": 9223372036854775808}', "count"),
        (b'{"count": -9223372036854775809}', "count"),
        (b'{"a": [1, 18446744073709551616]}', "a[1]"),
        (b'{"a": ' + b"9" * 300 + b"}", "a"),
        (b'"\\u0000"', "body"),
        (b"9223372036854775808", "body"),
    ],
)
def test_what_no_repository_can_hold_is_400_and_named(probe: FlaskClient, content: bytes, path: str) -> None:
    assert list(errors_of(probe.put("/anything/x", data=content, headers=JSON))) == [path]


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"9223372036854775807", 9223372036854775807),
        (b"-9223372036854775808", -9223372036854775808),
        (b"1e300", 1e300),
        (b'"\\\\u0000"', "\\u0000"),
        (b'"\\ud83c\\udfac"', "🎬"),
        (b"null", None),
        (b"[" * 100 + b"]" * 100, None),
    ],
)
def test_what_can_be_stored_comes_through_unchanged(probe: FlaskClient, content: bytes, value: Any) -> None:
    answer = probe.put("/anything/x", data=content, headers=JSON)
    assert answer.status_code == 200, answer.text
    if value is not None:
        assert answer.json == ["x", value]


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/json; charset=latin-1",
        "json",
    ],
)
def test_what_is_not_declared_as_json_is_415(probe: FlaskClient, content_type: str) -> None:
    assert probe.put("/object", data=b"{}", content_type=content_type).status_code == 415


@pytest.mark.parametrize("headers", [{}, {"Content-Type": ""}])
def test_a_body_without_a_type_is_taken_as_json(probe: FlaskClient, headers: dict[str, str]) -> None:
    assert probe.put("/object", data=b'{"text": "x"}', headers=headers).json == {"text": "x"}
    assert probe.put("/optional", data=b'{"text": "x"}', headers=headers).json == {"text": "x"}
    assert errors_of(probe.put("/object", data=b"text=x", headers=headers)).keys() == {"body"}
    encoded = headers | {"Content-Encoding": "gzip"}
    assert probe.put("/object", data=gzip.compress(b"{}"), headers=encoded).status_code == 415


def test_an_encoded_body_is_415(probe: FlaskClient) -> None:
    headers = JSON | {"Content-Encoding": "gzip"}
    assert probe.put("/object", data=gzip.compress(b"{}"), headers=headers).status_code == 415


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8", "application/ld+json"],
)
def test_json_types_are_accepted(probe: FlaskClient, content_type: str) -> None:
    assert probe.put("/object", data=b"{}", content_type=content_type).status_code == 200


def test_a_required_body_that_is_absent_is_400(probe: FlaskClient) -> None:
    assert probe.put("/object").status_code == 400


def test_an_optional_body_may_be_absent(probe: FlaskClient) -> None:
    assert probe.put("/optional").json == {}
    assert probe.put("/optional", headers=JSON).json == {}
    assert probe.put("/optional", data=b"null", headers=JSON).status_code == 400
    assert probe.put("/optional", data=b"x", content_type="text/plain").status_code == 415


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ([], "body"),
        ("x", "body"),
        ({"text": 5}, "text"),
        ({"text": None}, "text"),
        ({"text": "é" * 5}, "text"),
        ({"count": "5"}, "count"),
        ({"count": True}, "count"),
        ({"count": 5.5}, "count"),
        ({"count": 1e19}, "count"),
        ({"flag": "true"}, "flag"),
        ({"flag": 1}, "flag"),
        ({"id": "329B98D6-ADEB-418C-8EAF-ECA14EDC1706"}, "id"),
        ({"range": "yesterday"}, "range"),
        ({"range": "[0:0_10:00)"}, "range"),
        ({"range": 5}, "range"),
        ({"url": "example.com/x"}, "url"),
        ({"url": "/x"}, "url"),
        ({"url": "http://"}, "url"),
        ({"url": "http://a b/"}, "url"),
        ({"url": "http://a:b/"}, "url"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"tags": []}, "tags"),
        ({"tags": {"a": 1}}, "tags.a"),
        ({"tags": {"a": ["x", None]}}, "tags.a"),
        ({"tags": {"a": "x" * 1025}}, "tags.a"),
        ({"tags": {"n" * 1025: "x"}}, "tags." + "n" * 1025),
        ({"part": {"number": 0}}, "part.number"),
        ({"part": []}, "part"),
        ({"parts": [{}, {"number": "1"}]}, "parts[1].number"),
        ({"parts": {}}, "parts"),
    ],
)
def test_a_wrong_property_is_named_by_its_path(probe: FlaskClient, body: Any, path: str) -> None:
    answer = probe.put("/object", json=body)
    assert list(errors_of(answer)) == [path]
    assert answer.json["summary"].startswith(f"{path}: ")


def test_all_fields_at_fault_are_named(probe: FlaskClient) -> None:
    answer = probe.put("/object", json={"text": 5, "parts": [{"number": "1"}, {"number": 0}]})
    assert set(errors_of(answer)) == {"text", "parts[0].number", "parts[1].number"}


def test_an_item_of_a_list_is_named_by_its_index(probe: FlaskClient) -> None:
    assert list(errors_of(probe.put("/list", json=[{}, {"text": 5}, "x"]))) == ["[1].text", "[2]"]


def test_right_values_are_accepted(probe: FlaskClient) -> None:
    body = {"text": "é" * 4, "count": 5.0, "tags": {"a": ["x", "y"], "b": "", "": "z"}, "url": "s3://bucket/key?a=b"}
    answer = probe.put("/object", json=body)
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["count"] == "5"


def test_unknown_properties_are_ignored_and_read_only_ones_whatever_they_hold(probe: FlaskClient) -> None:
    assert probe.put("/object", json={"unknown": 1, "created": {"not": "a time"}}).json == {}


def test_a_check_comes_before_the_body(probe: FlaskClient) -> None:
    for path in ("/checked/closed", "/anything/closed"):
        assert probe.put(path, data=b"{", content_type="text/plain").status_code == 403
    assert probe.put("/checked/open", data=b"{", content_type="text/plain").status_code == 415
    assert probe.put("/checked/open", json={"text": "x"}).json == ["open", {"text": "x"}]


@pytest.fixture
def small(settings: Settings) -> Iterator[FlaskClient]:
    for app in serving(replace(settings, max_body=100), shared=False):
        yield with_probe(app)


def test_a_body_that_is_too_large_is_413(small: FlaskClient) -> None:
    assert small.put("/object", json={"unknown": "x" * 50}).status_code == 200
    answer = small.put("/object", json={"unknown": "x" * 100})
    assert answer.status_code == 413
    assert answer.json is not None
    assert answer.json["type"] == "RequestEntityTooLarge"


def test_a_body_of_unknown_length_is_limited_as_well(small: FlaskClient) -> None:
    def chunked(size: int) -> int:
        return small.put(
            "/object",
            input_stream=io.BytesIO(b'{"unknown":"' + b"x" * size + b'"}'),
            headers=JSON | {"Transfer-Encoding": "chunked"},
            environ_overrides={"wsgi.input_terminated": True},
        ).status_code

    assert chunked(50) == 200
    assert chunked(1000) == 413

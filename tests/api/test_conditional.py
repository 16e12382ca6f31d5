"""Conditional requests: `ETag` and `If-None-Match`."""

from __future__ import annotations

from hashlib import sha256

import pytest
from flask import Flask, Response, request
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from tams.api.responses import json_response


def test_the_tag_is_strong_and_of_the_bytes(client: FlaskClient) -> None:
    first, again = client.get("/service"), client.get("/service")
    assert first.headers["ETag"] == again.headers["ETag"]
    assert first.headers["ETag"].startswith('"')
    client.post("/service", json={"name": "Another"})
    assert client.get("/service").headers["ETag"] != first.headers["ETag"]


@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', 'W/"y",{}', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_known_tag_is_answered_with_304(client: FlaskClient, form: str, method: str) -> None:
    tag = client.get("/service").headers["ETag"]
    answer = client.open("/service", method=method, headers={"If-None-Match": form.format(tag)})
    assert answer.status_code == 304
    assert answer.headers["ETag"] == tag
    assert "X-Request-ID" in answer.headers
    assert answer.data == b""
    assert "Content-Type" not in answer.headers


@pytest.mark.parametrize("condition", ['"other"', "", "rubbish", '"', "W/"])
def test_any_other_tag_is_answered_in_full(client: FlaskClient, condition: str) -> None:
    assert client.get("/service", headers={"If-None-Match": condition}).status_code == 200


def test_a_page_that_is_not_modified_keeps_its_paging_headers(client: FlaskClient) -> None:
    tag = client.get("/service/storage-backends").headers["ETag"]
    answer = client.get("/service/storage-backends", headers={"If-None-Match": tag})
    assert answer.status_code == 304
    assert answer.headers["X-Paging-Count"] == "1"


def test_a_response_with_signed_urls_is_not_stored(own_app: Flask) -> None:
    own_app.add_url_rule("/signed", "signed", lambda: json_response({"url": "…"}, signed_urls=True))
    answer = own_app.test_client().get("/signed", headers={"If-None-Match": "*"})
    assert answer.status_code == 200
    assert "ETag" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"


def test_errors_and_other_methods_have_no_tag(client: FlaskClient) -> None:
    assert "ETag" not in client.get("/nothing").headers
    assert "ETag" not in client.post("/service", json={}).headers


def test_json_is_written_as_utf8_without_escapes(own_app: Flask) -> None:
    own_app.add_url_rule("/text", "text", lambda: json_response({"é&<": "日本"}))
    assert own_app.test_client().get("/text").data == '{"é&<":"日本"}'.encode()


@pytest.mark.parametrize("path", ["/", "/service", "/service/storage-backends", "/service/profiles", "/health/live"])
def test_every_get_has_its_head(client: FlaskClient, path: str) -> None:
    got, head = client.get(path), client.head(path)
    own = {"X-Request-ID", "Date"}
    assert head.status_code == got.status_code == 200
    assert {name: value for name, value in head.headers.items() if name not in own} == {
        name: value for name, value in got.headers.items() if name not in own
    }
    assert head.data == b""


APP = Flask(__name__, static_folder=None)
CONTENT = b'{"a": 1}'
TAG = sha256(CONTENT).hexdigest()[:32]


def plain_response(content: bytes) -> Response:
    """Do what `json_response` does, with the framework's own conditional response: its plain twin."""
    response = Response(content, 200, content_type="application/json")
    response.set_etag(sha256(content).hexdigest()[:32])
    response.make_conditional(request)
    return response


conditions = st.lists(
    st.sampled_from([f'"{TAG}"', f'W/"{TAG}"', TAG, '"other"', "*", '"', "W/", "", ",", " ", "é"]), max_size=4
).map(", ".join)


@given(
    content=st.sampled_from([CONTENT, b"[]", b""]),
    condition=st.none() | conditions,
    method=st.sampled_from(["GET", "HEAD"]),
)
def test_the_fast_response_is_that_of_the_framework(content: bytes, condition: str | None, method: str) -> None:
    headers = {} if condition is None else {"If-None-Match": condition}
    with APP.test_request_context("/", method=method, headers=headers):
        fast, plain = json_response(content), plain_response(content)
        assert fast.status_code == plain.status_code
        actual, expected = (dict(response.get_wsgi_headers(request.environ)) for response in (fast, plain))
        expected.pop("Date")
        # The framework drops the headers and the body of a 304 when the server asks for them.
        assert actual == expected
        assert b"".join(fast.get_app_iter(request.environ)) == b"".join(plain.get_app_iter(request.environ))

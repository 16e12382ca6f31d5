"""The checks find the faults of a response, and none in a correct one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tools.conformance.checks import check, check_head
from tools.conformance.document import ApiDocument
from tools.conformance.exchange import Exchange

URL = "http://store.example/things"
PAGING = {"Link": "string", "X-Paging-Limit": "integer", "X-Paging-NextKey": "string", "X-Paging-Count": "integer"}
LISTED = {
    "content-type": "application/json",
    "x-paging-limit": "1",
    "x-paging-count": "1",
    "x-paging-nextkey": "k1",
    "link": f'<{URL}?limit=1&page=k1>; rel="next"',
}
ERROR = {"type": "Invalid", "summary": "no", "time": "2026-01-01T00:00:00Z"}


@pytest.fixture
def document(tmp_path: Path) -> ApiDocument:
    """Return a document with one listing, whose items have a schema in a file of its own."""
    headers = {name: {"schema": {"type": kind}} for name, kind in PAGING.items()}
    items = {"type": "array", "items": {"$ref": "schemas/thing.json"}}
    listing = {
        "parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer"}}],
        "responses": {"200": {"headers": headers, "content": {"application/json": {"schema": items}}}},
    }
    content = {
        "openapi": "3.1.0",
        "info": {"title": "Things", "version": "1"},
        "paths": {"/things": {"get": listing, "delete": {"responses": {"204": {}}}}},
    }
    error = {"required": list(ERROR), "properties": {"time": {"format": "date-time"}}}
    for name, value in (
        ("api.yaml", content),
        ("schemas/thing.json", {"type": "object", "required": ["id"], "properties": {"id": {"$ref": "id.json"}}}),
        ("schemas/id.json", {"type": "string"}),
        ("schemas/error.json", error),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(value))
    return ApiDocument(tmp_path / "api.yaml")


def listing(body: Any = None, status: int = 200, **headers: str | None) -> Exchange:
    """Return a correct response to GET /things?limit=1 with these changes; a header given as None is omitted."""
    changed = {**LISTED, **{name.replace("_", "-"): value for name, value in headers.items()}}
    response_headers = {name: value for name, value in changed.items() if value is not None}
    content = json.dumps([{"id": "a"}] if body is None else body).encode()
    return Exchange("GET", f"{URL}?limit=1", {}, b"", status, response_headers, content)


def failed(document: ApiDocument, exchange: Exchange) -> list[str]:
    """Return the names of the checks that fail."""
    operation = document.operations[f"{exchange.method} /things"]
    return [name for name, fault in check(document, operation, exchange) if fault]


def test_a_correct_response_passes(document: ApiDocument) -> None:
    assert failed(document, listing()) == []
    last = listing(link=None, x_paging_nextkey=None)
    assert failed(document, last) == []


@pytest.mark.parametrize(
    ("exchange", "check_name"),
    [
        (listing(status=404, body=ERROR), "status is documented"),
        (listing(status=404, body={"message": "no"}), "error body"),
        (listing(status=400, body={**ERROR, "time": "yesterday"}), "error body"),
        (listing(body=[{"id": 5}]), "body"),
        (listing(body={"id": "a"}), "body"),
        (listing(content_type="text/html"), "content type"),
        (listing(x_paging_limit=None), "X-Paging-Limit is there"),
        (listing(x_paging_limit="one"), "header X-Paging-Limit"),
        (listing(x_paging_count="2"), "X-Paging-Count is the page's"),
        (listing(x_paging_nextkey=None), "Link and X-Paging-NextKey come together"),
        (listing(link="</things?limit=1&page=k1>; rel=next"), "Link"),
        (listing(link='</things?limit=1&page=k1>; rel="next"'), "Link"),
        (listing(link=f'<{URL}?page=k1>; rel="next"'), "Link"),
        (listing(link=f'<{URL}?limit=1&page=k2>; rel="next"'), "Link"),
    ],
)
def test_a_faulty_response_is_found(document: ApiDocument, exchange: Exchange, check_name: str) -> None:
    assert check_name in failed(document, exchange)


def test_the_page_token_of_a_link_carries_a_long_query(document: ApiDocument) -> None:
    url = f"{URL}?limit=1&label={'x' * 1000}"
    assert failed(document, replace(listing(link=f'<{URL}?page=k1~x>; rel="next"'), url=url)) == []
    for link in (f"{url}&page=k1", f"{URL}?page=k1", f"{URL}?page=k2~x"):
        assert failed(document, replace(listing(link=f'<{link}>; rel="next"'), url=url)) == ["Link"]
    assert failed(document, listing(link=f'<{URL}?page=k1~x>; rel="next"')) == ["Link"]


def test_a_malformed_query_may_be_an_undocumented_400(document: ApiDocument) -> None:
    refused = listing(status=400, body=ERROR)
    assert failed(document, refused) == []
    assert failed(document, replace(refused, url=URL)) == ["status is documented"]


def test_a_body_where_none_is_documented_is_found(document: ApiDocument) -> None:
    deleted = Exchange("DELETE", URL, {}, b"", 204, {}, b"")
    assert failed(document, deleted) == []
    assert failed(document, replace(deleted, body=b"gone")) == ["no body where none is documented"]


def test_head_must_match_get() -> None:
    get = listing()
    head = replace(get, method="HEAD", body=b"")
    other = replace(head, status=404, headers={})
    assert [name for name, fault in check_head(get, head) if fault] == []
    assert [name for name, fault in check_head(get, other) if fault] == [
        "HEAD has the status of GET",
        "HEAD has the headers of GET",
    ]


def test_a_curl_line_shows_no_credentials() -> None:
    headers = {"Authorization": "Bearer secret", "Content-Type": "application/json"}
    exchange = Exchange("PUT", f"{URL}?access_token=secret&limit=1", headers, b"'x'", 204, {}, b"")
    assert "secret" not in exchange.curl()
    assert exchange.curl().endswith(f"'{URL}?limit=1'")


def test_only_an_invalid_host_may_be_an_undocumented_400(document: ApiDocument) -> None:
    refused = replace(listing(status=400, body=ERROR), url=URL)
    for host in ("", "a b", "user@host"):
        assert failed(document, replace(refused, request_headers={"Host": host})) == []
    for host in ("tams_store:8000", "[::1]:8000"):
        assert failed(document, replace(refused, request_headers={"Host": host})) == ["status is documented"]

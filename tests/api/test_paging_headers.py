"""Pages: their headers, their links and the keys that only we can make."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tams.config import Settings
from tests.support.applications import serving
from tests.support.profile_documents import profile

LISTING = "/service/profiles"


@pytest.fixture
def filled(client: FlaskClient) -> FlaskClient:
    """A store with five Profiles."""
    for number in range(5):
        sent = profile(label=f"p{number}")
        assert client.post(f"{LISTING}/{sent['id']}", json=sent).status_code == 201
    return client


def next_of(answer: TestResponse) -> str:
    match = re.fullmatch(r'<([^<>,; ]+)>; rel="next"', answer.headers["Link"])
    assert match is not None, answer.headers["Link"]
    return match[1]


def labels(answer: TestResponse) -> list[str]:
    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    return [item["label"] for item in answer.json]


def test_a_walk_sees_everything_once(filled: FlaskClient) -> None:
    answer = filled.get(LISTING, query_string={"limit": 2})
    seen = labels(answer)
    pages = 1
    while "Link" in answer.headers:
        answer = filled.get(next_of(answer))
        seen += labels(answer)
        pages += 1
    assert seen == ["p0", "p1", "p2", "p3", "p4"]
    assert pages == 3
    assert "X-Paging-NextKey" not in answer.headers


def test_a_page_says_what_it_is(filled: FlaskClient) -> None:
    answer = filled.get(LISTING, query_string={"limit": 2})
    assert answer.headers["X-Paging-Limit"] == "2"
    assert answer.headers["X-Paging-Count"] == "2"
    # Also where there is no parameter to turn the listing round.
    assert answer.headers["X-Paging-Reverse-Order"] == "false"
    assert dict(parse_qsl(urlsplit(next_of(answer)).query))["page"] == answer.headers["X-Paging-NextKey"]
    backends = filled.get("/service/storage-backends?reverse_order=true")
    assert backends.headers["X-Paging-Reverse-Order"] == "true"
    assert backends.headers["X-Paging-Limit"] == "100"


def test_a_link_carries_the_request_on(filled: FlaskClient) -> None:
    query = "limit=1&codec=video%2Fh264&x=a%2Cb%3Bc&x=%FF&y=[0:0_1:0)&page_=1&format=urn:x-nmos:format:video"
    url = next_of(filled.get(f"{LISTING}?{query}"))
    assert url.startswith(f"http://localhost{LISTING}?")
    carried = parse_qsl(urlsplit(url).query, errors="surrogateescape")
    assert carried[:-1] == parse_qsl(query, errors="surrogateescape")
    assert [name for name, _ in carried].count("page") == 1
    second = next_of(filled.get(url))
    assert [name for name, _ in parse_qsl(urlsplit(second).query)].count("page") == 1


def test_a_repeated_parameter_of_a_client_that_follows_a_link_does_no_harm(filled: FlaskClient) -> None:
    url = next_of(filled.get(LISTING, query_string={"limit": 2}))
    assert labels(filled.get(f"{url}&limit=2")) == ["p2", "p3"]


@pytest.mark.parametrize(("asked", "used"), [("1", "1"), ("1000", "1000"), ("1001", "1000"), ("9" * 40, "1000")])
def test_a_large_limit_is_clamped(client: FlaskClient, asked: str, used: str) -> None:
    assert client.get(LISTING, query_string={"limit": asked}).headers["X-Paging-Limit"] == used


@pytest.mark.parametrize("limit", ["0", "-1", "x", "", "1.5"])
def test_a_limit_below_one_or_no_number_is_400(client: FlaskClient, limit: str) -> None:
    answer = client.get(LISTING, query_string={"limit": limit})
    assert answer.status_code == 400
    assert answer.json is not None
    assert list(answer.json["errors"]) == ["limit"]


def refused(answer: TestResponse) -> bool:
    return answer.status_code == 400 and answer.json is not None and list(answer.json["errors"]) == ["page"]


@pytest.mark.parametrize("key", ["", "x", "é", "AAAA", "A" * 100, "%00", "_", "=" * 10, "a b"])
def test_a_page_key_that_is_none_is_400(client: FlaskClient, key: str) -> None:
    assert refused(client.get(LISTING, query_string={"page": key}))


def test_an_altered_page_key_is_400(filled: FlaskClient) -> None:
    key = filled.get(LISTING, query_string={"limit": 1}).headers["X-Paging-NextKey"]
    first, last = ("A" if letter != "A" else "B" for letter in (key[0], key[-1]))
    for altered in (key[:-1], key + "A", first + key[1:], key[:-1] + last):
        assert refused(filled.get(LISTING, query_string={"page": altered}))


def test_a_page_key_of_another_listing_or_direction_is_400(filled: FlaskClient) -> None:
    key = filled.get(LISTING, query_string={"limit": 1}).headers["X-Paging-NextKey"]
    assert filled.get(LISTING, query_string={"page": key}).status_code == 200
    assert refused(filled.get("/service/storage-backends", query_string={"page": key}))
    assert refused(filled.get(LISTING, query_string={"page": key, "reverse_order": "true"}))


def test_a_page_key_of_another_service_is_400(filled: FlaskClient, settings: Settings) -> None:
    key = filled.get(LISTING, query_string={"limit": 1}).headers["X-Paging-NextKey"]
    for app in serving(replace(settings, secret_key="another key of thirty-two bytes.")):
        assert refused(app.test_client().get(LISTING, query_string={"page": key}))


@pytest.fixture
def published(settings: Settings) -> Iterator[FlaskClient]:
    for app in serving(replace(settings, public_url="https://media.example.com/tams")):
        yield app.test_client()


def test_links_begin_with_the_public_url_where_it_is_set(published: FlaskClient) -> None:
    for _ in range(2):
        sent = profile()
        published.post(f"{LISTING}/{sent['id']}", json=sent)
    assert next_of(published.get(f"{LISTING}?limit=1")).startswith(f"https://media.example.com/tams{LISTING}?")

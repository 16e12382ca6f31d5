"""Pages of listings: headers, links, and page tokens that only the service can issue."""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tams.config import Settings
from tests.support.applications import KEY, serving
from tests.support.profile_documents import profile

LISTING = "/service/profiles"


@pytest.fixture
def filled(client: FlaskClient) -> FlaskClient:
    """Return a client of a store with five Profiles."""
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


def test_following_the_links_returns_every_item_once(filled: FlaskClient) -> None:
    answer = filled.get(LISTING, query_string={"limit": 2})
    profile_labels = labels(answer)
    pages = 1
    while "Link" in answer.headers:
        answer = filled.get(next_of(answer))
        profile_labels += labels(answer)
        pages += 1
    assert profile_labels == ["p0", "p1", "p2", "p3", "p4"]
    assert pages == 3
    assert "X-Paging-NextKey" not in answer.headers


def test_a_page_says_what_it_is(filled: FlaskClient) -> None:
    answer = filled.get(LISTING, query_string={"limit": 2})
    assert answer.headers["X-Paging-Limit"] == "2"
    assert answer.headers["X-Paging-Count"] == "2"
    # The header is also sent by listings without the parameter `reverse_order`.
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


@pytest.mark.parametrize(("limit", "used"), [("1", "1"), ("1000", "1000"), ("1001", "1000"), ("9" * 40, "1000")])
def test_a_large_limit_is_clamped(client: FlaskClient, limit: str, used: str) -> None:
    assert client.get(LISTING, query_string={"limit": limit}).headers["X-Paging-Limit"] == used


@pytest.mark.parametrize("limit", ["0", "-1", "x", "", "1.5"])
def test_a_limit_below_one_or_no_number_is_400(client: FlaskClient, limit: str) -> None:
    answer = client.get(LISTING, query_string={"limit": limit})
    assert answer.status_code == 400
    assert answer.json is not None
    assert list(answer.json["errors"]) == ["limit"]


def refused(answer: TestResponse) -> bool:
    return answer.status_code == 400 and answer.json is not None and list(answer.json["errors"]) == ["page"]


@pytest.mark.parametrize(
    "page_token",
    ["", "x", "é", "AAAA", "A" * 100, "%00", "_", "=" * 10, "a b", ".", "..", "AAAA.AAAA", "é.é", "\udcff.a"],
)
def test_a_malformed_page_token_is_400(client: FlaskClient, page_token: str) -> None:
    query = urlencode({"page": page_token}, errors="surrogateescape")
    assert refused(client.get(LISTING, query_string=query))


def first_token(client: FlaskClient) -> str:
    """Return the token of the second page of Profiles, with one Profile a page."""
    return client.get(LISTING, query_string={"limit": 1}).headers["X-Paging-NextKey"]


def altered(page_token: str) -> list[str]:
    """Return tokens that differ from this one in one character, at its ends, or in its dot."""
    changed = [
        page_token[:place] + ("A" if letter != "A" else "B") + page_token[place + 1 :]
        for place, letter in enumerate(page_token)
    ]
    return [*changed, page_token[:-1], page_token[1:], page_token + "A", page_token + "=", page_token.replace(".", "")]


def test_an_altered_page_token_is_400(filled: FlaskClient) -> None:
    for page_token in altered(first_token(filled)):
        assert refused(filled.get(LISTING, query_string={"page": page_token})), page_token


def test_a_page_token_of_another_listing_or_direction_is_400(filled: FlaskClient) -> None:
    page_token = first_token(filled)
    assert filled.get(LISTING, query_string={"page": page_token}).status_code == 200
    assert refused(filled.get("/service/storage-backends", query_string={"page": page_token}))
    assert refused(filled.get(LISTING, query_string={"page": page_token, "reverse_order": "true"}))


def test_a_page_token_of_another_service_is_400(filled: FlaskClient, settings: Settings) -> None:
    page_token = first_token(filled)
    for app in serving(replace(settings, secret_key="another key of thirty-two bytes.")):
        assert refused(app.test_client().get(LISTING, query_string={"page": page_token}))


class TestTokensOfTheFirstRelease:
    """Page tokens in the form of release 0.1.0, which are accepted for one more release."""

    @pytest.fixture
    def old_token(self, filled: FlaskClient) -> str:
        cursor = urlsafe_b64decode(first_token(filled).partition(".")[0] + "==")
        key = hmac.digest(KEY.encode(), b"page keys", "sha256")
        bound = b"\x00".join((LISTING.encode(), b"profiles", b"+", cursor))
        return urlsafe_b64encode(hmac.digest(key, bound, "sha256")[:16] + cursor).rstrip(b"=").decode()

    def test_an_old_token_leads_to_its_page(self, filled: FlaskClient, old_token: str) -> None:
        assert "." not in old_token
        page = filled.get(LISTING, query_string={"page": old_token, "limit": 2})
        assert labels(page) == ["p1", "p2"]
        assert labels(filled.get(next_of(page))) == ["p3", "p4"]

    def test_an_altered_old_token_is_400(self, filled: FlaskClient, old_token: str) -> None:
        for page_token in altered(old_token)[:-1]:
            assert refused(filled.get(LISTING, query_string={"page": page_token})), page_token

    def test_an_old_token_is_valid_only_for_its_listing_and_direction(
        self, filled: FlaskClient, old_token: str
    ) -> None:
        assert refused(filled.get("/service/storage-backends", query_string={"page": old_token}))
        assert refused(filled.get(LISTING, query_string={"page": old_token, "reverse_order": "true"}))


@pytest.fixture
def published(settings: Settings) -> Iterator[FlaskClient]:
    for app in serving(replace(settings, public_url="https://media.example.com/tams")):
        yield app.test_client()


def test_links_begin_with_the_public_url_where_it_is_set(published: FlaskClient) -> None:
    for _ in range(2):
        sent = profile()
        published.post(f"{LISTING}/{sent['id']}", json=sent)
    assert next_of(published.get(f"{LISTING}?limit=1")).startswith(f"https://media.example.com/tams{LISTING}?")

"""Listings with long filters: `Link` stays short, and leads to every item."""

from __future__ import annotations

import random
import re
import string
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tams.api.carried_query import LONGEST_PLAIN_QUERY
from tests.support.api_steps import make_flow

NGINX_BUFFER = 4096
"""Bytes of nginx's default buffer for the headers of a response."""

LABELS = ("é𝄞漢字" * 84 + "x" * 16, "%&=+,;:~" * 128, "".join(random.Random(7).choices(string.printable[:94], k=1024)))


def next_of(answer: TestResponse) -> str:
    match = re.fullmatch(r'<([^<>,; ]+)>; rel="next"', answer.headers["Link"])
    assert match is not None
    return match[1]


def ids_by_link(client: FlaskClient, target: str) -> list[str]:
    """Return the ids of a listing, one per page, and check each page's headers."""
    answer = client.get(target)
    ids: list[str] = []
    while True:
        assert answer.status_code == 200, answer.text
        assert answer.json is not None
        assert len(answer.json) == 1
        ids += [item["id"] for item in answer.json]
        if "Link" not in answer.headers:
            return ids
        assert len(str(answer.headers)) < NGINX_BUFFER
        answer = client.get(next_of(answer))


def ids_by_key(client: FlaskClient, target: str) -> list[str]:
    """Return the ids of a listing by the same query with another `page`, as clients do that do not read `Link`."""
    answer = client.get(target)
    ids = [item["id"] for item in answer.get_json()]
    while "X-Paging-NextKey" in answer.headers:
        answer = client.get(f"{target}&page={answer.headers['X-Paging-NextKey']}")
        ids += [item["id"] for item in answer.get_json()]
    return ids


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("direction", ["", "&reverse_order=true"])
def test_a_long_label_fits_the_buffers_of_a_proxy(client: FlaskClient, label: str, direction: str) -> None:
    labelled = {make_flow(client, label=label) for _ in range(3)}
    make_flow(client, label="another")
    target = f"/flows?limit=1{direction}&label={quote(label, safe='')}"
    assert len(label.encode()) == 1024
    followed = ids_by_link(client, target)
    assert set(followed) == labelled
    assert ids_by_key(client, target) == followed


@pytest.mark.parametrize("separator", [",", "%2C"])
def test_many_ids_fit_the_buffers_of_a_proxy(client: FlaskClient, separator: str) -> None:
    members = [make_flow(client) for _ in range(3)]
    collection = make_flow(client, flow_collection=[{"id": member, "role": "part"} for member in members])
    make_flow(client)
    ids = separator.join([*(str(uuid4()) for _ in range(90)), collection])
    followed = ids_by_link(client, f"/flows?limit=1&collected_by_ids={ids}")
    assert sorted(followed) == sorted(members)


def test_repeated_tag_filters_are_carried(client: FlaskClient) -> None:
    tags = {"a": ["1" * 600, "2" * 600]}
    tagged = {make_flow(client, tags=tags) for _ in range(2)}
    make_flow(client, tags={"a": ["1" * 600]})
    target = "/flows?" + urlencode({"limit": 1, "tag.a": "1" * 600}) + "&" + urlencode({"tag.a": "2" * 600})
    assert set(ids_by_link(client, target)) == tagged


@pytest.fixture
def packed(client: FlaskClient) -> str:
    """Return the URL of the second page of Flows with a long label; the store has three of them."""
    for _ in range(3):
        make_flow(client, label="l" * 1024)
    answer = client.get("/flows", query_string={"limit": 1, "label": "l" * 1024})
    return next_of(answer)


def test_only_a_long_query_is_packed(client: FlaskClient, packed: str) -> None:
    assert [name for name, _ in parse_qsl(urlsplit(packed).query)] == ["page"]
    label = "l" * (LONGEST_PLAIN_QUERY - len("limit=1&label="))
    for _ in range(2):
        make_flow(client, label=label)
    plain = next_of(client.get("/flows", query_string={"limit": 1, "label": label}))
    assert [name for name, _ in parse_qsl(urlsplit(plain).query)] == ["limit", "label", "page"]


def test_a_client_may_add_its_parameters_to_a_packed_link(client: FlaskClient, packed: str) -> None:
    answer = client.get(f"{packed}&limit=2&label={'l' * 1024}")
    assert len(answer.get_json()) == 2
    assert client.get(f"{packed}&label=other").get_json() == []


def test_an_altered_packed_token_is_400(client: FlaskClient, packed: str) -> None:
    for place in range(packed.index("page=") + 5, len(packed)):
        altered = packed[:place] + ("A" if packed[place] != "A" else "B") + packed[place + 1 :]
        answer = client.get(altered)
        assert (answer.status_code, list(answer.get_json()["errors"])) == (400, ["page"]), place


def test_a_packed_token_is_valid_only_for_its_listing(client: FlaskClient, packed: str) -> None:
    query = urlsplit(packed).query
    assert client.get(f"/sources?{query}").status_code == 400
    assert client.get(f"/service?{query}").status_code == 200

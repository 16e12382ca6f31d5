"""`GET /flows`: every filter, every order, and pages while Flows are added and deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from flask.testing import FlaskClient

from tams.domain.identifiers import new_id
from tests.support.api_steps import make_flow, record
from tests.support.flow_documents import audio, data, image, multi, put, put_profile, video


def _ids(client: FlaskClient, query: str = "") -> list[str]:
    answer = client.get(f"/flows?{query}")
    assert answer.status_code == 200, answer.text
    return [flow["id"] for flow in answer.json]


def test_flows_are_listed_as_they_are_shown(client: FlaskClient) -> None:
    flow_id = put(client, video(label="a"))
    answer = client.get("/flows")
    assert answer.json == [client.get(f"/flows/{flow_id}").json]
    assert answer.headers["X-Paging-Count"] == "1"
    assert answer.headers["X-Paging-Limit"] == "100"
    assert answer.headers["X-Paging-Reverse-Order"] == "false"
    assert not {"Link", "X-Paging-NextKey"} & set(answer.headers.keys())
    head = client.head("/flows")
    assert (head.status_code, head.data, head.headers["X-Paging-Count"]) == (200, b"", "1")


def test_every_filter(client: FlaskClient) -> None:
    source_id = new_id()
    picture = put(
        client,
        video(
            source_id=source_id,
            label="Camera 1",
            status="ingesting",
            tags={"quality": "web", "where": ["left", "top"], "a/b?=&,": "x y"},
        ),
    )
    profile_id = put_profile(client)
    profiled = new_id()
    put(client, {"id": profiled, "source_id": source_id, "profile_id": profile_id})
    sound = put(client, audio(label="Camera", tags={"quality": ["full"]}))
    still = put(client, image())
    text = put(client, data(essence_parameters={"init_segments": True}, codec="application/ttml+xml"))
    group = put(client, multi(picture))
    everything = [group, text, still, sound, profiled, picture]
    for query, expected in [
        ("", everything),
        ("timerange=_", everything),
        ("unheard_of=1", everything),
        (f"source_id={source_id}", [profiled, picture]),
        (f"source_id={new_id()}", []),
        ("format=urn:x-nmos:format:audio", [sound]),
        ("format=urn%3Ax-tam%3Aformat%3Aimage", [still]),
        ("codec=video/h264", [profiled, picture]),
        ("codec=application/ttml%2Bxml", [text]),
        (f"profile_id={profile_id}", [profiled]),
        ("label=Camera", [sound]),
        ("label=camera", []),
        ("status=ingesting", [picture]),
        ("frame_width=1920", [picture]),
        ("frame_height=720", [profiled]),
        # An image has a frame_width as well.
        ("frame_width=320", []),
        ("frame_width=1920&frame_height=720", []),
        ("init_segments=true", [text]),
        ("init_segments=False", [group, still, sound, profiled, picture]),
        ("tag.quality=web", [picture]),
        ("tag.quality=web,full", [sound, picture]),
        ("tag.quality=web%2Cfull", [sound, picture]),
        ("tag.quality=we", []),
        ("tag.quality=", []),
        ("tag.where=top", [picture]),
        ("tag.where=left,nowhere&tag.quality=web", [picture]),
        ("tag.where=left&tag.quality=full", []),
        ("tag.where=left&tag.where=top", [picture]),
        (f"tag.{quote('a/b?=&,', safe='')}=x%20y", [picture]),
        ("tag_exists.quality=true", [sound, picture]),
        ("tag_exists.quality=FALSE", [group, text, still, profiled]),
        ("tag_exists.quality=true&tag_exists.where=false", [sound]),
        (f"collected_by_ids={group}", [picture]),
        (f"collected_by_ids={group}&codec=audio/aac", []),
        ("collected_by_ids=", [group, text, still, sound, profiled]),
    ]:
        assert _ids(client, query) == expected, query


def test_a_flow_is_not_found_by_the_profile_of_an_earlier_link(client: FlaskClient) -> None:
    profile_id, document = put_profile(client), video()
    put(client, {"id": document["id"], "source_id": document["source_id"], "profile_id": profile_id})
    assert _ids(client, f"profile_id={profile_id}") == [document["id"]]
    put(client, {**document, "profile_id": ""})
    assert _ids(client, f"profile_id={profile_id}") == []


def test_flows_are_found_by_the_time_of_their_segments(client: FlaskClient) -> None:
    gap, late, empty = make_flow(client), make_flow(client), make_flow(client)
    record(client, gap, 1)
    record(client, gap, 1, start=5)
    record(client, late, 1, start=100)
    for timerange, expected in [
        ("_", [empty, late, gap]),
        ("[0:0_1:0)", [gap]),
        ("[2:0_4:0)", []),
        ("[1:0_5:0)", []),
        ("[1:0_5:0]", [gap]),
        ("(0:999999999_2:0)", []),
        ("[0:999999999]", [gap]),
        ("_0:0]", [gap]),
        ("[5:500000000_", [late, gap]),
        ("[0:0_99999999999999999999:0)", [late, gap]),
        ("()", [empty]),
        ("", [empty]),
        ("[5:0_1:0)", [empty]),
    ]:
        assert _ids(client, f"timerange={timerange}") == expected, timerange
        assert _ids(client, f"timerange={quote(timerange, safe='')}") == expected, timerange


@pytest.mark.parametrize(
    "query",
    [
        "source_id=x",
        "timerange=now",
        "timerange=[00:0_1:0)",
        "format=video",
        "codec=h264",
        "profile_id=",
        "sort_by=updated",
        "reverse_order=yes",
        "status=done",
        "frame_width=wide",
        "frame_height=1.5",
        "init_segments=1",
        "collected_by_ids=x",
        "tag.a=b,,c",
        "tag_exists.a=",
        "limit=0",
        "limit=ten",
        "page=x",
    ],
)
def test_a_bad_filter_is_400_and_names_the_parameter(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/flows?{query}")
    assert answer.status_code == 400
    assert list(answer.json["errors"]) == [query.split("=", maxsplit=1)[0]]
    assert client.head(f"/flows?{query}").status_code == 400


def test_every_order(client: FlaskClient) -> None:
    upper, lower, accent, none = (
        put(client, data(label=label) if label else data()) for label in ("B", "a", "é", None)
    )
    assert client.put(f"/flows/{lower}/max_bit_rate", json=1).status_code == 204
    for query, expected in [
        ("", [none, accent, lower, upper]),
        ("sort_by=created", [none, accent, lower, upper]),
        ("reverse_order=true", [upper, lower, accent, none]),
        ("sort_by=metadata_updated", [lower, none, accent, upper]),
        ("sort_by=metadata_updated&reverse_order=TRUE", [upper, accent, none, lower]),
        ("sort_by=label", [upper, lower, accent, none]),
        ("sort_by=label&reverse_order=true", [none, accent, lower, upper]),
    ]:
        answer = client.get(f"/flows?{query}")
        assert [flow["id"] for flow in answer.json] == expected, query
        assert answer.headers["X-Paging-Reverse-Order"] == ("true" if "reverse" in query else "false")


def test_flows_without_a_label_are_in_order_of_their_ids(client: FlaskClient) -> None:
    ids = sorted(put(client, data()) for _ in range(4))
    assert _ids(client, "sort_by=label") == ids
    assert _ids(client, "sort_by=label&reverse_order=true") == ids[::-1]


def _walk(client: FlaskClient, query: str, between: Callable[[int], Any] = lambda page: None) -> list[str]:
    """Return all ids, page after page along `Link`; call `between` after each page except the last."""
    url, flow_ids, pages = f"/flows?{query}", [], 0
    while True:
        answer = client.get(url)
        assert answer.status_code == 200, answer.text
        page = [flow["id"] for flow in answer.json]
        assert answer.headers["X-Paging-Count"] == str(len(page))
        flow_ids += page
        link = answer.headers.get("Link")
        if link is None:
            return flow_ids
        assert link.startswith("<http://localhost/flows?")
        assert link.endswith('>; rel="next"')
        url = link[1 : link.index(">")]
        assert parse_qs(urlsplit(url).query)["page"] == [answer.headers["X-Paging-NextKey"]]
        between(pages)
        pages += 1


@pytest.mark.parametrize("order", ["created", "metadata_updated", "label"])
@pytest.mark.parametrize("reverse", ["false", "true"])
def test_pages_join_up_in_every_order(client: FlaskClient, order: str, reverse: str) -> None:
    for index in range(7):
        put(client, data(label=f"{index % 3}", tags={"even": "yes" if index % 2 else "no"}))
    query = f"sort_by={order}&reverse_order={reverse}"
    whole = _ids(client, query)
    assert len(whole) == 7
    for limit in (1, 3, 7, 100):
        assert _walk(client, f"{query}&limit={limit}") == whole
    assert _walk(client, f"{query}&limit=1&tag.even=no") == _ids(client, f"{query}&tag.even=no")


def test_pages_are_stable_while_flows_come_and_go(client: FlaskClient) -> None:
    ids = [put(client, data(label=f"{index:02}")) for index in range(12)]
    going = [ids[1], ids[4], ids[7], ids[9]]

    def disturb(page: int) -> None:
        if page < len(going):
            assert client.delete(f"/flows/{going[page]}").status_code == 204
        put(client, data(label=f"00 before all that is left, {page}"))
        put(client, data(label=f"{page + 3:02} between"))

    flow_ids = _walk(client, "sort_by=label&limit=2", disturb)
    assert len(flow_ids) == len(set(flow_ids))
    assert [flow_id for flow_id in flow_ids if flow_id in ids and flow_id not in going] == [
        flow_id for flow_id in ids if flow_id not in going
    ]


def test_a_page_token_is_valid_only_for_its_listing(client: FlaskClient) -> None:
    for _ in range(3):
        put(client, data())
    key = client.get("/flows?limit=1").headers["X-Paging-NextKey"]
    assert client.get(f"/flows?limit=1&page={key}").status_code == 200
    for url in (
        f"/flows?limit=1&sort_by=label&page={key}",
        f"/flows?limit=1&reverse_order=true&page={key}",
        f"/sources?limit=1&page={key}",
        f"/flows?limit=1&page={key}x",
        "/flows?limit=1&page=",
    ):
        answer = client.get(url)
        assert answer.status_code == 400
        assert list(answer.json["errors"]) == ["page"]


def test_a_large_limit_is_clamped(client: FlaskClient) -> None:
    put(client, data())
    answer = client.get("/flows?limit=99999999999999999999")
    assert (answer.status_code, answer.headers["X-Paging-Limit"]) == (200, "1000")

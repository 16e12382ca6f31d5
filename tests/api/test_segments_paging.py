"""Reading the Segments of a Flow page by page while others are added and deleted."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.api_steps import SECOND, allocate, make_flow, record, register


def walk(
    client: FlaskClient, path: str, between: Callable[[int], None] = lambda _: None
) -> tuple[list[str], list[dict[str, str]]]:
    """Follow `Link`; return the timeranges of all pages, and each page's headers. `between` runs after each page."""
    timeranges: list[str] = []
    headers: list[dict[str, str]] = []
    url: str | None = path
    while url is not None:
        answer = client.get(url)
        assert answer.status_code == 200, answer.text
        page: list[Any] = answer.json
        assert int(answer.headers["X-Paging-Count"]) == len(page)
        timeranges += [segment["timerange"] for segment in page]
        headers.append(dict(answer.headers))
        link = answer.headers.get("Link")
        assert (link is None) == ("X-Paging-NextKey" not in answer.headers)
        url = None if link is None else link.removeprefix("<http://localhost").removesuffix('>; rel="next"')
        assert len(headers) < 1000
        between(len(headers))
    return timeranges, headers


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 10, 11, 1000])
@pytest.mark.parametrize("reverse", [False, True])
def test_every_segment_is_seen_once_in_order(client: FlaskClient, limit: int, reverse: bool) -> None:
    flow_id = make_flow(client)
    record(client, flow_id, 10)
    query = f"?limit={limit}&accept_get_urls=" + ("&reverse_order=true" if reverse else "")
    timeranges, headers = walk(client, f"/flows/{flow_id}/segments{query}")
    expected = [SECOND.format(n, n + 1) for n in range(10)]
    assert timeranges == (expected[::-1] if reverse else expected)
    # Only the last page may be short, and none is empty.
    counts = [int(page["X-Paging-Count"]) for page in headers]
    assert all(count == limit for count in counts[:-1])
    assert 1 <= counts[-1] <= limit


def test_filters_come_before_paging_and_are_carried_on(client: FlaskClient) -> None:
    flow_id = make_flow(client)
    object_id, other = allocate(client, flow_id, 2)
    for n in range(10):
        register(client, flow_id, object_id if n % 3 == 0 else other, SECOND.format(n, n + 1), ts_offset=f"{n}:0")
    path = f"/flows/{flow_id}/segments?limit=1&object_id={object_id}&timerange=[1:0_9:500000000)&accept_get_urls="
    timeranges, headers = walk(client, path)
    assert timeranges == [SECOND.format(n, n + 1) for n in (3, 6, 9)]
    assert [page["X-Paging-Count"] for page in headers] == ["1", "1", "1"]
    assert [page["X-Paging-Timerange"] for page in headers] == timeranges


def test_a_large_limit_is_clamped_and_reported(client: FlaskClient) -> None:
    flow_id = make_flow(client)
    answer = client.get(f"/flows/{flow_id}/segments?limit=99999999999999999999999")
    assert (answer.status_code, answer.headers["X-Paging-Limit"]) == (200, "1000")
    assert client.get(f"/flows/{flow_id}/segments").headers["X-Paging-Limit"] == "100"


def test_a_page_token_of_another_flow_or_direction_is_refused(client: FlaskClient) -> None:
    first, second = make_flow(client), make_flow(client)
    record(client, first, 3)
    record(client, second, 3)
    page_token = client.get(f"/flows/{first}/segments?limit=1").headers["X-Paging-NextKey"]
    assert client.get(f"/flows/{first}/segments?limit=2&page={page_token}").status_code == 200
    for wrong in (f"{second}/segments?page={page_token}", f"{first}/segments?reverse_order=true&page={page_token}"):
        answer = client.get(f"/flows/{wrong}")
        assert answer.status_code == 400
        assert list(answer.json["errors"]) == ["page"]


@pytest.mark.parametrize("reverse", [False, True])
def test_a_walk_is_not_disturbed_by_changes(client: FlaskClient, reverse: bool) -> None:
    """Segments that exist throughout are listed exactly once, in order, whatever is added or removed meanwhile."""
    flow_id = make_flow(client)
    random = Random(7)
    steady = list(range(0, 60, 3))
    for n in steady:
        register(client, flow_id, allocate(client, flow_id)[0], SECOND.format(n, n + 1))
    volatile: set[int] = set()

    def disturb(_: int) -> None:
        for n in random.sample([n for n in range(60) if n % 3], 6):
            if n in volatile:
                query = {"timerange": SECOND.format(n, n + 1)}
                assert client.delete(f"/flows/{flow_id}/segments", query_string=query).status_code == 204
                volatile.discard(n)
            else:
                register(client, flow_id, allocate(client, flow_id)[0], SECOND.format(n, n + 1))
                volatile.add(n)

    disturb(0)
    query = "?limit=4&accept_get_urls=" + ("&reverse_order=true" if reverse else "")
    timeranges, _ = walk(client, f"/flows/{flow_id}/segments{query}", disturb)
    starts = [int(timerange[1:].partition(":")[0]) for timerange in timeranges]
    assert starts == sorted(set(starts), reverse=reverse)
    assert [n for n in starts if n % 3 == 0] == (steady[::-1] if reverse else steady)


def test_a_walk_continues_after_the_last_segment_of_a_page_is_deleted(client: FlaskClient) -> None:
    flow_id = make_flow(client)
    record(client, flow_id, 6)

    def remove(page: int) -> None:
        if page == 1:
            answer = client.delete(f"/flows/{flow_id}/segments", query_string={"timerange": "[1:0_4:0)"})
            assert answer.status_code == 204

    timeranges, _ = walk(client, f"/flows/{flow_id}/segments?limit=2&accept_get_urls=", remove)
    assert timeranges == [SECOND.format(n, n + 1) for n in (0, 1, 4, 5)]

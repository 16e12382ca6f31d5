"""Long requests to a real server: what was accepted once has a `Link` that is accepted, too."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

from tests.support.http_client import WAVE, Client
from tests.support.servers import TamsStore

pytestmark = pytest.mark.e2e

LONGEST_LINE = 8190
_LITERAL = "".join(sorted(set(string.printable[:94]) - set('#&%+="<>\\^`{|}')))


def noise(length: int) -> str:
    """Return text that hardly compresses."""
    return "".join(random.Random(1).choices(_LITERAL, k=length))


def target_of(filters: str, *, up_to: int = 0) -> str:
    """Return a target with these filters; `up_to` pads it to a request line of so many bytes."""
    target = f"/flows?limit=1&{filters}"
    spare = up_to - len(f"GET {target}&unknown= HTTP/1.1")
    return f"{target}&unknown={noise(spare)}" if spare > 0 else target


def flows_by(url: str, target: str, follow: Callable[[httpx.Response], str]) -> list[str]:
    """Return the ids of the Flows on every page."""
    ids: list[str] = []
    with httpx.Client() as http:
        while target:
            answer = http.get(httpx.URL(url, raw_path=target.encode("ascii")))
            assert answer.status_code == 200, answer.text
            ids += [flow["id"] for flow in answer.json()]
            target = follow(answer) if "Link" in answer.headers else ""
    return ids


def by_link(answer: httpx.Response) -> str:
    return httpx.URL(answer.links["next"]["url"]).raw_path.decode("ascii")


@pytest.mark.parametrize("padded", [False, True], ids=["plain", "longest"])
def test_the_next_page_of_an_accepted_request_is_accepted(running: TamsStore, padded: bool) -> None:
    client = Client(running.url)
    members = sorted(client.make_flow(WAVE) for _ in range(3))
    collection = client.make_flow(WAVE, flow_collection=[{"id": member, "role": "part"} for member in members])
    ids = ",".join([*(str(uuid4()) for _ in range(210)), collection])
    first = target_of(f"collected_by_ids={ids}", up_to=LONGEST_LINE if padded else 0)

    def by_key(answer: httpx.Response) -> str:
        return f"{first}&page={answer.headers['X-Paging-NextKey']}"

    assert sorted(flows_by(running.url, first, by_link)) == members
    assert sorted(flows_by(running.url, first, by_key)) == members


def test_the_longest_line_of_noise_is_followed(running: TamsStore) -> None:
    label = quote("é" * 512)
    client = Client(running.url)
    labelled = sorted(client.make_flow(WAVE, label="é" * 512) for _ in range(2))
    first = target_of(f"label={label}", up_to=LONGEST_LINE)
    assert len(f"GET {first} HTTP/1.1") == LONGEST_LINE
    assert sorted(flows_by(running.url, first, by_link)) == labelled


@pytest.mark.parametrize("extra", ["x=" + "y" * LONGEST_LINE, "page=a&x=" + "y" * LONGEST_LINE, "page=" + "y" * 17000])
def test_a_longer_line_is_refused(running: TamsStore, extra: str) -> None:
    answer = httpx.get(f"{running.url}/flows?{extra}")
    assert (answer.status_code, answer.json()["type"]) == (414, "RequestURITooLarge")

"""Sixteen clients write to one store of several processes: no lock is refused, nothing overlaps, nothing is lost."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.support.databases import engine
from tests.support.http_client import WAVE, Client
from tests.support.servers import TamsStore

pytestmark = [pytest.mark.e2e, pytest.mark.crowd]

WRITERS = 16
ROUNDS = 12
SLOTS = 40


@pytest.fixture(params=[engine("sqlite"), engine("postgresql")])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[TamsStore]:
    """Run a new store on each engine, and check at the end that it logged no error."""
    tams_store = TamsStore(tmp_path, TAMS_DATABASE_URL=request.getfixturevalue(f"new_{request.param}")())
    tams_store.start()
    yield tams_store
    tams_store.stop()
    assert tams_store.errors() == []


def writer(url: str, flow_id: str, number: int) -> Counter[int]:
    """Register random seconds, add tags to the same Flow, and create another Flow; return the count of each status."""
    chance = random.Random(number)
    answers: Counter[int] = Counter()
    with httpx.Client(base_url=url, timeout=60) as client:
        for turn in range(ROUNDS):
            allocated = client.post(f"/flows/{flow_id}/storage", json={"limit": 1})
            answers[allocated.status_code] += 1
            start = chance.randrange(SLOTS)
            segment = {
                "object_id": allocated.json()["media_objects"][0]["object_id"],
                "timerange": f"[{start}:0_{start + chance.randint(1, 3)}:0)",
            }
            answers[client.post(f"/flows/{flow_id}/segments", json=segment).status_code] += 1
            answers[client.put(f"/flows/{flow_id}/tags/writer {number} {turn}", json="was here").status_code] += 1
        new_flow_id = str(uuid4())
        document = {"id": new_flow_id, "source_id": str(uuid4()), **WAVE}
        answers[client.put(f"/flows/{new_flow_id}", json=document).status_code] += 1
    return answers


def test_sixteen_writers_lose_nothing_and_meet_no_lock(store: TamsStore) -> None:
    client = Client(store.url)
    flow_id = client.make_flow(WAVE)
    with ThreadPoolExecutor(WRITERS) as writers:
        counters = list(writers.map(lambda number: writer(store.url, flow_id, number), range(WRITERS)))
    answers: Counter[int] = sum(counters, Counter())
    segments = client.get(f"/flows/{flow_id}/segments?accept_get_urls=&limit=1000")
    stored = sorted(
        tuple(int(mark.split(":")[0]) for mark in segment["timerange"].strip("[)").split("_")) for segment in segments
    )

    # Storage and Flows get 201, tags 204; a Segment gets 201, or 400 if it overlaps another.
    assert set(answers) <= {201, 204, 400}
    assert answers[204] == WRITERS * ROUNDS
    assert answers[201] == WRITERS * ROUNDS + WRITERS + len(stored)
    assert all(end <= start for (_, end), (start, _) in pairwise(stored))
    assert len(client.get(f"/flows/{flow_id}/tags")) == WRITERS * ROUNDS
    assert len(client.get("/flows?limit=1000")) == WRITERS + 1

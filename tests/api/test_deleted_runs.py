"""Random deletions, by requests and by the worker, have the events of a model (`flows/segments_deleted`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby

import hypothesis
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tams.config import Settings
from tams.domain.identifiers import new_id
from tams.domain.segments import Segment
from tams.services.deletion import delete_requests
from tams.services.store import Store
from tests.support.api_steps import SECOND, make_flow
from tests.support.hypothesis_profiles import examples
from tests.support.outbox_events import listen, new_events, stored


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Let requests delete at most four Segments themselves."""
    return replace(settings, delete_inline_limit=4)


@pytest.fixture(autouse=True)
def _webhook(store: Store) -> None:
    listen(store)


def runs_of(before: list[Segment], after: list[Segment]) -> list[str]:
    """Return the timeranges of the runs of deleted Segments: no remaining Segment stands between two of one run."""
    remaining = set(after)
    runs = []
    for deleted, group in groupby(before, key=lambda segment: segment not in remaining):
        run = list(group)
        if deleted:
            runs.append(str(replace(run[0].timerange, end=run[-1].end, closed=run[-1].closed)))
    return runs


TIME = st.integers(0, 30)
STEP = st.one_of(
    st.tuples(st.just("add"), TIME, st.integers(1, 4)),
    st.tuples(st.just("delete"), TIME, st.integers(0, 12)),
    st.tuples(st.just("delete of object"), TIME, st.integers(0, 30)),
    st.tuples(st.just("batch"), st.integers(1, 3), st.just(0)),
)


@hypothesis.settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(st.tuples(TIME, st.integers(1, 2)), min_size=6, max_size=16), st.lists(STEP, min_size=1, max_size=12))
def test_a_run_has_deleted_segments_at_both_ends_and_no_survivor_inside(
    client: FlaskClient, store: Store, segments: list[tuple[int, int]], steps: list[tuple[str, int, int]]
) -> None:
    flow_id = make_flow(client)
    objects = [new_id() for _ in range(3)]
    waiting: list[str] = []

    def add(start: int, length: int) -> None:
        body = {
            "object_id": objects[start % 3],
            "timerange": SECOND.format(start, start + length),
            "ts_offset": f"{start}:0",
            "object_timerange": "[0:0_10:0)",
            "get_urls": [{"url": "https://example.com/", "label": "away"}],
        }
        assert client.post(f"/flows/{flow_id}/segments", json=body).status_code in (201, 400)

    def step(kind: str, first: int, second: int) -> Iterator[None]:
        if kind == "add":
            add(first, second)
        elif kind == "batch":
            while waiting and not delete_requests.advance(store, waiting[0], first):
                waiting.pop(0)
                yield
        else:
            of_object = f"&object_id={objects[first % 3]}" if kind == "delete of object" else ""
            timerange = SECOND.format(first, first + second)
            response = client.delete(f"/flows/{flow_id}/segments?timerange={timerange}{of_object}")
            assert response.status_code in (202, 204)
            if response.status_code == 202:
                waiting.append(response.json["id"])
        yield

    for start, length in segments:
        add(start, length)
    new_events(store)
    before = stored(store, flow_id)
    for kind, first, second in steps:
        for _ in step(kind, first, second):
            after = stored(store, flow_id)
            events = [event for event in new_events(store) if event.type != "flows/segments_added"]
            assert [event.body["timerange"] for event in events] == runs_of(before, after)
            before = after

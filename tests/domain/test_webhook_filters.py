"""Events that a webhook selects, given the collections at the time of the change."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tams.domain.events import Event, EventType
from tams.domain.webhooks import EVENT_TYPES, Webhook

ALL: list[EventType] = list(EVENT_TYPES)  # type: ignore[arg-type]
OF_FLOWS = [kind for kind in ALL if kind.startswith("flows/")]
OF_SOURCES = [kind for kind in ALL if kind.startswith("sources/")]


def wants(event: Event, **filters: Any) -> bool:
    """Return True if a webhook with these filters selects the event."""
    document = {"url": "https://example.com", "events": ALL, **filters}
    return Webhook("w", document, "started", None, "owner", "http://store").selects(event)


def of_flow(kind: EventType = "flows/updated", by: tuple[str, ...] = (), source_by: tuple[str, ...] = ()) -> Event:
    """Return an event of the Flow `f` of the Source `s`."""
    return Event("e", kind, 1, 0, "s", "f", by, source_by)


def of_source(kind: EventType = "sources/updated", by: tuple[str, ...] = ()) -> Event:
    """Return an event of the Source `s`."""
    return Event("e", kind, 1, 0, "s", source_collected_by=by)


def test_there_are_eight_kinds() -> None:
    assert len(ALL) == 8


@pytest.mark.parametrize("kind", ALL)
def test_only_the_kinds_that_are_listed(kind: EventType) -> None:
    event = of_flow(kind) if kind in OF_FLOWS else of_source(kind)
    assert wants(event)
    assert wants(event, events=[kind])
    assert not wants(event, events=[other for other in ALL if other != kind])
    assert not wants(event, events=[])


@pytest.mark.parametrize("kind", OF_FLOWS)
def test_flow_ids_limit_events_of_flows_and_segments(kind: EventType) -> None:
    assert wants(of_flow(kind), flow_ids=["x", "f"])
    assert not wants(of_flow(kind), flow_ids=["x"])
    assert not wants(of_flow(kind), flow_ids=[])


@pytest.mark.parametrize("kind", OF_SOURCES)
def test_flow_ids_and_collections_of_flows_say_nothing_about_sources(kind: EventType) -> None:
    assert wants(of_source(kind), flow_ids=["x"])
    assert wants(of_source(kind), flow_collected_by_ids=["x"])
    assert wants(of_source(kind), flow_collected_by_ids=[])


@pytest.mark.parametrize("event", [of_flow(kind) for kind in OF_FLOWS] + [of_source(kind) for kind in OF_SOURCES])
def test_source_ids_limit_everything(event: Event) -> None:
    assert wants(event, source_ids=["x", "s"])
    assert not wants(event, source_ids=["x"])


def test_collections_of_flows() -> None:
    assert wants(of_flow(by=("c", "d")), flow_collected_by_ids=["x", "d"])
    assert not wants(of_flow(by=("c",)), flow_collected_by_ids=["x"])
    assert not wants(of_flow(), flow_collected_by_ids=["x"])
    assert wants(of_flow(), flow_collected_by_ids=[])
    assert not wants(of_flow(by=("c",)), flow_collected_by_ids=[])
    assert wants(of_flow(source_by=("c",)), flow_collected_by_ids=[])


@pytest.mark.parametrize("make", [lambda by: of_flow(source_by=by), lambda by: of_source(by=by)])
def test_collections_of_sources(make: Any) -> None:
    assert wants(make(("c", "d")), source_collected_by_ids=["x", "d"])
    assert not wants(make(("c",)), source_collected_by_ids=["x"])
    assert wants(make(()), source_collected_by_ids=[])
    assert not wants(make(("c",)), source_collected_by_ids=[])


IDS = st.lists(st.sampled_from("abc"), max_size=2).map(tuple)
CHOICE = st.none() | st.lists(st.sampled_from("abc"), max_size=2)
NAMES = ("flow_ids", "source_ids", "flow_collected_by_ids", "source_collected_by_ids")


@given(IDS, IDS, st.tuples(CHOICE, CHOICE, CHOICE, CHOICE))
def test_several_filters_all_have_to_hold(by: tuple[str, ...], source_by: tuple[str, ...], chosen: Any) -> None:
    event = Event("e", "flows/updated", 1, 0, "a", "b", by, source_by)
    filters = {name: value for name, value in zip(NAMES, chosen, strict=True) if value is not None}
    assert wants(event, **filters) is all(wants(event, **{name: value}) for name, value in filters.items())

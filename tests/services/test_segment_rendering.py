"""Text of Segments that is written for speed equals what orjson writes of the plain twin."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tams.config import Settings
from tams.domain.access import EVERYTHING
from tams.domain.get_urls import UrlFilter
from tams.domain.objects import Instance
from tams.domain.segments import Segment
from tams.domain.timerange import MAX_NS, MIN_NS, TimeRange
from tams.repository.sql import SqlRepository
from tams.services.rendering.fast_segments import json_array, segment_texts
from tams.services.rendering.get_urls import UrlPlan
from tams.services.rendering.segments import segment_json
from tams.services.store import Store
from tams.storage.factory import open_storages

instants = st.integers(MIN_NS, MAX_NS) | st.integers(-3, 3).map(lambda second: second * 1_000_000_000)
ids = (
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
    | st.text('",\\', min_size=1, max_size=6)
    | st.sampled_from(["new\nline", "\x7f\x1f", "é/😀", "one", "two"])
)
counts = st.none() | st.integers(MIN_NS, MAX_NS) | st.integers(0, 2)


@st.composite
def spans(draw: st.DrawFn, earliest: int = MIN_NS) -> tuple[int, int]:
    start = draw(instants.filter(lambda instant: earliest <= instant < MAX_NS))
    return start, min(MAX_NS, start + draw(st.integers(1, 10_000_000_000) | st.just(1)))


@st.composite
def pages(draw: st.DrawFn) -> list[Segment]:
    """Draw Segments with any properties; some begin where the one before ends."""
    page: list[Segment] = []
    for _ in range(draw(st.integers(0, 5))):
        start, end = draw(spans())
        if page and page[-1].end < MAX_NS and draw(st.booleans()):
            start = page[-1].end
            end = draw(st.integers(start + 1, min(MAX_NS, start + 2_000_000_000)))
        page.append(
            Segment(
                start,
                end,
                draw(st.booleans()),
                draw(ids),
                draw(counts),
                draw(counts),
                draw(counts),
                draw(counts),
                *draw(spans()),
                draw(st.booleans()),
                draw(counts),
                draw(st.none() | ids),
                draw(st.integers(0, MAX_NS)),
            )
        )
    return page


uncontrolled = st.builds(
    lambda url, label: Instance(url=url, label=label),
    url=st.sampled_from(['https://u"ser:pass\\word@example.com/é', "http://example.com/a?b=c&d=e"]),
    label=ids,
)
controlled = st.builds(
    lambda key, ready: Instance(storage_id="stored", storage_key=key, ready=ready),
    key=st.sampled_from(["1/abc", "2/def"]),
    ready=st.booleans(),
)
several_instances = st.lists(uncontrolled | controlled, max_size=3).map(tuple)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store_settings = Settings.from_env({"ENVIRONMENT": "development"}, data_dir=tmp_path_factory.mktemp("data"))
    store_settings.prepare_data_dir()
    (storage,) = open_storages(store_settings).values()
    return Store(
        SqlRepository(store_settings.database_url),
        {"stored": storage},
        store_settings,
        now=lambda: 1_700_000_000_000_000,
    )


@settings(deadline=None)
@given(
    page=pages(),
    data=st.data(),
    with_urls=st.booleans(),
    presigned=st.sampled_from([None, True, False]),
    verbose=st.booleans(),
    include_object_timerange=st.booleans(),
)
def test_fast_text_equals_its_plain_twin(
    store: Store,
    page: list[Segment],
    data: st.DataObject,
    with_urls: bool,
    presigned: bool | None,
    verbose: bool,
    include_object_timerange: bool,
) -> None:
    url_filter = UrlFilter(labels=None if with_urls else frozenset(), presigned=presigned, verbose=verbose)
    plan = UrlPlan(store, url_filter, "http://127.0.0.1:8000", EVERYTHING)
    named = {segment.object_id for segment in page} | {segment.init_object_id for segment in page} - {None}
    instances = {str(name): data.draw(several_instances) for name in sorted(map(str, named))}

    texts = segment_texts(page, instances, plan, include_object_timerange=include_object_timerange)

    plain = [
        segment_json(segment, instances, plan, include_object_timerange=include_object_timerange) for segment in page
    ]
    assert texts == [orjson.dumps(body).decode() for body in plain]
    assert json_array(texts) == orjson.dumps(plain)


@settings(deadline=None)
@given(bounds=spans(), closed=st.booleans())
@example(bounds=(0, 1), closed=True)
@example(bounds=(-1, 0), closed=False)
@example(bounds=(MIN_NS, MAX_NS), closed=False)
def test_a_segment_without_optional_properties_has_none(store: Store, bounds: tuple[int, int], closed: bool) -> None:
    segment = Segment(*bounds, closed, "one", None, None, None, None, *bounds, closed, None, None, 1)
    plan = UrlPlan(store, UrlFilter(labels=frozenset()), "", EVERYTHING)

    (text,) = segment_texts([segment], {}, plan, include_object_timerange=False)

    assert orjson.loads(text) == {
        "object_id": "one",
        "timerange": str(TimeRange(*bounds, closed)),
        "get_urls": [],
    }

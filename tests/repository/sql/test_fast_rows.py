"""Rows become the values that their plain twins make of them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tams.domain.objects import Instance
from tams.domain.segments import Segment
from tams.repository.sql.fast_rows import instances_by_object, segments_of_rows
from tams.repository.sql.segments import _NAMES

NUMBERS = st.none() | st.integers(0, 9)
TEXTS = st.none() | st.sampled_from("ab")
TRUTHS = st.booleans() | st.integers(0, 1)
SEGMENT_ROWS = st.tuples(
    *(TRUTHS if name.endswith("closed") else TEXTS if name.endswith("object_id") else NUMBERS for name in _NAMES)
)
INSTANCE_ROWS = st.lists(
    st.tuples(st.sampled_from("xy"), st.integers(0, 9), TEXTS, TEXTS, NUMBERS, TEXTS, TEXTS, TRUTHS),
    unique_by=lambda row: row[:2],
)


def plain_segment(row: tuple[Any, ...]) -> Segment:
    fields = dict(zip(_NAMES, row, strict=True))
    return Segment(
        start=fields["start_ns"],
        end=fields["end_ns"],
        closed=bool(fields["closed"]),
        object_id=fields["object_id"],
        ts_offset=fields["ts_offset"],
        last_duration=fields["last_duration"],
        sample_offset=fields["sample_offset"],
        sample_count=fields["sample_count"],
        object_start=fields["object_start"],
        object_end=fields["object_end"],
        object_closed=bool(fields["object_closed"]),
        key_frame_count=fields["key_frame_count"],
        init_object_id=fields["init_object_id"],
        registered=fields["registered"],
    )


def plain_instances(rows: list[tuple[Any, ...]]) -> dict[str, tuple[Instance, ...]]:
    return {
        object_id: tuple(
            Instance(
                storage_id=storage_id,
                storage_key=storage_key,
                put_until=put_until,
                url=url,
                label=label,
                ready=bool(ready),
            )
            for owner, _, storage_id, storage_key, put_until, url, label, ready in sorted(rows, key=lambda row: row[1])
            if owner == object_id
        )
        for object_id in {row[0] for row in rows}
    }


@given(st.lists(SEGMENT_ROWS, max_size=5))
def test_segments_of_rows(rows: list[tuple[Any, ...]]) -> None:
    segments = segments_of_rows(rows)
    assert segments == [plain_segment(row) for row in rows]
    assert all(type(segment) is Segment and type(segment.closed) is bool for segment in segments)


@given(INSTANCE_ROWS)
def test_instances_by_object(rows: list[tuple[Any, ...]]) -> None:
    expected = plain_instances(rows)
    assert instances_by_object(rows) == expected

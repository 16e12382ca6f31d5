"""Media time: parsing, printing and comparing, against integers and against BBC's mediatimestamp as an oracle."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mediatimestamp.immutable import TimeRange as Oracle
from mediatimestamp.immutable import Timestamp

from tams.domain.timerange import (
    ETERNITY,
    MAX_NS,
    MIN_NS,
    NANOSECONDS,
    NEVER,
    TimeRange,
    format_bounded,
    format_timestamp,
    parse_bounded,
    parse_query,
    parse_timestamp,
)

# mediatimestamp holds 48 bits of seconds, more than 64 bits of nanoseconds are.
instants = st.one_of(
    st.integers(-5, 5),
    st.integers(-3 * NANOSECONDS, 3 * NANOSECONDS),
    st.integers(MIN_NS + 2, MAX_NS - 2),
)


@st.composite
def written(draw: st.DrawFn, bound: st.SearchStrategy[int] = instants) -> str:
    """Draw a timerange as a client may write it, sensible or not."""
    start = draw(st.none() | bound)
    end = draw(st.none() | bound)
    opening = draw(st.sampled_from(["", "[", "("]))
    closing = draw(st.sampled_from(["", "]", ")"]))
    left = "" if start is None else format_timestamp(start)
    if draw(st.booleans()):
        return f"{opening}{left}{closing}"
    right = "" if end is None else format_timestamp(end)
    return f"{opening}{left}_{right}{closing}"


@st.composite
def bounded(draw: st.DrawFn) -> TimeRange:
    """Draw a range as Segments have it."""
    start, end = sorted(draw(st.lists(instants, min_size=2, max_size=2, unique=True)))
    return TimeRange(start, end, draw(st.booleans()))


small = st.integers(-6, 6)
small_ranges = st.builds(TimeRange, st.none() | small, st.none() | small, st.booleans())
LINE = range(-8, 9)


def holds(timerange: TimeRange, instant: int) -> bool:
    """Return True if the instant is in the range, by the definition of a half-open pair."""
    return (timerange.start is None or timerange.start <= instant) and (
        timerange.end is None or instant < timerange.end
    )


def to_oracle(timerange: TimeRange) -> Oracle:
    """Return the range as a value of mediatimestamp."""

    def at(nanoseconds: int | None) -> Timestamp | None:
        return None if nanoseconds is None else Timestamp.from_nanosec(nanoseconds)

    if timerange.is_empty:
        return Oracle.never()
    inclusivity = Oracle.INCLUDE_START if timerange.start is not None else Oracle.EXCLUSIVE
    return Oracle(at(timerange.start), at(timerange.end), inclusivity)


# Timestamps


@given(instants)
@example(0)
@example(-1)
@example(-NANOSECONDS)
@example(MIN_NS)
@example(MAX_NS)
def test_a_timestamp_survives_being_written_and_read(nanoseconds: int) -> None:
    assert parse_timestamp(format_timestamp(nanoseconds)) == nanoseconds


@given(instants)
def test_timestamps_mean_what_mediatimestamp_means(nanoseconds: int) -> None:
    text = format_timestamp(nanoseconds)
    assert Timestamp.from_str(text).to_nanosec() == nanoseconds
    assert text == Timestamp.from_nanosec(nanoseconds).to_sec_nsec()


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0:0", 0),
        ("-0:0", 0),
        ("-0:40000000", -40_000_000),
        ("1:40000000", 1_040_000_000),
        ("-1:1", -1_000_000_001),
        ("0:999999999", 999_999_999),
        ("9223372036:854775807", MAX_NS),
        ("-9223372036:854775808", MIN_NS),
    ],
)
def test_the_minus_holds_for_both_parts(text: str, nanoseconds: int) -> None:
    assert parse_timestamp(text) == nanoseconds


@pytest.mark.parametrize(
    "text",
    [
        "", "0", "0:", ":0", "00:0", "01:0", "0:00", "0:01", "+1:0", "1:-0", "1:0 ", " 1:0", "1:0\n", "1.0:0", "1:0.5",
        "0:1000000000", "1:0:0", "-", "--1:0", "1:1e3", "\u0661:0", "0x1:0", "_",
        "9223372036:854775808", "-9223372036:854775809", "1" + "0" * 5000 + ":0",
    ],
)  # fmt: skip
def test_a_malformed_or_unlimited_timestamp_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a timestamp|beyond signed 64-bit"):
        parse_timestamp(text)


# Ranges as Segments have them


@given(bounded())
@example(TimeRange(0, 1, True))
@example(TimeRange(-1, 0, True))
@example(TimeRange(MIN_NS, MAX_NS, False))
@example(TimeRange(MIN_NS, MAX_NS, True))
def test_a_bounded_range_survives_being_written_and_read(timerange: TimeRange) -> None:
    again = parse_bounded(str(timerange))
    assert (again.start, again.end, again.closed) == (timerange.start, timerange.end, timerange.closed)


@given(bounded())
def test_a_page_prints_ranges_as_the_range_itself_does(timerange: TimeRange) -> None:
    assert timerange.start is not None
    assert timerange.end is not None
    assert format_bounded(timerange.start, timerange.end, timerange.closed) == str(timerange)


@given(bounded())
def test_mediatimestamp_reads_what_is_printed_in_the_same_way(timerange: TimeRange) -> None:
    assert timerange.start is not None
    assert timerange.end is not None
    read = Oracle.from_str(str(timerange))
    assert read.start is not None
    assert read.end is not None
    end = read.end.to_nanosec() + (1 if read.includes_end() else 0)
    assert (read.start.to_nanosec(), end, read.includes_start()) == (timerange.start, timerange.end, True)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("[0:0_10:0)", "[0:0_10:0)"),
        ("0:0_10:0)", "[0:0_10:0)"),
        ("[0:0_10:0]", "[0:0_10:0]"),
        ("0:0_10:0", "[0:0_10:0]"),
        ("[2:0]", "[2:0]"),
        ("2:0", "[2:0]"),
        ("[2:0", "[2:0]"),
        ("2:0]", "[2:0]"),
        ("[2:0_2:0]", "[2:0]"),
        ("[0:0_0:1)", "[0:0_0:1)"),
        ("[-1:0_-0:500000000)", "[-1:0_-0:500000000)"),
        ("[-0:0_0:1)", "[0:0_0:1)"),
        ("[-0:1_0:0]", "[-0:1_0:0]"),
    ],
)
def test_a_range_is_printed_with_the_marks_it_was_registered_with(text: str, printed: str) -> None:
    assert str(parse_bounded(text)) == printed


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("(0:0_10:0)", "inclusive"),
        ("(0:0]", "inclusive"),
        ("_", "both ends"),
        ("[0:0_", "both ends"),
        ("_10:0)", "both ends"),
        ("()", "inclusive"),
        ("[]", "both ends"),
        ("", "both ends"),
        ("[1:0_1:0)", "empty"),
        ("[1:0)", "empty"),
        ("[2:0_1:0)", "empty or reversed"),
        ("[2:0_1:0]", "empty or reversed"),
        ("[0:0_9223372036:854775807]", "64-bit"),
        ("[9223372036:854775807]", "64-bit"),
        ("[9223372037:0_9223372038:0)", "64-bit"),
        ("[-9223372037:0_0:0)", "64-bit"),
        ("[0:0_1" + "0" * 5000 + ":0)", "64-bit"),
        ("[0:0-10:0)", "expected a timerange"),
        ("[0:0_10:0) ", "expected a timerange"),
        ("[00:0_10:0)", "expected a timerange"),
        ("[+0:0_10:0)", "expected a timerange"),
        ("[0:0__10:0)", "expected a timerange"),
        ("[0:0_10:0)\n", "expected a timerange"),
        ("[0_10)", "expected a timerange"),
        ("never", "expected a timerange"),
    ],
)
def test_a_range_that_no_segment_can_have_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_bounded(text)


def test_the_whole_of_64_bits_can_be_registered() -> None:
    timerange = parse_bounded("[-9223372036:854775808_9223372036:854775807)")
    assert (timerange.start, timerange.end) == (MIN_NS, MAX_NS)


# Ranges as queries have them


@given(written())
def test_a_query_holds_the_instants_that_mediatimestamp_says(text: str) -> None:
    timerange = parse_query(text)
    if "_" not in text and not {"(", ")"}.isdisjoint(text):
        # An instant cannot have exclusive marks (`timerange.json`); mediatimestamp passes over some of them.
        assert timerange.is_empty
        return
    try:
        oracle = Oracle.from_str(text)
    except ValueError:
        # mediatimestamp refuses reversed ranges, which for us hold nothing.
        assert timerange.is_empty
        return
    for edge in (timerange.start, timerange.end):
        for instant in (0,) if edge is None else (edge - 1, edge, edge + 1):
            assert holds(timerange, instant) == (Timestamp.from_nanosec(instant) in oracle)


@pytest.mark.parametrize("text", ["_", "[_", "_]", "(_)", "[_)"])
def test_eternity_is_everything(text: str) -> None:
    assert parse_query(text) == ETERNITY


@pytest.mark.parametrize(
    "text",
    ["", "()", "[]", "(", ")", "[5:0_4:0)", "[5:0_5:0)", "(5:0_5:0]", "(5:0_5:0)", "(5:0)", "(5:0", "5:0)", "(5:0]",
     "(5:0_5:1)"],
)  # fmt: skip
def test_a_query_for_nothing_is_the_empty_range(text: str) -> None:
    assert parse_query(text).is_empty


@pytest.mark.parametrize("text", ["5:0", "[5:0]", "[5:0_5:0]", "[5:0", "5:0]", "5:0_5:0"])
def test_an_instant_is_one_nanosecond(text: str) -> None:
    assert parse_query(text) == TimeRange(5 * NANOSECONDS, 5 * NANOSECONDS + 1)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("[5:0_", 5_000_000_000, None),
        ("(5:0_", 5_000_000_001, None),
        ("_5:0)", None, 5_000_000_000),
        ("_5:0]", None, 5_000_000_001),
        ("_5:0", None, 5_000_000_001),
        ("(1:0_2:0)", 1_000_000_001, 2_000_000_000),
        ("[-99999999999:0_0:0)", None, 0),
        ("[0:0_99999999999:0)", 0, None),
        ("[-99999999999:0_99999999999:0]", None, None),
        ("[0:0_1" + "0" * 5000 + ":0)", 0, None),
        ("[-9223372036:854775808_0:0)", None, 0),
    ],
)
def test_open_and_unlimited_queries_are_clamped(text: str, start: int | None, end: int | None) -> None:
    assert parse_query(text) == TimeRange(start, end)


@pytest.mark.parametrize(
    "text", ["[99999999999:0_", "_-99999999999:0]", "[99999999998:0_99999999999:0)", "99999999999:0"]
)
def test_a_query_beyond_everything_that_can_be_stored_holds_nothing(text: str) -> None:
    assert parse_query(text).is_empty


@pytest.mark.parametrize("text", ["x", "[0:0_10:0) ", "[0_10)", "[01:0_", "__", "[0:0_1:0_2:0)", "[[0:0_", "0:0_\n"])
def test_a_malformed_query_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a timerange"):
        parse_query(text)


@given(written())
def test_what_a_query_means_survives_being_written_and_read(text: str) -> None:
    timerange = parse_query(text)
    assert parse_query(str(timerange)) == (NEVER if timerange.is_empty else timerange)


# Comparing


@given(small_ranges, small_ranges)
def test_overlap_is_sharing_an_instant(one: TimeRange, other: TimeRange) -> None:
    assert one.overlaps(other) == any(holds(one, instant) and holds(other, instant) for instant in LINE)


@given(small_ranges, small_ranges)
def test_overlap_and_containment_are_those_of_mediatimestamp(one: TimeRange, other: TimeRange) -> None:
    assert one.overlaps(other) == to_oracle(one).overlaps_with_timerange(to_oracle(other))
    assert one.contains(other) == (not other.is_empty and to_oracle(one).contains_subrange(to_oracle(other)))


@given(small_ranges, small_ranges)
def test_what_is_contained_overlaps(one: TimeRange, other: TimeRange) -> None:
    if one.contains(other):
        assert one.overlaps(other)
        assert all(holds(one, instant) for instant in LINE if holds(other, instant))


def test_segments_that_touch_do_not_overlap() -> None:
    assert not parse_bounded("[1:0_2:0)").overlaps(parse_bounded("[2:0]"))
    assert parse_bounded("[1:0_2:0]").overlaps(parse_bounded("[2:0]"))


def test_an_instant_is_found_in_the_segment_that_covers_it() -> None:
    assert parse_bounded("[0:0_5:0)").overlaps(parse_query("[3:0]"))


def test_a_reversed_range_contains_nothing() -> None:
    assert not parse_query("[3:5_4:5)").contains(parse_bounded("[3:0_4:0)"))
    assert not parse_query("[5:0_3:0)").contains(parse_bounded("[3:0_4:0)"))


@given(bounded(), st.integers(-NANOSECONDS, NANOSECONDS))
def test_shifting_there_and_back_changes_nothing(timerange: TimeRange, offset: int) -> None:
    shifted = timerange.shifted(offset)
    assert shifted.shifted(-offset) == timerange
    assert shifted.closed == timerange.closed


def test_how_the_end_is_printed_takes_no_part_in_comparisons() -> None:
    assert TimeRange(0, 2, closed=True) == TimeRange(0, 2, closed=False)

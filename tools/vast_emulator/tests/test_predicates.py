"""Every predicate that the SDK can send, compared with Arrow's result for the same rows."""

import datetime as dt
import decimal
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from vastdb.session import Session

from tools.vast_emulator.emulator import BUCKET, Emulator
from tools.vast_emulator.tests.steps import SCHEMA, create, one_request, opened

pytestmark = pytest.mark.vast

_ROWS = pa.table(
    {
        "text": pa.array(["", "a", "ab", "abc", "b", "ä", "äb", None, "\U0010ffff", "\x1fx\x1e1\x1f"]),
        "number": pa.array([-(2**63), -1, 0, 1, 2, 3, 2**63 - 1, None, 7, 7], type=pa.int64()),
        "small": pa.array([0, 1, 2, 3, 250, 251, 252, None, 254, 255], type=pa.uint8()),
        "real": pa.array([0.0, -0.5, 1.5, float("nan"), float("inf"), None, 2.5, 2.5, 9.0, -1.0]),
        "flag": pa.array([True, False, None, True, False, None, True, False, None, True]),
        "octets": pa.array([b"", b"\x00", b"\xff", b"\xff\xff", None, b"a", b"ab", b"b", b"c", b"d"]),
        "moment": pa.array([dt.datetime(2020, 1, 1 + n, tzinfo=dt.UTC) for n in range(9)] + [None], pa.timestamp("us")),
        "day": pa.array([dt.date(2020, 1, 1 + n) for n in range(9)] + [None]),
        "clock": pa.array([dt.time(n) for n in range(9)] + [None], type=pa.time64("us")),
        "price": pa.array([decimal.Decimal(n) for n in range(9)] + [None], type=pa.decimal128(9, 2)),
    }
)
Condition = tuple[Any, pc.Expression]
_T = ibis._
_F = pc.field

CONDITIONS: dict[str, Condition] = {
    "text equal": (_T.text == "ab", _F("text") == "ab"),
    "text not equal": (_T.text != "ab", _F("text") != "ab"),
    "text less": (_T.text < "b", _F("text") < "b"),
    "text less or equal": (_T.text <= "b", _F("text") <= "b"),
    "text greater": (_T.text > "ä", _F("text") > "ä"),
    "text greater or equal": (_T.text >= "ä", _F("text") >= "ä"),
    "text between": (_T.text.between("ab", "b"), (_F("text") >= "ab") & (_F("text") <= "b")),
    "text in": (_T.text.isin(["", "b", "zz"]), _F("text").isin(["", "b", "zz"])),
    "text in many": (_T.text.isin([f"{n}" for n in range(999)] + ["ä"]), _F("text") == "ä"),
    "text null": (_T.text.isnull(), _F("text").is_null()),
    "text not null": (~_T.text.isnull(), ~_F("text").is_null()),
    "text null or equal": (_T.text.isnull() | (_T.text == "a"), _F("text").is_null() | (_F("text") == "a")),
    "text contains": (_T.text.contains("b"), pc.match_substring(_F("text"), "b")),
    "text contains a separator": (_T.text.contains("\x1fx\x1e"), pc.match_substring(_F("text"), "\x1fx\x1e")),
    "text contains either": (
        _T.text.contains("c") | _T.text.contains("ä"),
        pc.match_substring(_F("text"), "c") | pc.match_substring(_F("text"), "ä"),
    ),
    "text starts": (_T.text.startswith("a"), pc.starts_with(_F("text"), "a")),
    "text starts beyond ASCII": (_T.text.startswith("ä"), pc.starts_with(_F("text"), "ä")),
    "text starts at the end of Unicode": (
        _T.text.startswith("\U0010ffff"),
        pc.starts_with(_F("text"), "\U0010ffff"),
    ),
    "number least": (_T.number == -(2**63), _F("number") == -(2**63)),
    "number greatest": (_T.number >= 2**63 - 1, _F("number") >= 2**63 - 1),
    "number in a range": ((_T.number > -1) & (_T.number < 7), (_F("number") > -1) & (_F("number") < 7)),
    "number in two ranges": ((_T.number < 0) | (_T.number > 6), (_F("number") < 0) | (_F("number") > 6)),
    "two columns": ((_T.number > 0) & (_T.text < "c"), (_F("number") > 0) & (_F("text") < "c")),
    "small greater": (_T.small > 250, _F("small") > 250),
    "real equal": (_T.real == 2.5, _F("real") == 2.5),
    "real not equal": (_T.real != 2.5, _F("real") != 2.5),
    "real less": (_T.real < 2.0, _F("real") < 2.0),
    "flag": (_T.flag == True, _F("flag") == True),  # noqa: E712 - an expression, not a test
    "octets less": (_T.octets < b"b", _F("octets") < pa.scalar(b"b")),
    "octets equal": (_T.octets == b"\xff", _F("octets") == pa.scalar(b"\xff")),
    "moment": (_T.moment >= dt.datetime(2020, 1, 5), _F("moment") >= dt.datetime(2020, 1, 5)),  # noqa: DTZ001
    "day": (_T.day == dt.date(2020, 1, 2), _F("day") == dt.date(2020, 1, 2)),
    "clock": (_T.clock < dt.time(3), _F("clock") < dt.time(3)),
    "price": (_T.price > 6.0, _F("price") > decimal.Decimal(6)),
    "everything": (True, pc.scalar(True)),
}


@pytest.mark.parametrize("name", CONDITIONS)
@pytest.mark.parametrize("sorting_key", [[], ["text"], ["number", "text"]], ids=["unsorted", "by text", "by number"])
def test_a_predicate_finds_what_arrow_finds(
    emulator: Emulator, session: Session, name: str, sorting_key: list[str]
) -> None:
    emulator.load(SCHEMA, "t", _ROWS, sorting_key=sorting_key)
    condition, expected = CONDITIONS[name]
    with session.transaction() as tx:
        table = tx.bucket(BUCKET).schema(SCHEMA).table("t")
        result = table.select(predicate=condition, config=one_request(emulator)).read_all()
    arrow_rows = _ROWS.filter(expected)
    assert sorted(map(repr, result.to_pylist())) == sorted(map(repr, arrow_rows.to_pylist()))
    assert len(arrow_rows) > 0


def test_a_projection_returns_the_rows_of_its_table(emulator: Emulator, session: Session) -> None:
    emulator.load(SCHEMA, "t", _ROWS)
    with session.transaction() as tx:
        table = tx.bucket(BUCKET).schema(SCHEMA).table("t")
        table.create_projection("p", ["number"], ["text"])
        result = table.select(["text", "number"], table["number"] > 0, one_request(emulator)).read_all()
        assert result["number"].to_pylist() == [1, 2, 3, 7, 7, 2**63 - 1]
        table.delete(
            table.select(["text"], table["number"] == 7, one_request(emulator), internal_row_id=True).read_all()
        )
        result = table.select(["text", "number"], table["number"] > 0, one_request(emulator)).read_all()
        assert result["number"].to_pylist() == [1, 2, 3, 2**63 - 1]


def test_fields_of_structs_can_be_queried(emulator: Emulator, session: Session) -> None:
    kind = pa.struct([("x", pa.int64()), ("inner", pa.struct([("y", pa.utf8())]))])
    values = [{"x": 1, "inner": {"y": "a"}}, None, {"x": None, "inner": None}]
    metadata = create(session, "t", pa.schema([("s", kind), ("maps", pa.map_(pa.utf8(), pa.int64()))]))
    with session.transaction() as tx:
        table = opened(tx, metadata)
        rows = pa.table(
            {
                "s": pa.array(values, type=kind),
                "maps": pa.array([[("k", 1)], None, []], type=pa.map_(pa.utf8(), pa.int64())),
            }
        )
        table.insert(rows)
        config = one_request(emulator)
        assert table.select(config=config).read_all().to_pylist() == rows.to_pylist()
        assert table.select(predicate=table["s"]["inner"]["y"] == "a", config=config).read_all().num_rows == 1
        assert table.select(predicate=table["s"]["x"].isnull(), config=config).read_all().num_rows == 2

"""The least favourable settings, under which queries still return the same rows."""

from collections.abc import Iterator

import pyarrow as pa
import pytest
from vastdb.config import QueryConfig
from vastdb.session import Session

from tools.vast_emulator.emulator import BUCKET, Emulator
from tools.vast_emulator.settings import Settings
from tools.vast_emulator.tests.steps import COLUMNS, SCHEMA, connect, create, insert, opened, put, rows

pytestmark = pytest.mark.vast

ROWS = [(f"name{number % 7}", number) for number in range(500)]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Start a cluster with hostile settings."""
    with Emulator(Settings.hostile()) as running:
        yield running


@pytest.mark.parametrize(("splits", "sub_splits"), [(1, 1), (1, 4), (3, 2)])
@pytest.mark.parametrize("sorting_key", [[], ["name", "number"]])
def test_every_row_is_returned_once_in_arbitrary_order(
    emulator: Emulator, session: Session, splits: int, sub_splits: int, sorting_key: list[str]
) -> None:
    table = create(session, "t", sorting_key=sorting_key)
    insert(session, table, *ROWS)
    config = QueryConfig(num_splits=splits, num_sub_splits=sub_splits, data_endpoints=[emulator.endpoint])
    with session.transaction() as tx:
        result = rows(emulator, tx, table, config=config)
    assert sorted(result) == sorted(ROWS)
    assert result not in (ROWS, sorted(ROWS))


def test_the_order_depends_on_the_seed(emulator: Emulator, session: Session) -> None:
    table = create(session, "t")
    insert(session, table, *ROWS)
    orders = []
    for seed in (1, 2, 1):
        emulator.settings.update({"seed": seed})
        with session.transaction() as tx:
            orders.append(rows(emulator, tx, table))
    assert orders[0] == orders[2] != orders[1]


def test_a_limit_gives_any_rows(emulator: Emulator, session: Session) -> None:
    table = create(session, "t")
    insert(session, table, *ROWS)
    with session.transaction() as tx:
        result = rows(emulator, tx, table, limit_rows=4)
    assert len(result) == 4
    assert set(result) <= set(ROWS)
    assert set(result) != set(ROWS[:4])


def test_pages_are_tiny(emulator: Emulator, session: Session) -> None:
    table = create(session, "t")
    insert(session, table, *ROWS[:50])
    with session.transaction() as tx, emulator.counting() as counts:
        rows(emulator, tx, table)
    # Ten full pages, and an empty one at the end.
    assert counts.requests["select"] == 11


def test_writes_while_reading_do_not_move_unread_rows(emulator: Emulator, session: Session) -> None:
    table = create(session, "t")
    insert(session, table, *ROWS[:60])
    config = QueryConfig(num_splits=1, num_sub_splits=1, data_endpoints=[emulator.endpoint])
    seen: list[int] = []
    with session.transaction() as tx:
        reader = opened(tx, table).select_splits(["number"], config=config, internal_row_id=True)[0]
        for batch in reader:
            seen += batch["number"].to_pylist()
            if len(seen) < 30:
                opened(tx, table).delete(batch)
                put(tx, table, ("new", 1000 + len(seen)))
    assert sorted(number for number in seen if number < 1000) == list(range(60))


def test_lists_come_in_pages(emulator: Emulator, session: Session) -> None:
    columns = pa.schema([(f"column{number}", pa.int64()) for number in range(20)])
    with session.transaction() as tx:
        bucket = tx.bucket(BUCKET)
        for number in range(7):
            bucket.create_schema(f"schema{number}")
        schema = bucket.schema("schema0")
        for number in range(7):
            schema.create_table(f"table{number}", columns)
        assert [schema.name for schema in bucket.schemas()] == [f"schema{number}" for number in range(7)]
        assert schema.tablenames() == [f"table{number}" for number in range(7)]
        table = schema.table("table3")
        assert table.arrow_schema.equals(columns)
        for number in range(5):
            table.create_projection(f"projection{number}", ["column1"], ["column2"])
        assert [projection.name for projection in table.projections()] == [f"projection{number}" for number in range(5)]


def test_conflicts_are_not_detected(emulator: Emulator) -> None:
    assert emulator.settings.row_conflicts == "last_writer_wins"


def test_an_empty_table_answers(emulator: Emulator) -> None:
    session = connect(emulator)
    table = create(session, "t", COLUMNS)
    with session.transaction() as tx:
        assert rows(emulator, tx, table) == []
        assert opened(tx, table).select([], config=QueryConfig(num_splits=2)).read_all().num_rows == 0
    assert emulator.rows(SCHEMA, "t").num_rows == 0

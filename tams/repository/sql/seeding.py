"""Segments made by the engine itself, for tests of size (see `tams.repository.seed_batches`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import text

from tams.domain.timerange import NANOSECONDS
from tams.repository.seed_batches import SAMPLES_PER_SEGMENT, SeedBatch, seed_batch, seed_batches
from tams.repository.sql.dialects import PerDialect
from tams.repository.sql.engine import Database, Session
from tams.repository.sql.transaction import SqlWrite

_BATCH_SIZE = 50_000
"""Segments in a transaction: SQLite blocks all other writers meanwhile."""


def _statement(target: str, values: str) -> PerDialect:
    """Return an `INSERT INTO target` of `values` for each `n` from `first` to before `end`."""
    first, end = "CAST(:first AS BIGINT)", "CAST(:end AS BIGINT)"
    insert = f"INSERT INTO {target} SELECT {values} FROM"
    numbers = f"SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {end}"  # noqa: S608 - made of constants
    return PerDialect(
        text(f"WITH RECURSIVE numbers (n) AS ({numbers}) {insert} numbers".format(digits="printf('%016x', n)")),
        text(f"{insert} generate_series({first}, {end} - 1) AS numbers (n)".format(digits="lpad(to_hex(n), 16, '0')")),
    )


_OBJECT_ID = "CAST(:prefix AS TEXT) || '-' || {digits}"
_START, _END = f"n * {NANOSECONDS}", f"(n + 1) * {NANOSECONDS}"

_ADD = (
    _statement(
        "objects (id, created, content_type, kind, registered, start_ns, end_ns, closed, first_flow_id)",
        f"{_OBJECT_ID}, CAST(:at AS BIGINT), CAST(:content_type AS TEXT), 'media', CAST(:at AS BIGINT), "
        f"{_START}, {_END}, FALSE, CAST(:flow_id AS TEXT)",
    ),
    _statement(
        "object_instances (object_id, position, storage_id, storage_key, put_until, ready)",
        f"{_OBJECT_ID}, 0, CAST(:storage_id AS TEXT), CAST(:storage_key_prefix AS TEXT) || {{digits}}, 0, TRUE",
    ),
    _statement(
        "segments (flow_key, start_ns, end_ns, closed, object_id, sample_count, object_start, object_end, "
        "object_closed, registered)",
        f"CAST(:flow_key AS BIGINT), {_START}, {_END}, FALSE, {_OBJECT_ID}, {SAMPLES_PER_SEGMENT}, {_START}, {_END}, "
        "FALSE, CAST(:at AS BIGINT)",
    ),
)
_COUNT = text(
    "UPDATE flow_keys SET segment_count = segment_count + CAST(:more AS BIGINT), segments_updated = :at "
    "WHERE key = :flow_key"
)
_ANALYZE = text("ANALYZE")


def add_segments(database_url: str, flow_ids: Sequence[str], count: int, storage_id: str, now: int) -> Iterator[int]:
    """Add `count` Segments after the last one of each Flow. Yield after each transaction how many it has added.

    `now` is in microseconds.

    Raises:
        NotFound: a Flow does not exist.
        IntegrityBroken: Objects of seeded Segments that were deleted are still in use.
    """
    database = Database(database_url)
    try:
        for parts in seed_batches(flow_ids, count, _BATCH_SIZE):
            with database.session(database.dialect.begin_write) as session:
                tx = SqlWrite(session)
                tx.claim(*(("flow", flow_id) for flow_id, _ in parts))
                for flow_id, size in parts:
                    _add(session, seed_batch(tx.flow(flow_id), size, now), storage_id)
                session.commit()
            yield sum(size for _, size in parts)
    finally:
        database.close()


def renew_statistics(database_url: str) -> None:
    """Renew the statistics of the query planner, as the engine itself does some time after so many new rows."""
    database = Database(database_url)
    try:
        with database.session(database.dialect.begin_write) as session:
            session.run(_ANALYZE, {})
            session.commit()
    finally:
        database.close()


def _add(session: Session, batch: SeedBatch, storage_id: str) -> None:
    values = {
        "first": batch.first,
        "end": batch.end,
        "prefix": batch.prefix,
        "storage_key_prefix": batch.storage_key_prefix,
        "at": batch.moment,
        "content_type": batch.flow.metadata.get("container"),
        "flow_id": batch.flow.id,
        "flow_key": batch.flow.flow_key,
        "storage_id": storage_id,
    }
    for statement in _ADD:
        session.run(statement, values)
    session.run(_COUNT, {"more": batch.end - batch.first, "at": batch.moment, "flow_key": batch.flow.flow_key})

"""Invariants of the tables, checked without the adapter."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import orjson

from tams.repository.vast.tables import LOCKS, TABLES, Row, Table
from tests.support.vast_clusters import SCHEMA
from tools.vast_emulator.emulator import Emulator


def rows_of(emulator: Emulator, table: Table) -> list[Row]:
    """Return all rows of a table."""
    rows: list[Row] = emulator.rows(SCHEMA, table.name).to_pylist()
    return rows


def check(emulator: Emulator) -> None:
    """Check that there are no duplicates, overlaps, orphans, lost references and wrong counts."""
    rows = {table.name: rows_of(emulator, table) for table in TABLES}
    for table in TABLES:
        if table is not LOCKS:
            keys = Counter(table.key_of(row) for row in rows[table.name])
            assert [key for key, times in keys.items() if times > 1] == [], table.name
    states = Counter(row["key"] for row in rows["locks"] if row["kind"] == "state")
    assert max(states.values(), default=1) == 1
    flows = {row["key"]: row for row in rows["flows"]}
    attached = Counter(row["id"] for row in rows["flows"] if not row["detached"])
    assert max(attached.values(), default=1) == 1
    assert {row["source_id"] for row in rows["flows"]} <= {row["id"] for row in rows["sources"]}
    objects = {row["id"]: row for row in rows["objects"]}
    segments: dict[int, list[Row]] = {key: [] for key in flows}
    for row in rows["segments"]:
        segments[row["flow_key"]].append(row)
        assert objects[row["object_id"]]["kind"] == "media"
    for flow_key, own in segments.items():
        own.sort(key=lambda row: row["start_ns"])
        assert all(first["end_ns"] <= second["start_ns"] for first, second in pairwise(own))
        flow = flows[flow_key]
        assert flow["segment_count"] == len(own)
        ends = (own[0]["start_ns"], own[-1]["end_ns"]) if own else (None, None)
        assert (flow["first_start"], flow["last_end"]) == ends
    instance_keys = {
        (instance[0], instance[1], object_id)
        for object_id, row in objects.items()
        for instance in orjson.loads(row["instances"])
        if instance[1] is not None
    }
    assert instance_keys == {(row["storage_id"], row["storage_key"], row["object_id"]) for row in rows["storage_keys"]}

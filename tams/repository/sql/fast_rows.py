"""Values of rows, written for speed: a page of Segments makes hundreds of them.

Named tuples are made by `tuple.__new__`, which skips the generated constructor. The plain twins are in
`tests/repository/sql/test_fast_rows.py`, which compares both. `tools/bench/measurements/reading.py` measures them as
`page-1000`.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from tams.domain.objects import Instance
from tams.domain.segments import Segment

_new = tuple.__new__
_object_and_position = itemgetter(0, 1)


def segments_of_rows(rows: list[tuple[Any, ...]]) -> list[Segment]:
    """Return a Segment for each row of the columns of a Segment. SQLite returns truth values as integers."""
    return [
        _new(Segment, (a, b, closed == 1, c, d, e, f, g, h, i, object_closed == 1, j, k, m))
        for a, b, closed, c, d, e, f, g, h, i, object_closed, j, k, m in rows
    ]


def instances_by_object(rows: list[tuple[Any, ...]]) -> dict[str, tuple[Instance, ...]]:
    """Return the instances of each Object in their order. Rows are the id of the Object and the columns of an instance.

    This sorts `rows`.
    """
    # SQLite returns the rows in this order already, which makes the sort one comparison for each.
    rows.sort(key=_object_and_position)
    by_object: dict[str, tuple[Instance, ...]] = {}
    for object_id, _, storage_id, storage_key, put_until, url, label, ready in rows:
        instance = _new(Instance, (storage_id, storage_key, put_until, url, label, ready == 1))
        others = by_object.get(object_id)
        by_object[object_id] = (instance,) if others is None else (*others, instance)
    return by_object

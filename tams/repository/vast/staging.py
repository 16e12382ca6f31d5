"""Staged writes: the rows of a transaction's snapshot, overlaid with the writes that are not sent yet."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tams.repository.vast.cluster_transaction import ROW_ID, ClusterTransaction
from tams.repository.vast.predicates import Predicate, among
from tams.repository.vast.tables import Row, RowKey, Table


class StagedView:
    """The rows that a transaction reads: those of its snapshot, overlaid with its staged writes.

    The snapshot is begun by the first read.
    """

    def __init__(self, begin: Callable[[], ClusterTransaction], *, writing: bool = False) -> None:
        self._begin = begin
        self._snapshot: ClusterTransaction | None = None
        self._writing = writing
        self._looked_up: dict[tuple[str, str, Any], list[Row]] = {}
        self._staged: dict[Table, dict[RowKey, Row | None]] = {}
        self._row_ids: dict[Table, dict[RowKey, Any]] = {}

    @property
    def snapshot(self) -> ClusterTransaction:
        """The transaction that reads; begun on first use."""
        if self._snapshot is None:
            self._snapshot = self._begin()
        return self._snapshot

    @property
    def has_begun(self) -> bool:
        """True once anything was read."""
        return self._snapshot is not None

    @property
    def has_changes(self) -> bool:
        """True once a write was staged."""
        return bool(self._staged)

    def renew(self) -> None:
        """Read from a new snapshot from now on. Allowed only while nothing is staged."""
        self.end()
        self._looked_up.clear()
        self._row_ids.clear()

    def end(self) -> None:
        """Roll back the transaction."""
        if self._snapshot is not None:
            self._snapshot.roll_back()
            self._snapshot = None

    def select(self, table: Table, columns: Sequence[str], predicates: Sequence[Predicate]) -> list[Row]:
        """Return all rows that match the predicates, in no order, with at least these columns and those of the key."""
        return self.bounded(table, columns, predicates, None)[0]

    def bounded(
        self, table: Table, columns: Sequence[str], predicates: Sequence[Predicate], limit: int | None
    ) -> tuple[list[Row], bool]:
        """Return at least `limit` of the rows that match the predicates, and whether these are all of them.

        The choice is arbitrary. Staged rows may be added to it. Fewer than `limit` rows are always all of them.
        """
        staged = self._staged.get(table, {})
        # As many of the snapshot's rows may be changed or removed by staged writes.
        snapshot_limit = None if limit is None else limit + len(staged)
        needed = [*columns, *table.key]
        if staged:
            needed += [predicate.column for predicate in predicates]
        names = list(dict.fromkeys(needed))
        rows = self.snapshot.rows(table, names, predicates, snapshot_limit, row_ids=self._writing)
        complete = snapshot_limit is None or len(rows) < snapshot_limit
        self._note_row_ids(table, rows)
        return self._overlaid(table, rows, predicates), complete

    def first(
        self, table: Table, order: str, predicates: Sequence[Predicate], count: int, *, reverse: bool = False
    ) -> list[tuple[Any, RowKey]]:
        """Return the `count` smallest values of the column `order` with the keys of their rows.

        Only rows that match the predicates count. `reverse` returns the largest values, the largest first.
        """
        predicate_columns = [predicate.column for predicate in predicates if not predicate.is_sent]
        names = list(dict.fromkeys([order, *table.key, *predicate_columns]))
        direction = "descending" if reverse else "ascending"
        # As many of the snapshot's rows may be changed or removed by staged writes.
        snapshot_count = count + len(self._staged.get(table, {}))

        def keep_best(best: pa.Table | None, batch: pa.RecordBatch) -> pa.Table:
            rows = pa.Table.from_batches([batch]).select(names)
            candidates = rows if best is None else pa.concat_tables([best, rows])
            return candidates.take(pc.sort_indices(candidates, sort_keys=[(order, direction)])[:snapshot_count])

        best: pa.Table | None = self.snapshot.fold(table, names, predicates, keep_best, None)
        rows = self._overlaid(table, [] if best is None else best.to_pylist(), predicates)
        values = [(row[order], table.key_of(row)) for row in rows]
        return sorted(values, reverse=reverse)[:count]

    def look_up(self, table: Table, column: str, values: Iterable[Any]) -> list[Row]:
        """Return whole rows whose `column` is one of the values. Each value is queried once per snapshot."""
        distinct = set(values)
        self.stored(table, column, distinct)
        staged = self._staged.get(table, {})
        rows = [row for value in distinct for row in self._looked_up[table.name, column, value]]
        if staged:
            rows = [row for row in rows if table.key_of(row) not in staged]
            rows += [row for row in staged.values() if row is not None and row[column] in distinct]
        return rows

    def stored(self, table: Table, column: str, values: Collection[Any]) -> list[Row]:
        """Return whole rows of the snapshot whose `column` is one of the values, without the staged writes."""
        unknown = [value for value in values if (table.name, column, value) not in self._looked_up]
        if unknown:
            by_value: dict[Any, list[Row]] = {value: [] for value in unknown}
            for row in self.snapshot.rows(table, table.columns.names, [among(column, unknown)], row_ids=self._writing):
                by_value[row[column]].append(row)
            self._note_row_ids(table, [row for rows in by_value.values() for row in rows])
            for value, rows in by_value.items():
                self._looked_up[table.name, column, value] = rows
                if (column,) == table.key and not rows:
                    self._row_ids.setdefault(table, {})[(value,)] = None
                if (column,) != table.key and len(table.key) == 1:
                    # A row that was looked up by another column need not be queried by its key.
                    for row in rows:
                        self._looked_up[table.name, table.key[0], row[table.key[0]]] = [row]
        return [row for value in values for row in self._looked_up[table.name, column, value]]

    def put(self, table: Table, row: Row) -> None:
        """Stage a new or changed row."""
        self._staged.setdefault(table, {})[table.key_of(row)] = row

    def add(self, table: Table, row: Row) -> None:
        """Stage a row that the caller knows to be new, which saves the query for its row id."""
        key = table.key_of(row)
        self._row_ids.setdefault(table, {}).setdefault(key, None)
        self._staged.setdefault(table, {})[key] = row

    def remove(self, table: Table, key: RowKey) -> None:
        """Stage the removal of a row, which need not exist."""
        self._staged.setdefault(table, {})[key] = None

    def flush(self) -> None:
        """Send the staged writes: at most one insert, one update and one delete per table if they fit a request."""
        for table, rows in self._staged.items():
            ids = self._located(table, rows)
            changed = [(ids[key], row) for key, row in rows.items() if row is not None and ids[key] is not None]
            added = [row for key, row in rows.items() if row is not None and ids[key] is None]
            removed = [ids[key] for key, row in rows.items() if row is None and ids[key] is not None]
            if changed:
                self.snapshot.update(table, changed)
            if added:
                self.snapshot.insert(table, added)
            if removed:
                self.snapshot.delete(table, removed)

    def locate(self) -> None:
        """Query the row ids of staged rows that are stored already and were not read."""
        for table, rows in self._staged.items():
            self._located(table, rows)

    def _overlaid(self, table: Table, rows: list[Row], predicates: Sequence[Predicate]) -> list[Row]:
        """Return rows of the snapshot with the staged writes laid over them."""
        staged = self._staged.get(table, {})
        if not staged:
            return rows
        unchanged = [row for row in rows if table.key_of(row) not in staged]
        return unchanged + [
            row
            for row in staged.values()
            if row is not None and all(predicate.matches(row) for predicate in predicates)
        ]

    def _located(self, table: Table, keys: Iterable[RowKey]) -> dict[RowKey, Any]:
        """Return the row ids by key; None for a row that is not stored."""
        ids = self._row_ids.setdefault(table, {})
        unknown = [key for key in keys if key not in ids]
        if unknown:
            ids.update(dict.fromkeys(unknown))
            predicates = [among(name, {key[position] for key in unknown}) for position, name in enumerate(table.key)]
            for row in self.snapshot.rows(table, table.key, predicates, row_ids=True):
                ids[table.key_of(row)] = row[ROW_ID]
        return ids

    def _note_row_ids(self, table: Table, rows: list[Row]) -> None:
        if self._writing:
            ids = self._row_ids.setdefault(table, {})
            for row in rows:
                ids[table.key_of(row)] = row.pop(ROW_ID)

"""What a request sees: the rows of its snapshot, and over them those that it has written and not stored yet."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tams.repository.vast.connection import ROW_ID, Snapshot
from tams.repository.vast.predicates import Term, among
from tams.repository.vast.tables import Row, RowKey, Table


class View:
    """Rows as of one moment. The snapshot is begun with the first question."""

    def __init__(self, begin: Callable[[], Snapshot], *, writing: bool = False) -> None:
        self._begin = begin
        self._snapshot: Snapshot | None = None
        self._writing = writing
        self._looked_up: dict[tuple[str, str, Any], list[Row]] = {}
        self._staged: dict[Table, dict[RowKey, Row | None]] = {}
        self._row_ids: dict[Table, dict[RowKey, Any]] = {}

    @property
    def snapshot(self) -> Snapshot:
        """The transaction that is read in."""
        if self._snapshot is None:
            self._snapshot = self._begin()
        return self._snapshot

    @property
    def begun(self) -> bool:
        """Whether anything was asked yet."""
        return self._snapshot is not None

    @property
    def changed(self) -> bool:
        """Whether anything was written."""
        return bool(self._staged)

    def renew(self) -> None:
        """See what is committed by now. Only as long as nothing was written."""
        self.end()
        self._looked_up.clear()
        self._row_ids.clear()

    def end(self) -> None:
        """Let go of the snapshot."""
        if self._snapshot is not None:
            self._snapshot.roll_back()
            self._snapshot = None

    def select(self, table: Table, columns: Sequence[str], terms: Sequence[Term]) -> list[Row]:
        """All rows that fulfil the terms, in no order, with these columns and those of the key at least."""
        return self.bounded(table, columns, terms, None)[0]

    def bounded(
        self, table: Table, columns: Sequence[str], terms: Sequence[Term], limit: int | None
    ) -> tuple[list[Row], bool]:
        """Any `limit` rows that fulfil the terms, or some more; and whether these are all."""
        staged = self._staged.get(table, {})
        # So many of what the snapshot gives may have been changed here.
        asked = None if limit is None else limit + len(staged)
        needed = [*columns, *table.key]
        if staged:
            needed += [term.column for term in terms]
        names = list(dict.fromkeys(needed))
        rows = self.snapshot.rows(table, names, terms, asked, row_ids=self._writing)
        complete = asked is None or len(rows) < asked
        self._note(table, rows)
        if staged:
            rows = [row for row in rows if table.key_of(row) not in staged]
            rows += [row for row in staged.values() if row is not None and all(term.matches(row) for term in terms)]
        return rows, complete

    def first(
        self, table: Table, order: str, terms: Sequence[Term], count: int, *, reverse: bool = False
    ) -> list[tuple[Any, RowKey]]:
        """The `count` smallest values of a column (`reverse`: the largest) among the rows that fulfil the terms."""
        staged = self._staged.get(table, {})
        names = list(dict.fromkeys([order, *table.key, *(term.column for term in terms if not term.sent)]))
        direction = "descending" if reverse else "ascending"
        wanted = count + len(staged)

        def keep(best: pa.Table | None, batch: pa.RecordBatch) -> pa.Table:
            more = pa.Table.from_batches([batch]).select(names)
            whole = more if best is None else pa.concat_tables([best, more])
            return whole.take(pc.sort_indices(whole, sort_keys=[(order, direction)])[:wanted])

        best: pa.Table | None = self.snapshot.collect(table, names, terms, keep, None)
        rows: list[Row] = [] if best is None else best.to_pylist()
        if staged:
            rows = [row for row in rows if table.key_of(row) not in staged]
            rows += [row for row in staged.values() if row is not None and all(term.matches(row) for term in terms)]
        found = [(row[order], table.key_of(row)) for row in rows]
        return sorted(found, reverse=reverse)[:count]

    def look_up(self, table: Table, column: str, values: Iterable[Any]) -> list[Row]:
        """Whole rows that have one of the values. Each value is asked for once in a snapshot."""
        wanted = set(values)
        self.stored(table, column, wanted)
        staged = self._staged.get(table, {})
        rows = [row for value in wanted for row in self._looked_up[table.name, column, value]]
        if staged:
            rows = [row for row in rows if table.key_of(row) not in staged]
            rows += [row for row in staged.values() if row is not None and row[column] in wanted]
        return rows

    def stored(self, table: Table, column: str, values: Collection[Any]) -> list[Row]:
        """The same, without what was written here."""
        unknown = [value for value in values if (table.name, column, value) not in self._looked_up]
        if unknown:
            found: dict[Any, list[Row]] = {value: [] for value in unknown}
            for row in self.snapshot.rows(table, table.columns.names, [among(column, unknown)], row_ids=self._writing):
                found[row[column]].append(row)
            self._note(table, [row for rows in found.values() for row in rows])
            for value, rows in found.items():
                self._looked_up[table.name, column, value] = rows
                if (column,) == table.key and not rows:
                    self._row_ids.setdefault(table, {})[(value,)] = None
                if (column,) != table.key and len(table.key) == 1:
                    # A row that was found by another column need not be asked for by its key.
                    for row in rows:
                        self._looked_up[table.name, table.key[0], row[table.key[0]]] = [row]
        return [row for value in values for row in self._looked_up[table.name, column, value]]

    def staged(self, table: Table) -> list[Row]:
        """The rows that were written here."""
        return [row for row in self._staged.get(table, {}).values() if row is not None]

    def put(self, table: Table, row: Row) -> None:
        """Write a row, new or changed."""
        self._staged.setdefault(table, {})[table.key_of(row)] = row

    def add(self, table: Table, row: Row) -> None:
        """Write a row that is known not to be stored."""
        key = table.key_of(row)
        self._row_ids.setdefault(table, {}).setdefault(key, None)
        self._staged.setdefault(table, {})[key] = row

    def remove(self, table: Table, key: RowKey) -> None:
        """Remove a row, if it is there."""
        self._staged.setdefault(table, {})[key] = None

    def flush(self) -> None:
        """Send what was written: one insert, one update and one delete for each table at most, if they fit."""
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
        """Find out which of the rows that were written are stored already."""
        for table, rows in self._staged.items():
            self._located(table, rows)

    def _located(self, table: Table, keys: Iterable[RowKey]) -> dict[RowKey, Any]:
        known = self._row_ids.setdefault(table, {})
        unknown = [key for key in keys if key not in known]
        if unknown:
            known.update(dict.fromkeys(unknown))
            terms = [among(name, {key[position] for key in unknown}) for position, name in enumerate(table.key)]
            for row in self.snapshot.rows(table, table.key, terms, row_ids=True):
                known[table.key_of(row)] = row[ROW_ID]
        return known

    def _note(self, table: Table, rows: list[Row]) -> None:
        if self._writing:
            known = self._row_ids.setdefault(table, {})
            for row in rows:
                known[table.key_of(row)] = row.pop(ROW_ID)

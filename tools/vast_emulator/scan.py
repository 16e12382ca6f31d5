"""Reading a store: which rows one request gets, in which order, and where the next request continues.

Every zone of a store has a place, and so has every row in it. A request starts at a place, and its response names the
next one. Places are stable for the duration of a transaction: its own writes only append.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tools.vast_emulator.predicates import Predicate
from tools.vast_emulator.runs import ZONE_ROWS, Mask, Run, RunData, Zone
from tools.vast_emulator.settings import Settings
from tools.vast_emulator.stores import Kinds, Store

Places = NDArray[np.int64]

# The next place of a sub-split without further rows.
FINISHED = (1 << 48) - 1


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a store that a request reads: one of `splits`, divided into sub-splits, each from its start on."""

    split: int
    splits: int
    group: int  # consecutive row groups of a sub-split before those of the next one
    starts: Mapping[int, int]  # place by sub-split, which is in `range(sub_splits)`
    sub_splits: int
    limit: int  # maximum number of rows of each sub-split in the response


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one chunk."""

    data: RunData
    chunk: int
    offsets: Places


@dataclass(slots=True)
class Page:
    """The rows of one sub-split in the response, and where its next page starts."""

    parts: list[Part] = field(default_factory=list)
    places: list[Places] = field(default_factory=list)
    rows: int = 0
    next: int = FINISHED


@dataclass(slots=True)
class Scan:
    """A pass over a store for one request."""

    store: Store
    kinds: Kinds
    predicate: Predicate | None
    settings: Settings
    rows_looked_at: int = 0

    def pages(self, share: Share) -> dict[int, Page]:
        """Return a page for every sub-split of the request."""
        pages = {sub: Page() for sub, start in share.starts.items() if start != FINISHED}
        order = _order(self.settings)
        place, slot = 0, 0
        for run in self.store.runs:
            candidates = self._candidates(run)
            for zone, candidate in zip(run.data.zones, candidates, strict=True):
                unfilled = [sub for sub, page in pages.items() if page.next == FINISHED]
                if not unfilled:
                    return pages
                if candidate and any(share.starts[sub] < place + ZONE_ROWS for sub in unfilled):
                    self._read(run, zone, place, slot + zone.slot, share, pages, order)
                place += ZONE_ROWS
            slot += run.data.rows
        return pages

    def matching_zones(self) -> int:
        """Return the number of zones that may hold matching rows."""
        return sum(int(self._candidates(run).sum()) for run in self.store.runs)

    def _candidates(self, run: Run) -> Mask:
        if self.predicate is None:
            return np.ones(len(run.data.zones), dtype=bool)
        return self.predicate.zones(run.data)

    def _read(
        self, run: Run, zone: Zone, place: int, slot: int, share: Share, pages: dict[int, Page], order: Places | None
    ) -> None:
        offsets = self._matches(run, zone)
        self.rows_looked_at += zone.stop - zone.start
        if not len(offsets):
            return
        owners = self._owners(offsets + slot, share)
        places = place + (offsets if order is None else order[offsets])
        for sub, page in pages.items():
            if page.next != FINISHED:
                continue
            mine = (owners == share.split * share.sub_splits + sub) & (places >= share.starts[sub])
            selection = np.flatnonzero(mine)
            if order is not None:
                selection = selection[np.argsort(places[selection])]
            room = share.limit - page.rows
            if len(selection) >= room:
                selection = selection[:room]
                page.next = int(places[selection[-1]]) + 1
            if len(selection):
                page.parts.append(Part(run.data, zone.chunk, offsets[selection] + zone.start))
                page.places.append(places[selection])
                page.rows += len(selection)

    def _matches(self, run: Run, zone: Zone) -> Places:
        """Return the offsets of the matching rows of a zone from its start."""
        rows = zone.stop - zone.start
        alive = run.alive(zone)
        if self.predicate is None:
            return np.arange(rows) if alive is None else np.flatnonzero(alive)

        def cells(key: str) -> pa.Array:
            return run.data.column(zone.chunk, key, self.kinds[key]).slice(zone.start, rows)

        matches = self.predicate.rows(cells).fill_null(False).to_numpy(zero_copy_only=False)
        return np.flatnonzero(matches if alive is None else matches & alive)

    def _owners(self, slots: Places, share: Share) -> Places:
        """Return the number of the sub-split that each row belongs to, counted over all splits."""
        if share.splits * share.sub_splits == 1:
            return np.zeros(len(slots), dtype=np.int64)
        if self.settings.shuffle:
            # Groups of eight rows, distributed by a multiplicative hash.
            groups = (slots >> 3) * 2654435761 + self.settings.seed
            return (groups >> 7) % (share.splits * share.sub_splits)
        return slots // (self.settings.group_rows * share.group) % (share.splits * share.sub_splits)


def _order(settings: Settings) -> Places | None:
    """Return the order in which the rows of a zone are returned; None for the stored order."""
    return np.random.default_rng(settings.seed).permutation(ZONE_ROWS) if settings.shuffle else None


def gather(page: Page, keys: Sequence[str], kinds: Kinds) -> tuple[list[pa.Array], NDArray[np.int64]]:
    """Return the columns of a page's rows, and the row ids."""
    columns = []
    for key in keys:
        kind = kinds[key]
        parts = [part.data.column(part.chunk, key, kind).take(pa.array(part.offsets)) for part in page.parts]
        columns.append(parts[0] if len(parts) == 1 else pa.concat_arrays(parts) if parts else pa.array([], type=kind))
    ids = [part.data.chunks[part.chunk].row_ids[part.offsets] for part in page.parts]
    return columns, np.concatenate(ids) if ids else np.zeros(0, dtype=np.int64)


def shorten(page: Page, columns: list[pa.Array], limit: int) -> int:
    """Return how many rows of a page fit into `limit` bytes, at least one; set where the next page starts."""
    size = sum(int(column.nbytes) for column in columns)
    if size <= limit or page.rows <= 1:
        return page.rows
    rows = max(1, int(page.rows * limit // size))
    page.next = int(np.concatenate(page.places)[rows - 1]) + 1
    return rows

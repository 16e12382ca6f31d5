"""What can be switched: how transactions behave, how hostile answers are, which limits hold."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

from tools.vast_emulator.profiles import is_profile, settings_of

RowConflicts = Literal["statement", "commit", "while_open", "last_writer_wins"]
Pair = Literal["update/update", "update/delete", "delete/update", "delete/delete"]
Write = Literal["insert", "update", "delete"]
AfterRollback = Literal["refused", "stored"]
Snapshots = Literal["snapshot", "read_committed"]
Rollback = Literal["final", "refused_elsewhere", "ignored_elsewhere", "ignored"]
DuplicateRowIds = Literal["refused", "first", "last"]
OversizedCells = Literal["refused", "stored"]


@dataclass(slots=True)
class Settings:
    """Every switch. The models (the first group) are what nobody knows of a cluster without asking it; a profile,
    the JSON object of these names and values, makes the emulator behave like one that was asked.
    """

    # Where a write-write conflict on a row shows: 409 at the second statement, 409 at the second commit, 409 at the
    # second statement as long as the first transaction has not ended, or nowhere.
    row_conflicts: RowConflicts = "statement"
    # What the first and the second transaction do to the row where it shows; all others go unseen.
    conflict_pairs: tuple[Pair, ...] = get_args(Pair)
    # Whether a transaction reads what was committed when it began, or what is committed when it reads.
    snapshots: Snapshots = "snapshot"
    # Which of a transaction's own writes are seen by its own queries.
    own_writes: tuple[Write, ...] = get_args(Write)
    # Seconds for which an acknowledged commit stays invisible to transactions that begin.
    visibility_delay: float = 0.0
    # Whether a commit appears at once, or table by table with `commit_gap` seconds between.
    atomic_commits: bool = True
    commit_gap: float = 0.05
    # What a rollback does: ends the transaction; is refused (403), or answered and forgotten, on another connection
    # than the one that began; is answered and forgotten always.
    rollback: Rollback = "final"
    # What becomes of a transaction that is committed after its rollback.
    commit_after_rollback: AfterRollback = "refused"
    # An update or delete that names a row twice.
    duplicate_row_ids: DuplicateRowIds = "refused"
    # A cell above `cell_limit`.
    oversized_cells: OversizedCells = "refused"
    # Seconds without a request after which a transaction is rolled back; None: never.
    idle_timeout: float | None = None

    # Answers.
    shuffle: bool = False  # rows come in an arbitrary order, spread over splits and sub-splits in small groups
    page_rows: int | None = None  # rows of one sub-split in one answer, at most; None: as the client asks
    page_bytes: int = 32 << 20  # bytes of one sub-split in one answer, about
    list_page: int | None = None  # entries of one page of a list, at most; None: as the client asks
    group_rows: int = 65536  # rows of a row group, the unit that splits are made of
    seed: int = 0  # of the shuffle and of random faults
    chaos_rate: float = 0.0  # share of requests that fail in a random way

    # Limits.
    cell_limit: int = 126 * 1024
    request_limit: int = 5 << 20
    limit_status: int = 400  # of what is above a limit

    # The cluster.
    version: str = "5.5.0.0"
    sorted_tables: bool = True  # whether a table may be made with a sorting key
    addresses: int = 1  # how many addresses the cluster says it has, from the connection's own one on

    @classmethod
    def hostile(cls) -> Self:
        """The worst that a real cluster may be: conflicts unseen, no order, tiny pages."""
        return cls(row_conflicts="last_writer_wins", shuffle=True, page_rows=5, list_page=3)

    def update(self, values: Mapping[str, Any]) -> None:
        """Set switches by name; an unknown name or a wrong value raises ValueError and changes nothing."""
        kinds = get_type_hints(type(self))
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        for name, value in values.items():
            if name not in kinds:
                raise ValueError(f"unknown setting {name!r}")
            if not _fits(value, kinds[name]):
                raise ValueError(f"setting {name} cannot be {value!r}")
        for name, value in values.items():
            setattr(self, name, value)

    def load_profile(self, path: Path) -> None:
        """Set the switches that a JSON file names, or those that make a cluster like the one `tams vast probe` saw."""
        values = json.loads(path.read_text())
        if not isinstance(values, dict):
            raise ValueError(f"{path} is not a JSON object of settings")  # noqa: TRY004 - the content is wrong
        self.update(settings_of(values) if is_profile(values) else values)

    def as_dict(self) -> dict[str, Any]:
        """Every switch by name."""
        return dataclasses.asdict(self)


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_fits(each, get_args(kind)[0]) for each in value)
    if get_origin(kind) is not None or hasattr(kind, "__args__"):
        return any(_fits(value, option) for option in get_args(kind))
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)

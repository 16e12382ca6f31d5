"""Settings: how transactions behave, how hostile responses are, and which limits apply."""

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
    """All settings of the emulator.

    The first group describes behaviour that differs between clusters and can only be found out by a probe. A profile,
    the JSON object of these names and values, makes the emulator behave like the cluster that was probed.
    """

    # Where a write-write conflict on a row is reported: 409 at the second statement, 409 at the second commit, 409 at
    # the second statement while the first transaction is open, or nowhere.
    row_conflicts: RowConflicts = "statement"
    # What the first and the second transaction do to the row in conflicts that are reported; others are not detected.
    conflict_pairs: tuple[Pair, ...] = get_args(Pair)
    # A transaction reads what was committed when it began, or what is committed when it reads.
    snapshots: Snapshots = "snapshot"
    # The kinds of a transaction's own writes that its queries see.
    own_writes: tuple[Write, ...] = get_args(Write)
    # Seconds during which new transactions do not see an acknowledged commit.
    visibility_delay: float = 0.0
    # True: a commit becomes visible at once. False: table by table, `commit_gap` seconds apart.
    atomic_commits: bool = True
    commit_gap: float = 0.05
    # The effect of a rollback: it ends the transaction; it is refused (403), or acknowledged without effect, if it
    # comes on another connection than the transaction's begin; it is always acknowledged without effect.
    rollback: Rollback = "final"
    # The effect of a commit after a rollback of the same transaction.
    commit_after_rollback: AfterRollback = "refused"
    # The effect of an update or delete that names a row twice: it is refused, or the first or last occurrence counts.
    duplicate_row_ids: DuplicateRowIds = "refused"
    # The effect of a cell above `cell_limit`.
    oversized_cells: OversizedCells = "refused"
    # Seconds without a request after which a transaction is rolled back; None: never.
    idle_timeout: float | None = None

    # Responses.
    shuffle: bool = False  # rows are in an arbitrary order, and spread over splits and sub-splits in small groups
    page_rows: int | None = None  # maximum rows of one sub-split in a response; None: as the client asks
    page_bytes: int = 32 << 20  # approximate maximum of bytes of one sub-split in a response
    list_page: int | None = None  # maximum entries of one page of a list; None: as the client asks
    group_rows: int = 65536  # rows of a row group, the unit that splits consist of
    seed: int = 0  # seed of the shuffle and of random faults
    chaos_rate: float = 0.0  # share of requests that fail at random, 0 to 1

    # Limits.
    cell_limit: int = 126 * 1024  # bytes
    request_limit: int = 5 << 20  # bytes
    limit_status: int = 400  # HTTP status of a request above a limit

    # The cluster.
    version: str = "5.5.0.0"
    sorted_tables: bool = True  # True: tables may have a sorting key
    addresses: int = 1  # number of addresses that the cluster announces, starting with the connection's own

    @classmethod
    def hostile(cls) -> Self:
        """Return the least favourable settings: undetected conflicts, no row order, tiny pages."""
        return cls(row_conflicts="last_writer_wins", shuffle=True, page_rows=5, list_page=3)

    def update(self, values: Mapping[str, Any]) -> None:
        """Change settings by name.

        Raises:
            ValueError: A name is unknown or a value is invalid; no setting has changed.
        """
        kinds = get_type_hints(type(self))
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        for name, value in values.items():
            if name not in kinds:
                raise ValueError(f"unknown setting {name!r}")
            if not _fits(value, kinds[name]):
                raise ValueError(f"invalid value {value!r} of the setting {name}")
        for name, value in values.items():
            setattr(self, name, value)

    def load_profile(self, path: Path) -> None:
        """Apply a JSON file of settings, or a profile that `tams vast probe --json` wrote."""
        values = json.loads(path.read_text())
        if not isinstance(values, dict):
            raise ValueError(f"{path} is not a JSON object of settings")  # noqa: TRY004 - the content is wrong
        self.update(settings_of(values) if is_profile(values) else values)

    def as_dict(self) -> dict[str, Any]:
        """Return all settings by name."""
        return dataclasses.asdict(self)


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_fits(item, get_args(kind)[0]) for item in value)
    if get_origin(kind) is not None or hasattr(kind, "__args__"):
        return any(_fits(value, option) for option in get_args(kind))
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)

"""The mode that a database is written with, which is stored in its table of locks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from tams.domain.errors import Unavailable
from tams.repository.vast.tables import Row

CLAIMS: Final = "claims"
STRIPES: Final = "stripes"
SINGLE: Final = "single"

MODE = "mode"
MODE_KEY = "concurrency"


def stored_modes(rows: Iterable[Row]) -> set[Any]:
    """Return the modes in the rows of `MODE_KEY`. A database without such a row is older than the others: claims."""
    return {row["op"] for row in rows if row["kind"] == MODE} or {CLAIMS}


def check_mode(rows: Iterable[Row], mode: str) -> None:
    """Raise `Unavailable` unless the database has this mode. `rows` include those of `MODE_KEY`."""
    modes = stored_modes(rows)
    if modes != {mode}:
        raise Unavailable(wrong_mode_message(modes, mode))


def wrong_mode_message(modes: Iterable[str], mode: str) -> str:
    """Return the error message for the operator who configured another mode than the database has."""
    return (
        f"The database is written to with TAMS_VAST_CONCURRENCY={' and '.join(sorted(modes))}, and this process has "
        f"{mode}: set it to the same value, or stop every server and worker and run `tams db upgrade` to change it."
    )

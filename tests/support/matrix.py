"""Many small checks in one test: every cell of a matrix is tried, and the failing ones are reported together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Matrix:
    """Collects the failing cells of a matrix."""

    def __init__(self) -> None:
        self._tried = 0
        self._failures: list[str] = []

    @contextmanager
    def cell(self, name: str) -> Iterator[None]:
        """Try one cell. A failure is recorded for `check`, so that the other cells are tried too."""
        self._tried += 1
        try:
            yield
        except Exception as error:  # noqa: BLE001 - any exception is this cell's failure
            self._failures.append(f"{name}: {type(error).__name__}: {error}")

    def check(self, cells: int) -> None:
        """Fail if a cell failed, or if not exactly this number of cells was tried."""
        assert not self._failures, f"{len(self._failures)} of {self._tried} cells failed:\n" + "\n".join(self._failures)
        assert self._tried == cells

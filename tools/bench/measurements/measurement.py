"""The interface of measurements, which lets rounds alternate between them."""

from __future__ import annotations

from typing import Protocol

from tools.bench.figures import Figure
from tools.bench.site import Site


class Measurement(Protocol):
    """A measurement. `name` is what `--only` selects."""

    name: str

    def prepare(self, site: Site) -> None:
        """Set up what the samples need."""

    def sample(self, site: Site, seconds: float, *, floor_first: bool) -> None:
        """Take one sample of the store and one of the floor, of about `seconds` each."""

    def figures(self) -> list[Figure]:
        """Return the rows of the table."""

"""What every measurement looks like, so that rounds can take turns between them."""

from __future__ import annotations

from typing import Protocol

from tools.bench.figures import Figure
from tools.bench.site import Site


class Measurement(Protocol):
    """Something that is measured. `name` is what `--only` takes."""

    name: str

    def prepare(self, site: Site) -> None:
        """Make what the samples need."""

    def sample(self, site: Site, seconds: float, *, floor_first: bool) -> None:
        """Take one sample of the store and one of the floor, about `seconds` each."""

    def figures(self) -> list[Figure]:
        """What the samples come to."""

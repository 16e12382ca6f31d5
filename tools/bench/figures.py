"""A figure, its floor, and its bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal


@dataclass(frozen=True, slots=True)
class Bar:
    """A bound on a figure: on its value, or on its ratio to the floor."""

    of: Literal["value", "ratio"]
    sense: Literal["at least", "at most"]
    bound: float

    def is_met(self, value: float, ratio: float | None) -> bool:
        """Return True if the figure meets the bar."""
        judged = value if self.of == "value" else ratio
        if judged is None:
            return False
        return judged >= self.bound if self.sense == "at least" else judged <= self.bound


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of the table. `samples` and `floors` were taken alternately on `engine`, one pair per round.

    The figure and its floor are medians. The ratio is the median of the ratios of the pairs, because a disturbance of
    some seconds affects both sides of a pair.
    """

    name: str
    unit: str
    samples: Sequence[float]
    floors: Sequence[float] = field(default=())
    bar: Bar | None = None
    engine: str = ""

    @property
    def value(self) -> float:
        """Return the median of the samples."""
        return median(self.samples)

    @property
    def floor(self) -> float | None:
        """Return the median of the floor's samples; None without a floor."""
        return median(self.floors) if self.floors else None

    @property
    def ratio(self) -> float | None:
        """Return the ratio of the figure to its floor; None without a floor."""
        pairs = zip(self.samples, self.floors, strict=True) if self.floors else ()
        ratios = [sample / floor for sample, floor in pairs]
        return median(ratios) if ratios else None

    @property
    def is_met(self) -> bool | None:
        """Return True if the bar is met; None without a bar."""
        return None if self.bar is None else self.bar.is_met(self.value, self.ratio)

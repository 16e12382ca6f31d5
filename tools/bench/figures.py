"""A figure beside its floor, and whether it meets its bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal


@dataclass(frozen=True, slots=True)
class Bar:
    """What is asked of a figure: of its value, or of its ratio to the floor."""

    of: Literal["value", "ratio"]
    sense: Literal["at least", "at most"]
    bound: float

    def is_met(self, value: float, ratio: float | None) -> bool:
        """Whether the figure meets it."""
        judged = value if self.of == "value" else ratio
        if judged is None:
            return False
        return judged >= self.bound if self.sense == "at least" else judged <= self.bound


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `samples` and `floors` were taken in turns, one pair a round, on `engine`.

    The figure and its floor are the medians. The ratio is the median of the ratios of the pairs, because what disturbs
    the machine for some seconds then disturbs both sides of it.
    """

    name: str
    unit: str
    samples: Sequence[float]
    floors: Sequence[float] = field(default=())
    bar: Bar | None = None
    engine: str = ""

    @property
    def value(self) -> float:
        """The figure."""
        return median(self.samples)

    @property
    def floor(self) -> float | None:
        """The floor, where there is one."""
        return median(self.floors) if self.floors else None

    @property
    def ratio(self) -> float | None:
        """The figure in terms of its floor."""
        pairs = zip(self.samples, self.floors, strict=True) if self.floors else ()
        ratios = [sample / floor for sample, floor in pairs]
        return median(ratios) if ratios else None

    @property
    def is_met(self) -> bool | None:
        """Whether the bar is met; None without a bar."""
        return None if self.bar is None else self.bar.is_met(self.value, self.ratio)

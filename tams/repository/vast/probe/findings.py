"""A question to the cluster, and what came out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tams.domain.errors import Unavailable
from tams.repository.vast.probe.scratch import Scratch

UNKNOWN = "unknown"
"""The finding of a check that failed itself: it counts as the worst."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`finding`: one of a few words, or a number, that programs compare. `evidence`: what was seen, for people.

    `measured` is a number that is another one each time.
    """

    name: str
    question: str
    finding: Any
    evidence: str
    measured: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        of = {"question": self.question, "finding": self.finding, "evidence": self.evidence}
        return of if self.measured is None else of | {"measured": self.measured}


@dataclass(frozen=True, slots=True)
class Check:
    """`ask` answers with the finding and the evidence, and maybe what was measured."""

    name: str
    question: str
    ask: Callable[[Scratch], tuple[Any, str] | tuple[Any, str, float]]

    def made(self, scratch: Scratch) -> Finding:
        """Ask. What the check itself stumbles over is evidence, too."""
        try:
            return Finding(self.name, self.question, *self.ask(scratch))
        except Unavailable as error:
            return Finding(self.name, self.question, UNKNOWN, f"the check failed: {error}")

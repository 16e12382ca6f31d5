"""Checks of a cluster and their findings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tams.domain.errors import Unavailable
from tams.repository.vast.probe.scratch import Scratch

UNKNOWN = "unknown"
"""The finding of a check that could not be completed. It counts as the worst result."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check.

    `finding`: one of a few words, or a number, for programs. `evidence`: a text about what was observed, for people.
    `measured`: a number that varies from run to run.
    """

    name: str
    question: str
    finding: Any
    evidence: str
    measured: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        fields = {"question": self.question, "finding": self.finding, "evidence": self.evidence}
        return fields if self.measured is None else fields | {"measured": self.measured}


@dataclass(frozen=True, slots=True)
class Check:
    """A question about a cluster. `ask` returns the finding, the evidence, and for some checks a measured number."""

    name: str
    question: str
    ask: Callable[[Scratch], tuple[Any, str] | tuple[Any, str, float]]

    def run(self, scratch: Scratch) -> Finding:
        """Run the check and return its finding. If it fails, the finding is unknown and the error is the evidence."""
        try:
            return Finding(self.name, self.question, *self.ask(scratch))
        except Unavailable as error:
            return Finding(self.name, self.question, UNKNOWN, f"the check failed: {error}")

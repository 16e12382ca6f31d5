"""The results of all parts: counts of checks, failures with their requests, operations and statuses seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.conformance.document import Operation
    from tools.conformance.exchange import Exchange


@dataclass(slots=True)
class Failure:
    """A failed check. Further failures of the same check on the same operation and status are only counted."""

    part: str
    operation: str
    check: str
    expected: str
    curl: str
    response: str
    times: int = 1


@dataclass(slots=True)
class Part:
    """The counts of one part of the run."""

    name: str
    requests: int = 0
    passed: int = 0
    failed: int = 0
    operations: set[str] = field(default_factory=set)
    statuses: set[tuple[str, int]] = field(default_factory=set)
    """Every (operation, status) seen."""


class Results:
    """The results of a run."""

    def __init__(self) -> None:
        self.parts: dict[str, Part] = {}
        self.failures: list[Failure] = []
        self.allowed: Counter[str] = Counter()
        """Number of uses of each allowance."""
        self._known: dict[tuple[str, str, str, int], Failure] = {}

    @property
    def passed(self) -> int:
        """Return the number of checks that passed."""
        return sum(part.passed for part in self.parts.values())

    @property
    def failed(self) -> int:
        """Return the number of checks that failed."""
        return sum(part.failed for part in self.parts.values())

    def part(self, name: str) -> Part:
        """Return the part with this name, created on first use."""
        return self.parts.setdefault(name, Part(name))

    def sent(self, part: str, operation: Operation, exchange: Exchange) -> None:
        """Count a request."""
        counts = self.part(part)
        counts.requests += 1
        counts.operations.add(operation.label)
        counts.statuses.add((operation.label, exchange.status))

    def record(self, part: str, operation: str, check: str, fault: str | None, exchange: Exchange | None) -> None:
        """Count a check. `fault` is what was expected instead; None if the check passed."""
        counts = self.part(part)
        if fault is None:
            counts.passed += 1
            return
        counts.failed += 1
        failure_id = (part, operation, check, exchange.status if exchange else 0)
        if failure_id in self._known:
            self._known[failure_id].times += 1
            return
        curl, response = (exchange.curl(), exchange.response_text()) if exchange else ("", "")
        self._known[failure_id] = Failure(part, operation, check, fault, curl, response)
        self.failures.append(self._known[failure_id])

"""What the parts found: checks counted, failures kept with their request, operations and statuses seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.conformance.document import Operation
    from tools.conformance.exchange import Exchange


@dataclass(slots=True)
class Failure:
    """A check that failed; the same one on other requests to the operation is only counted."""

    part: str
    operation: str
    check: str
    expected: str
    curl: str
    answer: str
    times: int = 1


@dataclass(slots=True)
class Part:
    """The figures of one part of the run."""

    name: str
    requests: int = 0
    passed: int = 0
    failed: int = 0
    operations: set[str] = field(default_factory=set)
    statuses: set[tuple[str, int]] = field(default_factory=set)
    """Every (operation, status) seen."""


class Results:
    """Everything that a run finds."""

    def __init__(self) -> None:
        self.parts: dict[str, Part] = {}
        self.failures: list[Failure] = []
        self.allowed: Counter[str] = Counter()
        """How often each allowance was made use of."""
        self._known: dict[tuple[str, str, str, int], Failure] = {}

    @property
    def passed(self) -> int:
        """How many checks passed."""
        return sum(part.passed for part in self.parts.values())

    @property
    def failed(self) -> int:
        """How many checks failed."""
        return sum(part.failed for part in self.parts.values())

    def part(self, name: str) -> Part:
        """The part of this name, made where it is new."""
        return self.parts.setdefault(name, Part(name))

    def sent(self, part: str, operation: Operation, exchange: Exchange) -> None:
        """Count a request."""
        of_part = self.part(part)
        of_part.requests += 1
        of_part.operations.add(operation.label)
        of_part.statuses.add((operation.label, exchange.status))

    def record(self, part: str, operation: str, check: str, fault: str | None, exchange: Exchange | None) -> None:
        """Count a check; `fault` says what was expected instead, and is None where the check passed."""
        of_part = self.part(part)
        if fault is None:
            of_part.passed += 1
            return
        of_part.failed += 1
        key = (part, operation, check, exchange.status if exchange else 0)
        if key in self._known:
            self._known[key].times += 1
            return
        curl, answer = (exchange.curl(), exchange.answer()) if exchange else ("", "")
        self._known[key] = Failure(part, operation, check, fault, curl, answer)
        self.failures.append(self._known[key])

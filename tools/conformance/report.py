"""The report of a run, as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.conformance import allowances

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.conformance.document import ApiDocument
    from tools.conformance.results import Failure, Results


def check_coverage(document: ApiDocument, results: Results, driven: str) -> None:
    """Record an operation, or a documented status without an allowance, that the driven session left out."""
    part = results.part(driven)
    for label, operation in document.operations.items():
        fault = None if label in part.operations else "the session to exercise the operation"
        results.record(driven, label, "operation is exercised", fault, None)
        for status in operation.responses:
            # A status counts as seen in any part, in generated requests as in the driven session.
            seen = any((label, status) in other_part.statuses for other_part in results.parts.values())
            if f"{status} to {label}" not in allowances.UNSEEN_STATUSES:
                fault = None if seen else f"a request that causes {status}"
                results.record(driven, label, f"documented {status} is seen", fault, None)


def lines(document: ApiDocument, results: Results, url: str, driven: str, seconds: float) -> Iterator[str]:
    """Yield the lines of the report."""
    covered = results.part(driven).operations
    missing = [label for label in document.operations if label not in covered]
    documented = sum(len(operation.responses) for operation in document.operations.values())
    seen = {pair for part in results.parts.values() for pair in part.statuses}
    seen_count = sum(
        (label, status) in seen for label, operation in document.operations.items() for status in operation.responses
    )
    yield f"{url} against {document.title}, {seconds:.0f} s"
    yield ""
    yield f"operations covered   {len(covered)} of {len(document.operations)}"
    yield from (f"  missing: {label}" for label in missing)
    yield f"documented statuses  {seen_count} of {documented} seen, {documented - seen_count} not"
    yield ""
    yield f"{'part':<12}{'requests':>10}{'operations':>12}{'passed':>10}{'failed':>8}"
    for part in results.parts.values():
        figures = f"{part.requests:>10}{len(part.operations):>12}{part.passed:>10}{part.failed:>8}"
        yield f"{part.name:<12}{figures}"
    yield from _allowances(results)
    for number, failure in enumerate(results.failures, 1):
        yield from _failure(number, failure)
    yield ""
    yield f"{results.passed} passed, {results.failed} failed"


def as_json(document: ApiDocument, results: Results, url: str, driven: str, seconds: float) -> dict[str, Any]:
    """Return the report as a JSON object."""
    covered = results.part(driven).operations
    return {
        "document": document.title,
        "url": url,
        "seconds": round(seconds, 1),
        "operations": len(document.operations),
        "covered": len(covered),
        "missing": [label for label in document.operations if label not in covered],
        "parts": [
            {"name": part.name, "requests": part.requests, "passed": part.passed, "failed": part.failed}
            for part in results.parts.values()
        ],
        "added_statuses": dict(results.allowed),
        "failures": [
            {
                "part": failure.part,
                "operation": failure.operation,
                "check": failure.check,
                "expected": failure.expected,
                "request": failure.curl,
                "answer": failure.response,
                "times": failure.times,
            }
            for failure in results.failures
        ],
        "passed": results.passed,
        "failed": results.failed,
    }


def _allowances(results: Results) -> Iterator[str]:
    yield ""
    yield "Statuses accepted beyond the document, and how often they were seen:"
    for allowance in allowances.ADDED_STATUSES:
        yield f"  {allowance.name} ({results.allowed[allowance.name]}): {allowance.reason}"
    yield ""
    yield "Documented statuses that the session cannot cause:"
    for reason, names in _by_reason(allowances.UNSEEN_STATUSES).items():
        yield f"  {', '.join(names)}: {reason}"
    yield ""
    yield "Where the document itself is at fault:"
    for fault in allowances.DOCUMENT_FAULTS:
        yield f"  {fault.name}: {fault.reason}"
    yield ""
    yield "Examples of the document that are refused, or not sent:"
    for reason, names in _by_reason(allowances.EXAMPLES).items():
        yield f"  {', '.join(names)}: {reason}"


def _by_reason(reasons: dict[str, str]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    return names


def _failure(number: int, failure: Failure) -> Iterator[str]:
    yield ""
    times = f" ({failure.times} times)" if failure.times > 1 else ""
    yield f"FAILURE {number}{times}  {failure.part}: {failure.operation}: {failure.check}"
    yield from _indented("expected", failure.expected)
    yield from _indented("request", failure.curl)
    yield from _indented("answer", failure.response)


def _indented(title: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines()):
        yield f"  {title if number == 0 else '':<9}{line}"

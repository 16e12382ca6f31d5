"""A run of the SDK's own tests, which VAST ships, against the emulator: a measure of how alike a cluster it is.

`python -m tools.vast_emulator.sdk_tests [pytest arguments]` prints how many of the tests that need a server passed, and
fails if one did not. Some of them wait for minutes until a cluster has sorted its rows.
"""

import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

# Packages that the tests import and the SDK itself does not need, by module.
_NEEDED = {
    "boto3": "boto3",
    "duckdb": "duckdb<1.4",
    "pandas": "pandas",
    "pytest_check": "pytest-check",
    "pytest_retry": "pytest-retry",
}
# Fixtures that connect to a server. A test that uses none of them tests only the SDK.
_SERVER_FIXTURES = frozenset({"session", "session_provider", "tabular_endpoint_urls", "clean_bucket_name", "s3"})
_DRIVER = "needs the native ADBC driver, which speaks to a query engine that the emulator does not have"
_CATALOG = "reads rows of VAST's own catalog or audit log"
_NOT_APPLICABLE = {
    "test_adbc_integration.py::": _DRIVER,
    "test_vector_search.py::test_sanity": _DRIVER,
    "test_vector_search.py::test_with_predicates": _DRIVER,
    "test_tables.py::test_catalog_select": _CATALOG,
    "test_tables.py::test_catalog_snapshots_select": _CATALOG,
    "test_tables.py::test_audit_log_select": _CATALOG,
}


@dataclass
class Tally:
    """A pytest plugin that selects the tests that need a server, and counts their results."""

    passed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    not_applicable: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)  # modules that skip themselves, and why
    without_server: int = 0

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Record a module that skips itself."""
        if report.skipped:
            self.left_out[report.nodeid] = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else "")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Deselect tests that need no server or that do not apply to an emulator."""
        selected = []
        for item in items:
            reason = next((why for part, why in _NOT_APPLICABLE.items() if part in item.nodeid), None)
            if not _SERVER_FIXTURES & set(getattr(item, "fixturenames", ())):
                self.without_server += 1
            elif reason is not None:
                self.not_applicable[item.nodeid] = reason
            else:
                selected.append(item)
        items[:] = selected

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test by its worst phase."""
        if report.failed:
            self.failed[report.nodeid] = str(report.when)
        elif report.skipped:
            self.skipped[report.nodeid] = str(report.longrepr)
        elif report.when == "teardown" and report.nodeid not in self.failed and report.nodeid not in self.skipped:
            self.passed.append(report.nodeid)

    def summary(self) -> str:
        """Return the summary to print."""
        lines = ["", "Not applicable:"]
        lines += [f"  {_short(test)}: {why}" for test, why in self.not_applicable.items()]
        lines += [f"Skipped by VAST itself: {_short(module)}: {why}" for module, why in self.left_out.items()]
        lines += [f"Failed: {_short(test)} ({phase})" for test, phase in self.failed.items()]
        lines += [f"Skipped: {_short(test)}: {why}" for test, why in self.skipped.items()]
        run = len(self.passed) + len(self.failed) + len(self.skipped)
        server = run + len(self.not_applicable)
        lines.append(
            f"VAST SDK tests: {server} need a server, {len(self.not_applicable)} of them are not applicable; "
            f"{len(self.passed)} of {run} passed ({self.without_server} tests need no server)"
        )
        return "\n".join(lines)


def _short(test: str) -> str:
    return test.rpartition("/")[2]


@contextmanager
def _emulator() -> Iterator[str]:
    """Start an emulator process and yield its endpoint."""
    command = [sys.executable, "-m", "tools.vast_emulator", "--port", "0", "--access", "sdk", "--secret", "tests"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            endpoint = re.search(r"http://\S+", line)
            if endpoint is None:
                raise RuntimeError(f"the emulator did not start: {line!r}")
            yield endpoint[0]
        finally:
            process.terminate()


def main(arguments: list[str]) -> int:
    """Run the tests; return 0 if all that apply passed."""
    missing = [package for module, package in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        print(f"VAST's tests need more packages: pip install {' '.join(repr(name) for name in missing)}")
        return 2
    spec = importlib.util.find_spec("vastdb")
    if spec is None or spec.origin is None:
        print("VAST's tests come with the SDK: pip install vastdb")
        return 2
    package = Path(spec.origin).parent
    tally = Tally()
    with _emulator() as endpoint, tempfile.TemporaryDirectory() as scratch:
        options = [
            "-c", str(Path(scratch, "none.ini")), f"--rootdir={package}", f"--confcutdir={package}",
            "--import-mode=prepend", "-p", "no:cacheprovider", "-q", "--tb=short",
            "--tabular-endpoint-url", endpoint, "--tabular-access-key", "sdk", "--tabular-secret-key", "tests",
            str(package / "tests"),
        ]  # fmt: skip
        Path(scratch, "none.ini").write_text("[pytest]\n")
        pytest.main([*options, *arguments], plugins=[tally])
    print(tally.summary())
    return 1 if tally.failed or tally.skipped or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The command `python -m tools.bench`; `--help` lists its options."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tools.bench import documented, machine, report, site
from tools.bench.databases import ENGINES, Engine
from tools.bench.extent import QUICK, WHOLE, Extent
from tools.bench.figures import Figure
from tools.bench.measurements import all_measurements
from tools.bench.measurements.measurement import Measurement
from tools.bench.profiling import NAMES, profile

_FAILURES = (OSError, RuntimeError, ValueError, subprocess.SubprocessError)
ARCHIVES = "TAMS_BENCH_ARCHIVES"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the table; return 1 if a measurement failed, 2 if `--only` matches no measurement."""
    options = _options(arguments)
    # Servers and databases are stopped, too, when a signal ends the run.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("The run was ended by SIGTERM."))
    if options.profile:
        for engine in options.engine or ENGINES[:1]:
            profile(options.profile, options.sort, engine)
        return 0
    if options.merge:
        result = report.merged([report.read(file) for file in options.merge])
        failed = False
    else:
        if not any(_selected(all_measurements(engine, QUICK), options.only) for engine in _engines(options)):
            print(
                f"No measurement is called {', '.join(options.only)}. See docs/explanation/performance.md.",
                file=sys.stderr,
            )
            return 2
        result, failed = _measured(options)
    for line in report.lines(result):
        print(line)
    report.write(options.json, result)
    if options.document is not None:
        documented.write_into(options.document, result)
    return 1 if failed else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench",
        description="Measure the store, and the least that its tasks cost on this machine.",
        epilog="Repeat a measurement that failed or was interrupted with --keep and --only.",
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer and shorter rounds and smaller archives, as a check"
    )
    parser.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        help="measure only this, or all that the pattern matches (page-*); repeatable",
    )
    parser.add_argument(
        "--engine", action="append", choices=ENGINES, help="measure only on this database; repeatable [default: all]"
    )
    parser.add_argument(
        "--archives",
        type=Path,
        metavar="DIR",
        default=os.environ.get(ARCHIVES),
        help=f"keep the archives of millions of Segments in DIR for the next run [default: ${ARCHIVES}, else not kept]",
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        default=Path("bench.json"),
        help="store all figures in FILE [default: bench.json]",
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep figures of the JSON file that this run does not measure"
    )
    parser.add_argument("--merge", type=Path, metavar="FILE", nargs="+", help="measure nothing; combine JSON files")
    parser.add_argument("--document", type=Path, metavar="FILE", help="also write table and chart into this document")
    parser.add_argument("--profile", choices=NAMES, help="measure nothing; profile one kind of request")
    parser.add_argument(
        "--sort", default="tottime", choices=("tottime", "cumulative"), help="order of the profile [default: tottime]"
    )
    return parser.parse_args(arguments)


def _engines(options: argparse.Namespace) -> Sequence[Engine]:
    return options.engine or ENGINES


def _selected(measurements: Sequence[Measurement], only: Sequence[str] | None) -> list[Measurement]:
    return [
        measurement
        for measurement in measurements
        if not only or any(fnmatch(measurement.name, pattern) for pattern in only)
    ]


def _measured(options: argparse.Namespace) -> tuple[report.Json, bool]:
    """Return the JSON document, which is stored after each engine, and True if a measurement failed."""
    extent = QUICK if options.quick else WHOLE
    machine_facts = machine.describe()
    start = time.monotonic()
    earlier = [report.read(options.json)] if options.keep and options.json.exists() else []
    run = _Run(extent)
    result: report.Json = report.as_json(machine_facts, {}, [])
    for engine in _engines(options):
        run.measure(engine, options.only, options.archives)
        if run.generator is not None:
            machine_facts["load generator"] = f"Python, one process, {run.generator:.3f} ms of CPU a request"
        seconds = round(time.monotonic() - start, 1)
        run_facts = {"rounds": extent.rounds, "seconds": extent.seconds, "quick": options.quick, "took": seconds}
        result = report.merged([*earlier, report.as_json(machine_facts, run_facts, run.figures)])
        report.write(options.json, result)
    return result, run.failed


class _Sample(NamedTuple):
    """A sample of a measurement that is yet to be taken."""

    measurement: Measurement
    place: site.Site
    seconds: float
    floor_first: bool

    def take(self) -> None:
        """Take the sample."""
        self.measurement.sample(self.place, self.seconds, floor_first=self.floor_first)


class _Run:
    """The figures so far, and the CPU time of the load generator per request in milliseconds."""

    def __init__(self, extent: Extent) -> None:
        self._extent = extent
        self._start = time.monotonic()
        self.figures: list[Figure] = []
        self.generator: float | None = None
        self.failed = False

    def measure(self, engine: Engine, only: Sequence[str] | None, archives: Path | None) -> None:
        """Run the selected measurements on one engine. A measurement that fails is left out."""
        measurements = _selected(all_measurements(engine, self._extent), only)
        if not measurements:
            return
        with tempfile.TemporaryDirectory(prefix="tams-bench-", ignore_cleanup_errors=True) as directory:
            folder = Path(directory)
            try:
                with site.opened(engine, folder / "site", archives or folder / "archives") as place:
                    self._rounds(engine, place, measurements)
                    self.generator = place.generator.milliseconds or self.generator
            except _FAILURES as error:
                self._note(f"{engine}: the measurement failed: {error}")
                self.failed = True

    def _rounds(self, engine: Engine, place: site.Site, measurements: list[Measurement]) -> None:
        rounds, seconds = self._extent.rounds, self._extent.seconds
        active = [
            measurement
            for measurement in measurements
            if self._succeeds(engine, measurement, "prepared", partial(measurement.prepare, place))
        ]
        for number in range(rounds):
            self._note(f"{engine}: round {number + 1} of {rounds}")
            floor_first = number % 2 == 1
            active = [
                measurement
                for measurement in active
                if self._succeeds(
                    engine, measurement, "measured", _Sample(measurement, place, seconds, floor_first).take
                )
            ]
        for measurement in active:
            self.figures += [replace(figure, engine=figure.engine or engine) for figure in measurement.figures()]

    def _succeeds(self, engine: Engine, measurement: Measurement, what: str, step: Callable[[], None]) -> bool:
        start = time.monotonic()
        try:
            step()
        except _FAILURES as error:
            self._note(f"{engine}: {measurement.name} could not be {what}: {error}")
            self.failed = True
            return False
        if time.monotonic() - start > 1:
            self._note(f"{engine}: {measurement.name} was {what} in {time.monotonic() - start:.0f} s")
        return True

    def _note(self, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._start), 60)
        print(f"{minutes:3}:{seconds:02} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""The command: `python -m tools.bench`; `--help` shows what it can be told."""

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

_TROUBLE = (OSError, RuntimeError, ValueError, subprocess.SubprocessError)
ARCHIVES = "TAMS_BENCH_ARCHIVES"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the table; 1 where something could not be measured, 2 where there is nothing of that name."""
    options = _options(arguments)
    # So that servers and databases go, too, where the run is ended from outside.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("The run was ended."))
    if options.profile:
        for engine in options.engine or ENGINES[:1]:
            profile(options.profile, options.sort, engine)
        return 0
    if options.merge:
        result = report.merged([report.read(file) for file in options.merge])
        failed = False
    else:
        if not any(_chosen(all_measurements(engine, QUICK), options.only) for engine in _engines(options)):
            print(f"There is nothing to measure of that name: {', '.join(options.only)}", file=sys.stderr)
            return 2
        result, failed = _measured(options)
    for line in report.shown(result):
        print(line)
    report.write(options.json, result)
    if options.document is not None:
        documented.write_into(options.document, result)
    return 1 if failed else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench",
        description="Measure the store beside what the machine could do at best.",
        epilog="What a run could not measure, or was cut off from, comes from another one with --keep and --only.",
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: to see whether it works")
    parser.add_argument("--only", metavar="NAME", action="append", help="only this, or what this matches (page-*)")
    parser.add_argument("--engine", action="append", choices=ENGINES, help="only on this database [default: each]")
    parser.add_argument(
        "--archives",
        type=Path,
        metavar="DIR",
        default=os.environ.get(ARCHIVES),
        help=f"keep archives of millions of Segments here for the next run [default: ${ARCHIVES}, or nowhere]",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", default=Path("bench.json"), help="[default: bench.json]")
    parser.add_argument(
        "--keep", action="store_true", help="keep figures in the JSON file that this run does not measure"
    )
    parser.add_argument(
        "--merge", type=Path, metavar="FILE", nargs="+", help="measure nothing: put JSON files together"
    )
    parser.add_argument("--document", type=Path, metavar="FILE", help="put table and chart into this document, too")
    parser.add_argument("--profile", choices=NAMES, help="only show where the time of one request goes")
    parser.add_argument("--sort", default="tottime", choices=("tottime", "cumulative"), help="the order of the profile")
    return parser.parse_args(arguments)


def _engines(options: argparse.Namespace) -> Sequence[Engine]:
    return options.engine or ENGINES


def _chosen(measurements: Sequence[Measurement], only: Sequence[str] | None) -> list[Measurement]:
    return [each for each in measurements if not only or any(fnmatch(each.name, name) for name in only)]


def _measured(options: argparse.Namespace) -> tuple[report.Json, bool]:
    """The JSON document, which is stored after each engine, and whether something could not be measured."""
    extent = QUICK if options.quick else WHOLE
    about = machine.describe()
    began = time.monotonic()
    before = [report.read(options.json)] if options.keep and options.json.exists() else []
    run = _Run(extent)
    result: report.Json = report.as_json(about, {}, [])
    for engine in _engines(options):
        run.measure(engine, options.only, options.archives)
        if run.generator is not None:
            about["load generator"] = f"Python, one process, {run.generator:.3f} ms of CPU a request"
        took = round(time.monotonic() - began, 1)
        told = {"rounds": extent.rounds, "seconds": extent.seconds, "quick": options.quick, "took": took}
        result = report.merged([*before, report.as_json(about, told, run.figures)])
        report.write(options.json, result)
    return result, run.failed


class _Sample(NamedTuple):
    """One sample of a measurement, to be taken later."""

    measurement: Measurement
    place: site.Site
    seconds: float
    floor_first: bool

    def take(self) -> None:
        """Take it."""
        self.measurement.sample(self.place, self.seconds, floor_first=self.floor_first)


class _Run:
    """The figures so far, and what the load generator took for a request (milliseconds of CPU)."""

    def __init__(self, extent: Extent) -> None:
        self._extent = extent
        self._began = time.monotonic()
        self.figures: list[Figure] = []
        self.generator: float | None = None
        self.failed = False

    def measure(self, engine: Engine, only: Sequence[str] | None, archives: Path | None) -> None:
        """Measure what is chosen on one engine. What fails is left out, and the rest goes on."""
        chosen = _chosen(all_measurements(engine, self._extent), only)
        if not chosen:
            return
        with tempfile.TemporaryDirectory(prefix="tams-bench-", ignore_cleanup_errors=True) as directory:
            here = Path(directory)
            try:
                with site.opened(engine, here / "site", archives or here / "archives") as place:
                    self._rounds(engine, place, chosen)
                    self.generator = place.generator.milliseconds or self.generator
            except _TROUBLE as error:
                self._note(f"{engine}: it could not be measured: {error}")
                self.failed = True

    def _rounds(self, engine: Engine, place: site.Site, chosen: list[Measurement]) -> None:
        rounds, seconds = self._extent.rounds, self._extent.seconds
        going = [each for each in chosen if self._does(engine, each, "prepared", partial(each.prepare, place))]
        for number in range(rounds):
            self._note(f"{engine}: round {number + 1} of {rounds}")
            first = number % 2 == 1
            going = [
                measurement
                for measurement in going
                if self._does(engine, measurement, "measured", _Sample(measurement, place, seconds, first).take)
            ]
        for each in going:
            self.figures += [replace(figure, engine=figure.engine or engine) for figure in each.figures()]

    def _does(self, engine: Engine, measurement: Measurement, what: str, step: Callable[[], None]) -> bool:
        began = time.monotonic()
        try:
            step()
        except _TROUBLE as error:
            self._note(f"{engine}: {measurement.name} could not be {what}: {error}")
            self.failed = True
            return False
        if time.monotonic() - began > 1:
            self._note(f"{engine}: {measurement.name} was {what} in {time.monotonic() - began:.0f} s")
        return True

    def _note(self, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        print(f"{minutes:3}:{seconds:02} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

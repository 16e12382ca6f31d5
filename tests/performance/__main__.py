"""The command: `python -m tests.performance`; `--help` shows what it can be told."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from tests.performance import machine, report, site
from tests.performance.figures import Figure
from tests.performance.load import generator_name
from tests.performance.measurements import all_measurements
from tests.performance.profiling import NAMES, profile

_ROUNDS, _SECONDS = 5, 3.0
_QUICK_ROUNDS, _QUICK_SECONDS = 3, 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the table; 1 where it could not be measured, 2 where there is nothing of that name."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.performance", description="Measure the store beside what the machine could do at best."
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: to see whether it works")
    parser.add_argument("--only", metavar="NAME", action="append", help="only this, or what this matches (page-*)")
    parser.add_argument("--json", type=Path, metavar="FILE", default=Path("bench.json"), help="[default: bench.json]")
    parser.add_argument("--document", type=Path, metavar="FILE", help="put the table into this document, too")
    parser.add_argument("--profile", choices=NAMES, help="only show where the time of one request goes")
    parser.add_argument("--sort", default="tottime", choices=("tottime", "cumulative"), help="the order of the profile")
    options = parser.parse_args(arguments)
    if options.profile:
        profile(options.profile, options.sort)
        return 0
    rounds, seconds = (_QUICK_ROUNDS, _QUICK_SECONDS) if options.quick else (_ROUNDS, _SECONDS)
    about = machine.describe(generator_name())
    began = time.monotonic()
    try:
        figures, own = measure(rounds, seconds, options.only)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        print(f"It could not be measured: {error}", file=sys.stderr)
        return 1
    if not figures:
        print(f"There is nothing to measure of that name: {', '.join(options.only)}", file=sys.stderr)
        return 2
    if own is not None:
        about["load generator"] += f", {own:.3f} ms of CPU a request"
    for name, value in about.items():
        print(f"{name}: {value}")
    print()
    for line in report.table(figures):
        print(line)
    run = {"rounds": rounds, "seconds": seconds, "took": round(time.monotonic() - began, 1)}
    options.json.write_text(json.dumps(report.as_json(about, run, figures), indent=2) + "\n")
    if options.document is not None:
        report.write_into(options.document, about, figures)
    return 0


def measure(rounds: int, seconds: float, only: Sequence[str] | None) -> tuple[list[Figure], float | None]:
    """The figures, and what the load generator took for a request (milliseconds of CPU)."""
    chosen = [each for each in all_measurements(rounds) if not only or any(fnmatch(each.name, name) for name in only)]
    if not chosen:
        return [], None
    with tempfile.TemporaryDirectory(prefix="tams-bench-") as directory, site.opened(Path(directory)) as place:
        for measurement in chosen:
            print(f"{measurement.name} …", file=sys.stderr)
            measurement.prepare(place)
        for number in range(rounds):
            print(f"round {number + 1} of {rounds} …", file=sys.stderr)
            for measurement in chosen:
                measurement.sample(place, seconds, floor_first=number % 2 == 1)
        return [figure for measurement in chosen for figure in measurement.figures()], place.generator.milliseconds


if __name__ == "__main__":
    sys.exit(main())

"""The figures of a run as a JSON document and as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from tools.bench.figures import Figure

Json: TypeAlias = dict[str, Any]

HEADINGS = ("engine", "measured", "figure", "floor", "ratio", "bar", "met")


def as_json(machine: dict[str, str], run: Json, figures: Sequence[Figure]) -> Json:
    """Return the machine, the run and all figures, samples included."""
    return {
        "machine": machine,
        "run": run,
        "figures": [
            {
                "engine": figure.engine,
                "name": figure.name,
                "unit": figure.unit,
                "value": figure.value,
                "floor": figure.floor,
                "ratio": figure.ratio,
                "bar": None
                if figure.bar is None
                else {"of": figure.bar.of, "sense": figure.bar.sense, "bound": figure.bar.bound},
                "met": figure.is_met,
                "samples": list(figure.samples),
                "floors": list(figure.floors),
            }
            for figure in figures
        ],
    }


def merged(documents: Sequence[Json]) -> Json:
    """Combine documents: the latest value of each figure, with the machine and run of the last document."""
    latest: dict[tuple[str, str], Json] = {}
    for document in documents:
        for figure in document["figures"]:
            latest[figure["engine"], figure["name"]] = figure
    seconds = sum(document["run"].get("took", 0) for document in documents)
    last = documents[-1]
    return {
        "machine": last["machine"],
        "run": last["run"] | {"took": round(seconds, 1)},
        "figures": list(latest.values()),
    }


def read(file: Path) -> Json:
    """Read the document from a file."""
    document: Json = json.loads(file.read_text())
    return document


def write(file: Path, document: Json) -> None:
    """Store the document in one step, so that an interrupted write leaves the previous one."""
    temporary_file = file.with_name(file.name + ".new")
    temporary_file.write_text(json.dumps(document, indent=2) + "\n")
    temporary_file.replace(file)


def lines(document: Json) -> list[str]:
    """Return the lines to print: the machine, and the table as plain text."""
    rows = [HEADINGS, *(cells(figure) for figure in document["figures"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    table_lines = []
    for row in rows:
        left = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
        right = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        table_lines.append("  ".join([*left, *right]).rstrip())
    machine_lines = [f"{name}: {value}" for name, value in document["machine"].items()]
    return [*machine_lines, "", table_lines[0], "  ".join("-" * width for width in widths), *table_lines[1:]]


def cells(figure: Json) -> tuple[str, ...]:
    """Return the cells of a figure's row."""
    floor, ratio, bar, unit = figure["floor"], figure["ratio"], figure["bar"], figure["unit"]
    return (
        figure["engine"],
        figure["name"],
        f"{_number(figure['value'])} {unit}".rstrip(),
        "" if floor is None else f"{_number(floor)} {unit}".rstrip(),
        "" if ratio is None else f"{ratio:.2f}",
        "" if bar is None else f"{bar['of']} {bar['sense']} {_number(bar['bound'])}",
        {True: "yes", False: "NO", None: ""}[figure["met"]],
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"

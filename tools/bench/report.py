"""The figures for people and for machines: the JSON document of a run, and the table of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from tools.bench.figures import Figure

Json: TypeAlias = dict[str, Any]

HEADINGS = ("engine", "measured", "figure", "floor", "ratio", "bar", "met")


def as_json(machine: dict[str, str], run: Json, figures: Sequence[Figure]) -> Json:
    """Everything, samples included."""
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
    """One document of several: of each figure the latest one, and of the machine and the run what the last one says."""
    latest: dict[tuple[str, str], Json] = {}
    for document in documents:
        for figure in document["figures"]:
            latest[figure["engine"], figure["name"]] = figure
    took = sum(document["run"].get("took", 0) for document in documents)
    last = documents[-1]
    return {"machine": last["machine"], "run": last["run"] | {"took": round(took, 1)}, "figures": list(latest.values())}


def read(file: Path) -> Json:
    """The document in a file."""
    document: Json = json.loads(file.read_text())
    return document


def write(file: Path, document: Json) -> None:
    """Store the document; a kill leaves the one before."""
    new = file.with_name(file.name + ".new")
    new.write_text(json.dumps(document, indent=2) + "\n")
    new.replace(file)


def shown(document: Json) -> list[str]:
    """What is printed: the machine, and a table of plain text."""
    rows = [HEADINGS, *(cells(figure) for figure in document["figures"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = []
    for row in rows:
        left = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
        right = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        lines.append("  ".join([*left, *right]).rstrip())
    about = [f"{name}: {value}" for name, value in document["machine"].items()]
    return [*about, "", lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def cells(figure: Json) -> tuple[str, ...]:
    """The line of the table."""
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

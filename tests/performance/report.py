"""The figures for people, for machines, and for the documentation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.performance.figures import Bar, Figure

BEGIN = "<!-- figures: begin -->"
END = "<!-- figures: end -->"

_HEADINGS = ("measured", "figure", "floor", "ratio", "bar", "met")


def table(figures: Sequence[Figure]) -> list[str]:
    """The lines of a table of plain text."""
    rows = [_HEADINGS, *(_cells(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def as_json(machine: dict[str, str], run: dict[str, Any], figures: Sequence[Figure]) -> dict[str, Any]:
    """Everything, samples included."""
    return {
        "machine": machine,
        "run": run,
        "figures": [
            {
                "name": figure.name,
                "unit": figure.unit,
                "value": figure.value,
                "floor": figure.floor,
                "ratio": figure.ratio,
                "bar": None if figure.bar is None else _bar(figure.bar),
                "met": figure.is_met,
                "samples": list(figure.samples),
                "floors": list(figure.floors),
            }
            for figure in figures
        ],
    }


def write_into(document: Path, machine: dict[str, str], figures: Sequence[Figure]) -> None:
    """Put the figures between the two markers of a Markdown document."""
    text = document.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{document} has no place for figures: it needs the lines {BEGIN} and {END}")
    lines = [f"- {name}: {value}" for name, value in machine.items()]
    lines += ["", "| " + " | ".join(_HEADINGS) + " |", "|---|" + "---:|" * (len(_HEADINGS) - 1)]
    lines += ["| " + " | ".join(_cells(figure)) + " |" for figure in figures]
    document.write_text(before + BEGIN + "\n\n" + "\n".join(lines) + "\n\n" + END + after)


def _cells(figure: Figure) -> tuple[str, ...]:
    floor, ratio = figure.floor, figure.ratio
    return (
        figure.name,
        f"{_number(figure.value)} {figure.unit}",
        "" if floor is None else f"{_number(floor)} {figure.unit}",
        "" if ratio is None else f"{ratio:.2f}",
        "" if figure.bar is None else _bar(figure.bar),
        {True: "yes", False: "NO", None: ""}[figure.is_met],
    )


def _bar(bar: Bar) -> str:
    return f"{bar.of} {bar.sense} {bar.bound:g}" if bar.bound < 1000 else f"{bar.of} {bar.sense} {bar.bound:,.0f}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"

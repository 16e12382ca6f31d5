"""The figures in the documentation: a table between two markers, and a chart beside the document."""

from __future__ import annotations

from pathlib import Path

from tools.bench import chart
from tools.bench.report import HEADINGS, Json, cells

BEGIN = "<!-- figures: begin -->"
END = "<!-- figures: end -->"


def write_into(document: Path, result: Json) -> None:
    """Write the figures between the markers of a Markdown document, and the chart into the SVG file of its name."""
    text = document.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{document} has no place for figures: add the lines {BEGIN} and {END}")
    svg_file = document.with_suffix(".svg")
    svg_file.write_text(chart.draw(result))
    lines = [f"![Latency of pages by the size of the archive, and figures beside their bars]({svg_file.name})", ""]
    lines += [f"- {name}: {value}" for name, value in result["machine"].items()]
    lines += ["", "| " + " | ".join(HEADINGS) + " |", "|---|---|" + "---:|" * (len(HEADINGS) - 2)]
    lines += ["| " + " | ".join(cells(figure)) + " |" for figure in result["figures"]]
    document.write_text(before + BEGIN + "\n\n" + "\n".join(lines) + "\n\n" + END + after)

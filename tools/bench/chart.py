"""A chart of the figures as SVG: latency of pages by the size of the archive, and each figure relative to its bar."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from tools.bench.report import Json

_WIDTH, _LEFT, _RIGHT = 880, 360, 40
_PANEL, _ROW, _GAP = 220, 20, 70
_COLOURS = {"sqlite": "#0b6e99", "postgresql": "#b3541e"}
_OTHER = "#6b4fa0"
_INK, _GRID = "#222222", "#d9d9d9"
_SIZE = re.compile(r"sizes: page, ([\d,]+) Segments, (\w+)$")
_MAX_USE = 2.0
"""Largest share of a bar that the chart can show."""

_Points = dict[tuple[str, str], dict[int, float]]


def draw(result: Json) -> str:
    """Return the chart of a JSON document of figures."""
    points = dict(_pages(result))
    judged = [figure for figure in result["figures"] if _use(figure) is not None]
    height = 50 + (_PANEL + _GAP if points else 0) + 40 + _ROW * len(judged)
    box = {"viewBox": f"0 0 {_WIDTH} {height}", "width": str(_WIDTH), "height": str(height)}
    svg = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "font-family": "sans-serif", **box})
    ET.SubElement(svg, "rect", {"width": "100%", "height": "100%", "fill": "white"})
    top = 30
    if points:
        _draw_pages(svg, points, top)
        top += _PANEL + _GAP
    _draw_bars(svg, judged, top)
    ET.indent(svg)
    return ET.tostring(svg, encoding="unicode") + "\n"


def _pages(result: Json) -> Iterator[tuple[tuple[str, str], dict[int, float]]]:
    """Yield, for each engine and place, the milliseconds of a page by the number of Segments."""
    points: _Points = {}
    for figure in result["figures"]:
        match = _SIZE.match(figure["name"])
        if match:
            line = points.setdefault((figure["engine"], match[2]), {})
            line[10_000] = figure["floor"]
            line[int(match[1].replace(",", ""))] = figure["value"]
    yield from points.items()


def _draw_pages(svg: ET.Element, points: _Points, top: float) -> None:
    sizes = sorted({size for line in points.values() for size in line})
    top_value = _rounded(max(max(line.values()) for line in points.values()))
    left, right, bottom = 70.0, _WIDTH - 210.0, top + _PANEL
    low, high = math.log10(sizes[0]), math.log10(sizes[-1])

    def x(size: int) -> float:
        return left + (right - left) * (math.log10(size) - low) / ((high - low) or 1)

    def y(value: float) -> float:
        return bottom - (_PANEL - 20) * value / top_value

    _text(
        svg, left, top - 5, "Latency of a page of 100 Segments in ms, by the number of Segments in the Flow", bold=True
    )
    for step in range(5):
        value = top_value * step / 4
        _line(svg, left, y(value), right, y(value), _GRID)
        _text(svg, left - 8, y(value) + 4, f"{value:g}", anchor="end")
    for size in sizes:
        _line(svg, x(size), bottom, x(size), bottom + 5, _INK)
        _text(svg, x(size), bottom + 20, f"{size:,}", anchor="middle")
    dashes = {"begin": "", "middle": "6 3", "end": "2 3", "anywhere": "9 3 2 3"}
    for number, ((engine, place), line) in enumerate(sorted(points.items())):
        style = {"stroke": _COLOURS.get(engine, _OTHER), "stroke-width": "2", "fill": "none"}
        style["stroke-dasharray"] = dashes.get(place, "") or "none"
        path = " ".join(f"{x(size):.1f},{y(value):.1f}" for size, value in sorted(line.items()))
        ET.SubElement(svg, "polyline", {"points": path, **style})
        legend_y = top + 20 + number * _ROW
        ET.SubElement(svg, "polyline", {"points": f"{right + 20},{legend_y} {right + 55},{legend_y}", **style})
        _text(svg, right + 62, legend_y + 4, f"{engine}, {place}")


def _draw_bars(svg: ET.Element, judged: list[Json], top: float) -> None:
    scale = (_WIDTH - _LEFT - _RIGHT) / _MAX_USE
    _text(svg, 10, top, "Share of each bar that is used: the bar is met up to 1", bold=True)
    bottom = top + 20 + _ROW * len(judged)
    for use in (0.0, 0.5, 1.0, 1.5, 2.0):
        x = _LEFT + scale * use
        _line(svg, x, top + 10, x, bottom, _INK if use == 1.0 else _GRID)
        _text(svg, x, top + 5, f"{use:g}", anchor="middle")
    for number, figure in enumerate(judged):
        use = _use(figure) or 0.0
        y = top + 15 + number * _ROW
        box = {"x": str(_LEFT), "y": f"{y:.1f}", "height": str(_ROW - 6)}
        width = f"{max(1.0, scale * min(use, _MAX_USE)):.1f}"
        colour = _COLOURS.get(figure["engine"], _OTHER)
        ET.SubElement(svg, "rect", {**box, "width": width, "fill": colour})
        _text(svg, _LEFT - 8, y + 11, f"{figure['engine']} {figure['name']}", anchor="end")
        _text(svg, _LEFT + float(width) + 5, y + 11, f"{use:.2f}")


def _use(figure: Json) -> float | None:
    """Return how much of the bar is used: above 1 it is missed. Return None for figures that cannot be drawn."""
    bar = figure["bar"]
    judged = None if bar is None else figure["value"] if bar["of"] == "value" else figure["ratio"]
    if judged is None or not bar["bound"]:
        return None
    use: float = judged / bar["bound"] if bar["sense"] == "at most" else bar["bound"] / judged
    return use


def _rounded(value: float) -> float:
    """Return the next of 1, 2, 4 and 8 times a power of ten above the value, so that quarters of it are round, too."""
    power: float = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 8, 10, 20) if step * power > value)


def _text(svg: ET.Element, x: float, y: float, text: str, *, anchor: str = "start", bold: bool = False) -> None:
    style = {"font-size": "12", "fill": _INK, "text-anchor": anchor, "font-weight": "bold" if bold else "normal"}
    ET.SubElement(svg, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", **style}).text = text


def _line(svg: ET.Element, x1: float, y1: float, x2: float, y2: float, colour: str) -> None:
    ends = {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}
    ET.SubElement(svg, "line", {**ends, "stroke": colour, "stroke-width": "1"})

"""The benchmark's results: merged documents, the table, the chart, and latencies at a fixed pace."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tools.bench import chart, documented, report
from tools.bench.figures import Bar, Figure
from tools.bench.http import request
from tools.bench.load import LoadConnection
from tools.bench.paced import PlannedRequest, drive_mixed

SLOW = 0.2
PAGE = Figure(
    "sizes: page, 10,000,000 Segments, end", "ms", [2.6, 2.4, 2.5], [2.0, 2.0, 2.5], Bar("ratio", "at most", 1.3)
)
RATE = Figure("flow: requests", "/s", [100.0], [400.0], Bar("ratio", "at least", 0.5))


def document(*figures: Figure) -> report.Json:
    """Return a JSON document of these figures."""
    return report.as_json({"CPU": "some"}, {"took": 1.5}, figures)


def test_a_ratio_is_that_of_the_pairs() -> None:
    assert (PAGE.value, PAGE.floor, PAGE.ratio) == (2.5, 2.0, 1.2)
    assert PAGE.is_met
    assert not RATE.is_met


def test_of_several_runs_the_latest_figure_of_each_engine_counts() -> None:
    old, new = replace(RATE, engine="sqlite"), replace(RATE, engine="sqlite", samples=[300.0])
    other = replace(RATE, engine="postgresql")
    merged = report.merged([document(old, other), document(new)])
    assert {(figure["engine"], figure["value"]) for figure in merged["figures"]} == {
        ("sqlite", 300.0),
        ("postgresql", 100.0),
    }
    assert merged["run"]["took"] == 3.0


def test_the_chart_shows_how_much_of_each_bar_is_used() -> None:
    result = document(replace(PAGE, engine="sqlite"), replace(RATE, engine="postgresql"))
    svg = ET.fromstring(chart.draw(result))
    texts = [element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert {"sqlite, end", "10,000", "10,000,000", "sqlite sizes: page, 10,000,000 Segments, end"} <= set(texts)
    # 1.2 of at most 1.3, and 0.25 where at least 0.5 is required.
    assert {"0.92", "2.00"} <= set(texts)


def test_a_document_gets_the_table_and_the_chart(tmp_path: Path) -> None:
    page = tmp_path / "speed.md"
    page.write_text(f"before\n{documented.BEGIN}\nold\n{documented.END}\nafter\n")
    documented.write_into(page, document(replace(RATE, engine="sqlite")))
    text = page.read_text()
    assert "old" not in text
    assert "| sqlite | flow: requests | 100 /s | 400 /s | 0.25 | ratio at least 0.5 | NO |" in text
    assert "(speed.svg)" in text
    ET.fromstring((tmp_path / "speed.svg").read_text())


@pytest.fixture
def slow_once() -> Iterator[list[LoadConnection]]:
    """Yield connections to a server that handles one request at a time and delays the first."""
    listener = socket.create_server(("127.0.0.1", 0))
    busy = threading.Lock()
    numbers = itertools.count()

    def serve(connection: socket.socket) -> None:
        with connection:
            while connection.recv(65536):
                with busy:
                    time.sleep(SLOW if next(numbers) == 0 else 0)
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    def accept() -> None:
        while True:
            try:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
            except OSError:
                return

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield [LoadConnection(listener.getsockname()[1]) for _ in range(16)]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def test_at_a_fixed_pace_waiting_for_a_slow_request_counts(slow_once: list[LoadConnection]) -> None:
    planned = PlannedRequest("write", request("PUT", "/", 1), 204)
    load = drive_mixed(slow_once, itertools.repeat(planned), 2 * SLOW, rate=100)
    assert len(load.write.latencies) == pytest.approx(2 * SLOW * 100, abs=1)
    assert load.errors == 0
    # At a hundred per second, about twenty requests became due during the slow one, and waited for its end.
    waited = [latency for latency in load.write.latencies if latency > SLOW / 2]
    assert len(waited) >= SLOW * 100 / 3


def test_an_unexpected_status_is_an_error(slow_once: list[LoadConnection]) -> None:
    planned = PlannedRequest("read", request("GET", "/"), 200)
    assert drive_mixed(slow_once, itertools.repeat(planned), 0.3).errors > 0

"""The read requests that are measured and profiled, by name."""

from __future__ import annotations

from collections.abc import Callable


def _flow(flow_id: str) -> str:
    return f"/flows/{flow_id}"


def _page(limit: int, *, with_urls: bool) -> Callable[[str], str]:
    urls = "" if with_urls else "&accept_get_urls="
    return lambda flow_id: f"/flows/{flow_id}/segments?limit={limit}{urls}"


READ_PATHS: dict[str, Callable[[str], str]] = {
    "flow": _flow,
    "page-100": _page(100, with_urls=True),
    "page-1000": _page(1000, with_urls=True),
    "page-1000-no-urls": _page(1000, with_urls=False),
}

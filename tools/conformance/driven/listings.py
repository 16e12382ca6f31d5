"""Rules of every listing: its pages add up to the whole, reversal reverses it, an invalid query is a 400."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.conformance.session import Session

BAD_PAGING: tuple[Mapping[str, str], ...] = (
    {"limit": "0"},
    {"limit": "-1"},
    {"limit": "many"},
    {"page": "a-key-that-was-never-given-out"},
)


def items(
    session: Session,
    path: str,
    names: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> list[Any]:
    """Return the items of one page of a listing."""
    exchange = session.call("GET", path, names, query=query, expect=200)
    page: list[Any] = exchange.json() if exchange.status == 200 else []
    return page


def check_listing(
    session: Session,
    path: str,
    names: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> None:
    """Walk a listing, which `query` narrows to a few items of this session, forwards and backwards."""
    whole = items(session, path, names, query)
    session.expect(f"{path}: the pages joined are the whole", whole, walk(session, path, names, query))
    operation = session.document.operations[f"GET {path}"]
    if "reverse_order" in operation.query_parameters:
        backwards = walk(session, path, names, {**(query or {}), "reverse_order": "true"})
        session.expect(f"{path}: reverse_order is the reverse", whole[::-1], backwards)
    for invalid_paging in BAD_PAGING:
        session.call("GET", path, names, query={**(query or {}), **invalid_paging}, expect=400)
    clamped = session.call("GET", path, names, query={**(query or {}), "limit": "100000"}, expect=200)
    limit = int(clamped.headers.get("x-paging-limit", "0"))
    session.expect("X-Paging-Limit is the limit in use", True, 1 <= limit <= 100_000, clamped)


def walk(
    session: Session,
    path: str,
    names: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> list[Any]:
    """Return all items of a listing, read in pages of one item by X-Paging-NextKey."""
    all_items: list[Any] = []
    page: dict[str, str] = {}
    for _ in range(50):
        exchange = session.call("GET", path, names, query={**(query or {}), "limit": "1", **page}, expect=200)
        if exchange.status != 200:
            return all_items
        body = exchange.json()
        session.expect("no page is short in the middle", 1, len(body) if "link" in exchange.headers else 1, exchange)
        all_items += body
        if "x-paging-nextkey" not in exchange.headers:
            return all_items
        page = {"page": exchange.headers["x-paging-nextkey"]}
    session.expect(f"{path}: the walk ends", "a last page", "none within 50 pages")
    return all_items

"""Sort keys of listings: one unique string per order and resource, compared by code point on every repository.

A page is "the first N with a sort key above the last one", so rows may come and go while a client reads the pages.
"""

from __future__ import annotations

_ESCAPES = str.maketrans({"\x01": "\x02\x01", "\x02": "\x02\x02"})
_LATEST = 2**63 - 1


def newest_first(microseconds: int | None, resource_id: str) -> str:
    """Return a key that sorts the most recent time first, ties by id, and items without a time last, by id."""
    if microseconds is None:
        return f"1{resource_id}"
    return f"0{_LATEST - microseconds:016x}{resource_id}"


def alphabetical(label: str | None, resource_id: str) -> str:
    """Return a key that sorts by label in code-point order, ties by id, and items without a label last, by id.

    The separator U+0001 sorts below every other character of a label. In labels that contain it, it is escaped so that
    the order of the labels is kept.
    """
    if label is None:
        return f"1{resource_id}"
    return f"0{label.translate(_ESCAPES)}\x01{resource_id}"

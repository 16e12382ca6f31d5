"""The orders of listings: one unique text per order and resource, compared by code point on every repository.

A page is "the first N with a text above the last one seen", so rows may come and go while a client walks.
"""

from __future__ import annotations

_ESCAPES = str.maketrans({"\x01": "\x02\x01", "\x02": "\x02\x02"})
_LATEST = 2**63 - 1


def newest_first(microseconds: int | None, resource_id: str) -> str:
    """Most recent first, ties by id; a time that is not set comes last, by id."""
    if microseconds is None:
        return f"1{resource_id}"
    return f"0{_LATEST - microseconds:016x}{resource_id}"


def alphabetical(label: str | None, resource_id: str) -> str:
    """By label in code-point order, ties by id; without a label by id, after all that have one.

    The separator U+0001 sorts below every character that a label can hold; labels that hold it are escaped so that
    the order stays theirs.
    """
    if label is None:
        return f"1{resource_id}"
    return f"0{label.translate(_ESCAPES)}\x01{resource_id}"

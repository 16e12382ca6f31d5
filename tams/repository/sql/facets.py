"""Filters as an inverted index: for each thing that a resource can be filtered by, a digest, kept beside every order.

So a page of a filtered listing is one index range, in order, whatever the filter. Digests of 128 bits stand for texts
that may be longer than an index entry can be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tams.domain.filters import TagFilter


class Wanted(NamedTuple):
    """`present`: of each group at least one facet; `absent`: none of these."""

    present: tuple[tuple[bytes, ...], ...]
    absent: tuple[bytes, ...]


def facet(name: str, value: object = "") -> bytes:
    """The digest of `name` having `value`."""
    return hashlib.blake2b(f"{name}\0{value}".encode(), digest_size=16).digest()


COLLECTED_BY_NONE = facet("collected_by")


def tag_facets(tags: Mapping[str, Any]) -> Iterable[bytes]:
    """That a tag is there, and each value that it holds."""
    for name, held in tags.items():
        yield facet("tag", name)
        for value in [held] if isinstance(held, str) else held:
            yield _tag_value(name, value)


def collected_by_facets(collectors: Iterable[str]) -> Iterable[bytes]:
    """Each collector, or that there is none."""
    found = [facet("collected_by", collector) for collector in collectors]
    return found or [COLLECTED_BY_NONE]


def wanted(equal: Mapping[str, object], tags: TagFilter, collected_by: tuple[str, ...] | None) -> Wanted:
    """The facets that a filter asks for; entries of `equal` that are None ask for nothing."""
    present: list[tuple[bytes, ...]] = [(facet(name, value),) for name, value in equal.items() if value is not None]
    present += [tuple(dict.fromkeys(_tag_value(name, value) for value in values)) for name, values in tags.any_of]
    present += [(facet("tag", name),) for name, there in tags.exists if there]
    if collected_by is not None:
        present.append(tuple(dict.fromkeys(collected_by_facets(collected_by))))
    return Wanted(tuple(present), tuple(facet("tag", name) for name, there in tags.exists if not there))


def _tag_value(name: str, value: str) -> bytes:
    # No tag name holds U+0000, so that name and value cannot be taken for another pair.
    return facet("tag value", f"{name}\0{value}")

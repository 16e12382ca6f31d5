"""Filters as one text column: for each thing that a resource can be filtered by a digest, between separators.

So any filter is a few `contains` on one column, however long the texts are. A cell has room for 9,900 of them.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from tams.domain.errors import Invalid
from tams.domain.filters import TagFilter
from tams.repository.vast.predicates import Term

_SEPARATOR = "\x1f"
_MOST = 126 * 1024 - 1
COLLECTED_BY = "collected_by"


def facet(name: str, value: object = "") -> str:
    """That `name` has `value`."""
    digest = hashlib.blake2b(f"{name}\0{value}".encode(), digest_size=9).digest()
    return base64.b64encode(digest).decode()


def tag_facets(tags: Mapping[str, Any]) -> Iterable[str]:
    """That a tag is there, and each value that it holds."""
    for name, held in tags.items():
        yield facet("tag", name)
        for value in [held] if isinstance(held, str) else held:
            yield _tag_value(name, value)


def collected_by_facets(collectors: Iterable[str]) -> list[str]:
    """Each collector, or that there is none."""
    return [facet(COLLECTED_BY, collector) for collector in collectors] or [facet(COLLECTED_BY)]


def column(facets: Iterable[str]) -> str:
    """The text of the column. `Invalid` where there are more than fit into a cell."""
    text = _SEPARATOR + "".join(each + _SEPARATOR for each in sorted(set(facets)))
    if len(text) > _MOST:
        raise Invalid(f"this database keeps up to {_MOST // 13} tags and values of one resource")
    return text


def wanted(equal: Mapping[str, object], tags: TagFilter, collected_by: tuple[str, ...] | None) -> list[Term] | None:
    """What a filter asks of the column `facets`; None where nothing can match. Entries of `equal` may be None."""
    groups: list[list[str]] = [[facet(name, value)] for name, value in equal.items() if value is not None]
    groups += [[_tag_value(name, value) for value in values] for name, values in tags.any_of]
    groups += [[facet("tag", name)] for name, there in tags.exists if there]
    if collected_by is not None:
        groups.append(collected_by_facets(collected_by))
    if any(not group for group in groups):
        return None
    terms = [Term("facets", "contains", tuple(_held(each) for each in dict.fromkeys(group))) for group in groups]
    return terms + [Term("facets", "lacks", _held(facet("tag", name))) for name, there in tags.exists if not there]


def _held(each: str) -> str:
    return f"{_SEPARATOR}{each}{_SEPARATOR}"


def _tag_value(name: str, value: str) -> str:
    # No tag name holds U+0000, so that name and value cannot be taken for another pair.
    return facet("tag value", f"{name}\0{value}")

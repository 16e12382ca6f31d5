"""Digests of facets (`tams.repository.index`) in one text column, between separators.

Any filter is a few `contains` on this column, however long the texts are. A cell holds 9,900 digests.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

from tams.domain.errors import Invalid
from tams.repository.index import Facet, FacetFilter
from tams.repository.vast.predicates import Predicate

_SEPARATOR = "\x1f"
_DIGEST_BYTES = 9
_CELL_BYTES = 126 * 1024 - 1
_BYTES_PER_FACET = 13
"""A digest in Base64, and its separator."""


def facets_column(facets: Iterable[Facet]) -> str:
    """Return the text of the column `facets`.

    Raises:
        Invalid: the digests do not fit into a cell.
    """
    text = _SEPARATOR + "".join(digest + _SEPARATOR for digest in sorted({_digest(facet) for facet in facets}))
    if len(text) > _CELL_BYTES:
        limit = _CELL_BYTES // _BYTES_PER_FACET
        raise Invalid(f"this database keeps up to {limit} tags and values of one resource")
    return text


def facet_terms(filters: FacetFilter) -> list[Predicate] | None:
    """Return the predicates on the column `facets` that are equivalent to a filter; None if nothing can match."""
    if filters.matches_nothing:
        return None
    terms = [Predicate("facets", "contains", tuple([_pattern(facet) for facet in group])) for group in filters.present]
    return terms + [Predicate("facets", "lacks", _pattern(facet)) for facet in filters.absent]


def _pattern(facet: Facet) -> str:
    return f"{_SEPARATOR}{_digest(facet)}{_SEPARATOR}"


def _digest(facet: Facet) -> str:
    return base64.b64encode(hashlib.blake2b(facet.encode(), digest_size=_DIGEST_BYTES).digest()).decode()

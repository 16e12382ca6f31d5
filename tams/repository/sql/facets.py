"""Digests of facets (`tams.repository.index`) in index tables, beside every sort text of the resource that has them.

A page of a filtered listing is therefore one index range, in order, whatever the filter. Digests of 128 bits stand for
texts that may be longer than an index entry can be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select

from tams.repository.index import Facet, FacetFilter

_DIGEST_BYTES = 16


class FacetShape(NamedTuple):
    """The sizes of a filter, which determine its part of a statement: of each group in `present`, and of `absent`."""

    present: tuple[int, ...]
    absent: int


class DigestFilter(NamedTuple):
    """A `FacetFilter` as digests: at least one of each group in `present`, and none of `absent`."""

    present: tuple[tuple[bytes, ...], ...]
    absent: tuple[bytes, ...]

    @property
    def shape(self) -> FacetShape:
        """Return the sizes of the filter."""
        return FacetShape(tuple([len(group) for group in self.present]), len(self.absent))

    @property
    def parameters(self) -> dict[str, bytes]:
        """Return the values of the parameters that `filtered` names."""
        values = {f"absent_{index}": digest for index, digest in enumerate(self.absent)}
        for number, group in enumerate(self.present):
            values.update((f"present_{number}_{index}", digest) for index, digest in enumerate(group))
        return values


def facet_digest(facet: Facet) -> bytes:
    """Return the digest that stands for a facet in an index table."""
    return hashlib.blake2b(facet.encode(), digest_size=_DIGEST_BYTES).digest()


def facet_digests(facets: Iterable[Facet]) -> set[bytes]:
    """Return the digests that stand for the facets of one resource."""
    return {facet_digest(facet) for facet in facets}


def digest_filter(filters: FacetFilter) -> DigestFilter:
    """Return a filter as digests."""
    return DigestFilter(
        tuple([tuple([facet_digest(facet) for facet in group]) for group in filters.present]),
        tuple([facet_digest(facet) for facet in filters.absent]),
    )


def filtered(
    statement: Select[Any], shape: FacetShape, has_any: Callable[[str, Sequence[str]], ColumnElement[bool]]
) -> Select[Any]:
    """Add the conditions of a filter to a statement.

    `has_any` takes an alias for the index table, and names of parameters; its condition is that the row has a facet
    with one of these digests.
    """
    for number, size in enumerate(shape.present):
        names = [f"present_{number}_{index}" for index in range(size)]
        statement = statement.where(has_any(f"held_{number}", names))
    for index in range(shape.absent):
        statement = statement.where(~has_any(f"unheld_{index}", [f"absent_{index}"]))
    return statement

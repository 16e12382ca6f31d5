"""The query strings of listings."""

from __future__ import annotations

from typing import Any

from marshmallow import post_load

from tams.api.schemas.base import Query
from tams.api.schemas.fields import Boolean, ByName, CommaSeparated, Integer, Text
from tams.domain.filters import TagFilter


class PagedQuery(Query):
    """The parameters of every listing: `limit` (clamped, see `tams.api.paging`) and `page`."""

    limit = Integer(
        minimum=1,
        clamp=True,
        metadata={
            "description": "The maximum number of items of a page: 100 by default. A value above 1000 means 1000."
        },
    )
    page = Text(metadata={"description": "The X-Paging-NextKey of the page before."})


class ListingQuery(PagedQuery):
    """The parameters of a listing that can be reversed."""

    reverse_order = Boolean(load_default=False, metadata={"description": "Reverse the order."})


class TaggedListingQuery(ListingQuery):
    """The parameters of a listing that can be filtered by tags. Loads a `TagFilter` as `tags`."""

    tag_values = ByName(
        CommaSeparated(Text()),
        data_key="tag.{name}",
        metadata={"description": "A tag named {name} holds one of the comma-separated values."},
    )
    tag_exists = ByName(
        Boolean(),
        data_key="tag_exists.{name}",
        metadata={"description": "`true`: there is a tag named {name}; `false`: there is no such tag."},
    )

    @post_load
    def combine_tags(self, query: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Replace the two kinds of parameters by one `TagFilter`."""
        return with_tag_filter(query, "tags", values="tag_values", exists="tag_exists")


def with_tag_filter(query: dict[str, Any], name: str, *, values: str, exists: str) -> dict[str, Any]:
    """Return the loaded query with a `TagFilter` as `name`, in place of the fields `values` and `exists`.

    An empty list of values selects nothing: no tag has one of no values.
    """
    query[name] = TagFilter(query.pop(values, ()), query.pop(exists, ()))
    return query

"""Listings that can be filtered by tags."""

from __future__ import annotations

from tams.api.schemas.queries import ListingQuery, TextParameter


class TaggedListingQuery(ListingQuery):
    """Names the tag filters for the API document; `queries.tag_filter` reads them, whatever the name."""

    tag_values = TextParameter(
        data_key="tag.{name}",
        metadata={"description": "A tag named {name} holds one of the comma-separated values.", "type": "string"},
    )
    tag_exists = TextParameter(
        data_key="tag_exists.{name}",
        metadata={"description": "`true`: there is a tag named {name}; `false`: there is none.", "type": "boolean"},
    )

"""The query parameters that choose among `get_urls`, shared by Segments and Objects."""

from __future__ import annotations

from typing import Any

from marshmallow import post_load

from tams.api.schemas.fields import Boolean, ByName, CommaSeparated, Text, Uuid
from tams.api.schemas.queries import PagedQuery, with_tag_filter


class UrlsQuery(PagedQuery):
    """The parameters of a page whose items have `get_urls`. Loads a `TagFilter` as `backend_tags`."""

    verbose_storage = Boolean(
        load_default=False,
        metadata={
            "description": "Include the details of the Storage Backend of each URL. Otherwise `get_urls` and "
            "`init_object.get_urls` hold only `url`, `presigned` and `label`."
        },
    )
    accept_get_urls = CommaSeparated(
        Text(),
        load_default=None,
        metadata={
            "description": "The labels of the `get_urls` and `init_object.get_urls` to include, separated by commas. "
            "An empty list includes none, which is the fastest."
        },
    )
    accept_storage_ids = CommaSeparated(
        Uuid(),
        load_default=(),
        metadata={
            "description": "The ids of the Storage Backends of the `get_urls` and `init_object.get_urls` to include, "
            "separated by commas. An empty list is no filter."
        },
    )
    presigned = Boolean(
        load_default=None,
        metadata={
            "description": "Include only presigned URLs (`true`), or only those that are not (`false`), in `get_urls` "
            "and `init_object.get_urls`."
        },
    )
    backend_tag_values = ByName(
        CommaSeparated(Text()),
        data_key="storage_backend_tag.{name}",
        metadata={
            "description": "Include only URLs of Storage Backends whose tag named {name} holds one of the "
            "comma-separated values."
        },
    )
    backend_tag_exists = ByName(
        Boolean(),
        data_key="storage_backend_tag_exists.{name}",
        metadata={
            "description": "Include only URLs of Storage Backends that have a tag named {name} (`true`), or that have "
            "none (`false`)."
        },
    )

    @post_load
    def combine_backend_tags(self, query: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Replace the two kinds of parameters by one `TagFilter`."""
        return with_tag_filter(query, "backend_tags", values="backend_tag_values", exists="backend_tag_exists")

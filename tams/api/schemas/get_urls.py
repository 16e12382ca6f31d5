"""The query parameters that choose among `get_urls`, shared by Segments and Objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tams.api import context
from tams.api.schemas.queries import FlagParameter, LabelListParameter, PagedQuery, UuidListParameter, tag_filter
from tams.domain.get_urls import UrlFilter
from tams.services.rendering.get_urls import UrlPlan


class UrlsQuery(PagedQuery):
    """The parameters, of a listing of one kind or another."""

    verbose_storage = FlagParameter(
        load_default=False,
        metadata={
            "description": "Tell about the Storage Backend of each URL. Else only `url`, `presigned` and `label` are "
            "included in `get_urls` and `init_object.get_urls`."
        },
    )
    accept_get_urls = LabelListParameter(
        load_default=None,
        metadata={
            "description": "The labels of the `get_urls` and `init_object.get_urls` to include, separated by commas. "
            "An empty list includes none, and is the fastest."
        },
    )
    accept_storage_ids = UuidListParameter(
        empty_allowed=True,
        load_default=(),
        metadata={
            "description": "The ids of the Storage Backends of the `get_urls` and `init_object.get_urls` to include, "
            "separated by commas. An empty list is no filter."
        },
    )
    presigned = FlagParameter(
        load_default=None,
        metadata={
            "description": "Include only presigned URLs (`true`), or only those that are not (`false`), in `get_urls` "
            "and `init_object.get_urls`."
        },
    )


def url_plan(query: Mapping[str, Any]) -> UrlPlan:
    """How the current request, whose loaded `UrlsQuery` is given, wants to see `get_urls`."""
    labels = query["accept_get_urls"]
    wanted = UrlFilter(
        labels=None if labels is None else frozenset(labels),
        storage_ids=frozenset(query["accept_storage_ids"]) or None,
        presigned=query["presigned"],
        backend_tags=tag_filter("storage_backend_tag"),
        verbose=query["verbose_storage"],
    )
    return UrlPlan(context.store(), wanted, context.base_url(), context.store().access(context.principal()))

"""Reading from a query which `get_urls` the response shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tams.api import context
from tams.domain.get_urls import UrlFilter
from tams.services.rendering.get_urls import UrlPlan


def url_plan(query: Mapping[str, Any]) -> UrlPlan:
    """Return the plan for the `get_urls` of the current request; `query` is its loaded `UrlsQuery`."""
    labels = query["accept_get_urls"]
    urls = UrlFilter(
        labels=None if labels is None else frozenset(labels),
        storage_ids=frozenset(query["accept_storage_ids"]) or None,
        presigned=query["presigned"],
        backend_tags=query["backend_tags"],
        verbose=query["verbose_storage"],
    )
    return UrlPlan(context.store(), urls, context.base_url(), context.store().access(context.principal()))

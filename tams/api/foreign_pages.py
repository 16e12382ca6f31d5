"""Refusal of requests that a browser sends on behalf of another website's page.

A page may send a form, or a body without a content type, to any server without asking that server first by a CORS
preflight. The browser adds the credentials that it remembers, and its place in the network. So views that accept such a
body call `refuse_foreign_page`. Declared JSON needs no such check: it is never sent without a preflight.
"""

from __future__ import annotations

from flask import request
from werkzeug.exceptions import UnsupportedMediaType

from tams.api.context import base_url, store
from tams.domain.origins import web_origin


def refuse_foreign_page() -> None:
    """Raise `UnsupportedMediaType` (415) if a page sent the request that is neither ours nor one of TAMS_CORS_ORIGINS.

    Clients other than browsers send neither `Origin` nor `Sec-Fetch-Site`, and pass.
    """
    if _is_from_foreign_page():
        raise UnsupportedMediaType(
            "A page of another website sent this request: send JSON with Content-Type: application/json, or name the "
            "origin of the page in TAMS_CORS_ORIGINS."
        )


def _is_from_foreign_page() -> bool:
    origin = request.headers.get("Origin")
    # Set by the browser, and out of the reach of pages.
    site = request.headers.get("Sec-Fetch-Site")
    if (origin is None and site is None) or site == "same-origin":
        return False
    allowed = store().settings.cors_origins
    if "*" in allowed or origin in allowed:
        return False
    return site == "cross-site" or (origin is not None and origin not in _own_origins())


def _own_origins() -> set[str]:
    """Return the origin of the service's public URL, and the one that this request was sent to."""
    origins = set()
    for url in (base_url(), request.host_url):
        try:
            origins.add(web_origin(url))
        except ValueError:
            # No browser sends this origin.
            continue
    return origins

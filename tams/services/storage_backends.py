"""The listing of Storage Backends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tams.domain.sort_keys import alphabetical
from tams.repository.port import Page

if TYPE_CHECKING:
    from tams.domain.filters import TagFilter
    from tams.domain.principals import Principal
    from tams.repository.port import Cursor
    from tams.services.store import Store
    from tams.storage.port import Backend


def list_backends(
    store: Store, tags: TagFilter, *, reverse: bool, after: Cursor | None, limit: int, principal: Principal
) -> Page[Backend]:
    """Return a page of the Storage Backends that the principal may read from, by label.

    Specification: `GET /service/storage-backends`.
    """
    ordered = sorted(
        (alphabetical(storage.backend.label or None, storage.backend.id), storage.backend)
        for storage in store.shown_backends(store.access(principal)).values()
        if tags.matches(dict(storage.backend.tags))
    )
    if reverse:
        ordered.reverse()
    if after is not None:
        ordered = [
            (sort_key, backend) for sort_key, backend in ordered if (sort_key < after if reverse else sort_key > after)
        ]
    page = ordered[:limit]
    return Page([backend for _, backend in page], page[-1][0] if len(ordered) > limit else None)

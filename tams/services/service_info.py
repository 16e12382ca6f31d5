"""What the service says of itself, and the two properties of it that clients may change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tams.repository.port import Document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tams.repository.port import Write
    from tams.services.store import Store

_KIND = "service"
_ID = "service"


def names(store: Store) -> dict[str, str]:
    """`name` and, where there is one, `description`: as set by a client, else as configured."""
    changed = store.repository.ask(lambda read: read.document(_KIND, _ID))
    configured = {"name": store.settings.name}
    if store.settings.description is not None:
        configured["description"] = store.settings.description
    return configured | (changed.body if changed is not None else {})


def rename(store: Store, changes: Mapping[str, str]) -> None:
    """Set `name`, `description` or both; what is not in `changes` stays."""

    def transact(tx: Write) -> None:
        tx.claim(("document", _ID))
        stored = tx.document(_KIND, _ID)
        kept: dict[str, Any] = stored.body if stored is not None else {}
        tx.put_document(Document(_KIND, _ID, {**kept, **changes}))

    if changes:
        store.write(transact)

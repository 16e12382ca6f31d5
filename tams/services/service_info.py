"""The name and the description of the service, which clients may change."""

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
    """Return `name` and, if there is one, `description`: as a client set them, else as configured."""
    document = store.repository.ask(lambda read: read.document(_KIND, _ID))
    configured = {"name": store.settings.name}
    if store.settings.description is not None:
        configured["description"] = store.settings.description
    return configured | (document.body if document is not None else {})


def rename(store: Store, changes: Mapping[str, str]) -> None:
    """Set `name`, `description` or both; a property that is not in `changes` stays."""

    def transact(tx: Write) -> None:
        tx.claim(("document", _ID))
        document = tx.document(_KIND, _ID)
        body: dict[str, Any] = document.body if document is not None else {}
        tx.put_document(Document(_KIND, _ID, {**body, **changes}))

    if changes:
        store.write(transact)

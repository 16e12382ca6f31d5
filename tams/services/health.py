"""Readiness of the parts of the store: the database and the Storage Backends."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tams.domain.errors import Unavailable
from tams.storage.port import BackendDown

if TYPE_CHECKING:
    from tams.services.store import Store

logger = logging.getLogger(__name__)


def check(store: Store) -> list[str]:
    """Check every part, and return their names if all of them answer.

    Raises:
        Unavailable: Parts do not answer; the message names them.
    """
    parts, down = ["database"], []
    try:
        store.repository.check()
    except Unavailable as error:
        logger.warning("database is not ready: %s", error)
        down.append("database")
    for storage in store.storages.values():
        part = f"storage {storage.backend.label}"
        parts.append(part)
        try:
            storage.check()
        except BackendDown as error:
            logger.warning("storage backend %s is not ready: %s", storage.backend.id, error)
            down.append(part)
    if down:
        raise Unavailable(f"Not ready: {', '.join(down)}.")
    return parts

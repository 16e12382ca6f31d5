"""Whether the parts of the store answer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tams.domain.errors import Unavailable
from tams.storage.port import BackendDown

if TYPE_CHECKING:
    from tams.services.store import Store

logger = logging.getLogger(__name__)


def check(store: Store) -> list[str]:
    """The parts, all of which answer. `Unavailable` says which do not."""
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

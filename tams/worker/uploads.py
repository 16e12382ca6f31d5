"""Removing what uploads and copies that were never finished left behind in the Storage Backends."""

from __future__ import annotations

import logging

from tams.services.store import Store
from tams.storage.port import StorageError

logger = logging.getLogger(__name__)

LONGEST_UPLOAD = 24 * 3600
"""Seconds: whatever began earlier will never be finished."""


def sweep_uploads(store: Store) -> bool:
    """Sweep each Storage Backend; one that is down is swept the next time. False: there is never more to do at once."""
    for storage in store.storages.values():
        try:
            removed = storage.sweep(LONGEST_UPLOAD)
        except StorageError as error:
            logger.warning("Storage Backend %s was not swept: %s", storage.backend.id, error)
            continue
        if removed:
            logger.info("removed %s unfinished upload(s) of Storage Backend %s", removed, storage.backend.id)
    return False

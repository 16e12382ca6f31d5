"""Collecting storage that was given out and never registered (specification, `min_object_timeout`)."""

from __future__ import annotations

import logging

from tams.domain.clock import MICROSECONDS
from tams.repository.port import Key, Write
from tams.services.objects.byte_deletion import forget_objects
from tams.services.store import Store

logger = logging.getLogger(__name__)

_BATCH = 100


def collect_allocations(store: Store) -> bool:
    """Forget a batch of Objects whose time to be registered has ended; True where there may be more.

    What is registered in the same moment wins or loses as a whole: both claim the Object.
    """
    settings = store.settings
    now = store.now()
    before = now - (settings.min_object_timeout + settings.object_grace) * MICROSECONDS
    with store.repository.read() as read:
        expired = [item.id for item in read.allocations_before(before, after=None, limit=_BATCH).items]
    if not expired:
        return False

    def transact(tx: Write) -> int:
        keys: list[Key] = [("object", object_id) for object_id in expired]
        tx.claim(*keys)
        unused = [item for item in tx.objects(expired).values() if item.kind is None and item.created < before]
        forget_objects(tx, unused, now)
        return len(unused)

    collected = store.write(transact)
    logger.info("collected %s object(s) that were never registered", collected)
    return len(expired) == _BATCH

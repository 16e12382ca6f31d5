"""Commits whose outcome is in doubt: finding out whether the transaction is stored."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tams.domain.errors import Unavailable
from tams.repository.vast.concurrency.clock import boot_clock
from tams.repository.vast.concurrency.lock_rows import LOCK_COLUMNS, STORED, end_key
from tams.repository.vast.concurrency.operation import Operation
from tams.repository.vast.concurrency.retries import retry_until
from tams.repository.vast.connection import Cluster
from tams.repository.vast.failures import LostRace
from tams.repository.vast.predicates import equal
from tams.repository.vast.tables import LOCKS

logger = logging.getLogger(__name__)


class OutcomeInDoubt(Unavailable):
    """The cluster does not say whether a transaction is stored."""


def settle_outcome(operation: Operation, txid: int, error: Unavailable, is_stored: Callable[[], bool]) -> None:
    """Return if transaction D, whose commit failed with `error`, was stored after all.

    `is_stored` is called again while it raises `Unavailable`. Only the two exceptions below are raised: any other one
    would repeat the transaction callback, although D may be stored.

    Raises:
        LostRace: D is not stored and never will be.
        OutcomeInDoubt: there was no answer in time.
    """
    logger.info("the outcome of transaction %s is in doubt: %s", txid, error)
    try:
        stored = retry_until(boot_clock() + operation.patience, is_stored)
    except Unavailable as unknown:
        raise OutcomeInDoubt(
            "The database stopped answering during the commit: look whether the change was made."
        ) from unknown
    if not stored:
        raise LostRace("the transaction was not stored") from error


def has_record(cluster: Cluster, operation: Operation, txid: int) -> bool:
    """Return whether there is a record that a transaction D is stored. D must have ended."""
    record = [equal("key", end_key(operation.name, str(txid)))]
    with cluster.snapshot() as r:
        return any(row["kind"] == STORED for row in r.rows(LOCKS, LOCK_COLUMNS, record))

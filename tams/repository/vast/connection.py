"""The database: transactions that are begun in the session of the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from vastdb.transaction import Transaction

from tams.repository.vast.cluster_transaction import ClusterTransaction, retry_reads
from tams.repository.vast.failures import translated
from tams.repository.vast.sessions import ClusterSession


class Cluster(ClusterSession):
    """One database, usable from any thread of any process. It connects on first use."""

    def begin(self) -> ClusterTransaction:
        """Begin a transaction. Its snapshot holds everything that is committed by now."""

        def begin_in_session() -> Transaction:
            session = self.session()
            with translated():
                transaction: Transaction = session.transaction()
                # Not as the SDK's context manager: the outcome of a commit is examined more closely than it does.
                transaction.txid = int(session.api.begin_transaction().headers["tabular-txid"])
            return transaction

        return ClusterTransaction(self, retry_reads(begin_in_session))

    @contextmanager
    def snapshot(self) -> Iterator[ClusterTransaction]:
        """Begin a transaction for reading; roll it back at the end."""
        snapshot = self.begin()
        try:
            yield snapshot
        finally:
            snapshot.roll_back()

    @contextmanager
    def committed(self) -> Iterator[ClusterTransaction]:
        """Begin a transaction; commit it at the end, or roll it back if anything is raised.

        That includes a commit that was not answered: an open transaction would block the next attempt.
        """
        transaction = self.begin()
        try:
            yield transaction
            transaction.commit()
        except BaseException:
            transaction.roll_back()
            raise

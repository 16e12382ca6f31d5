"""The SDK session of a process, and what is asked of the cluster about transactions by their ids."""

from __future__ import annotations

import io
import logging
import os
import threading
from dataclasses import dataclass
from typing import Any

import vastdb
from vastdb import errors
from vastdb.config import BackoffConfig
from vastdb.session import Session
from vastdb.table_metadata import TableMetadata
from vastdb.transaction import Transaction

from tams.domain.errors import Unavailable
from tams.repository.vast.failures import translated
from tams.repository.vast.table_metadata import TableMetadataCache
from tams.repository.vast.tables import Table

# Each failure becomes an error of the store's own. The SDK and its retries log several raw lines for each.
for _name in ("vastdb", "backoff"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Address:
    """The location of the database, and how long to wait for it (seconds).

    `claim_timeout`: how long a claim of an unresponsive process blocks others before it is taken over. `concurrency`:
    the mode in which concurrent writes are kept apart (see `tams.repository.vast.concurrency.modes`).
    """

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    schema: str
    ssl_verify: bool = True
    request_timeout: float = 5
    operation_timeout: float = 30
    claim_timeout: float = 10
    concurrency: str = "claims"


class ClusterSession:
    """The SDK session with one cluster, for all threads of a process. It connects on first use.

    A forked process opens its own session, because it must not share the connections of its parent.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._lock = threading.RLock()
        self._pid = 0
        self._session: Session | None = None
        self._metadata = TableMetadataCache(address.bucket, address.schema)

    def session(self) -> Session:
        """Return the session of this process."""
        with self._lock:
            if self._session is None or self._pid != os.getpid():
                self._session, self._pid = _connect(self.address), os.getpid()
                self._metadata = TableMetadataCache(self.address.bucket, self.address.schema)
            return self._session

    def metadata(self, table: Table, transaction: Transaction) -> TableMetadata:
        """Return the SDK's description of a table, which is loaded once per session."""
        return self._metadata.get(table, transaction)

    def forget(self) -> None:
        """Close the connections. The next use connects again and reloads the descriptions of the tables."""
        with self._lock:
            if self._session is not None and self._pid == os.getpid():
                self._session.api.__exit__()
            self._session = None
            self._metadata = TableMetadataCache(self.address.bucket, self.address.schema)

    def commit(self, txid: int) -> None:
        """Commit a transaction. After any exception the outcome is in doubt until it is looked up."""
        with translated():
            self.session().api.commit_transaction(txid)

    def roll_back(self, txid: int) -> bool:
        """Roll back a transaction of any session. Return True if it has ended: it cannot be committed any more."""
        try:
            self.send_rollback(txid)
        except Unavailable as error:
            return _is_unknown(error)
        return True

    def is_gone(self, txid: int) -> bool:
        """Send a rollback; return True only if the cluster answers that there is no such open transaction (404)."""
        try:
            self.send_rollback(txid)
        except Unavailable as error:
            return _is_unknown(error)
        return False

    def send_rollback(self, txid: int) -> None:
        """Roll back a transaction of any session. Any answer but success is raised."""
        with translated():
            self.session().api.rollback_transaction(txid)


def _is_unknown(error: Unavailable) -> bool:
    return isinstance(error.__cause__, errors.NotFound)


def _connect(address: Address) -> Session:
    with translated():
        session: Session = vastdb.connect(
            endpoint=address.endpoint,
            access=address.access_key,
            secret=address.secret_key,
            ssl_verify=address.ssl_verify,
            timeout=address.request_timeout,
            # The SDK would repeat a commit for a minute, and it would be unknown which one took effect.
            backoff_config=BackoffConfig(max_tries=1),
        )
    _read_environment_once(session.api)
    api, send_query = session.api, session.api.query_data
    # Queries use the connections of the session. The SDK would open new ones for each query.
    api.with_endpoint = lambda _endpoint: api

    def query_data(*arguments: Any, **options: Any) -> Any:
        # Read the answer whole. The many small reads of the SDK take far longer, and a reader that stops early would
        # lose the connection.
        response = send_query(*arguments, **options)
        response.raw = io.BytesIO(response.raw.read())
        return response

    api.query_data = query_data
    return session


def _read_environment_once(api: Any) -> None:
    """Set proxies and certificates from the environment now. By default they are looked up for each request."""
    url = api.endpoints[0]
    http = api._session_get_or_create(url)
    environment = http.merge_environment_settings(str(url), {}, None, None, None)
    http.proxies, http.verify, http.trust_env = environment["proxies"], environment["verify"], False

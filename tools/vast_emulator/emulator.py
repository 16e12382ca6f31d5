"""The emulator for tests in the same process: the server, and direct access to its parts."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import vastdb

from tools.vast_emulator.catalog import Schema, Table
from tools.vast_emulator.cluster import Cluster
from tools.vast_emulator.columns import Column, check_type
from tools.vast_emulator.counters import Counters, Counts
from tools.vast_emulator.engine import Engine
from tools.vast_emulator.faults import Fault, Faults, Way
from tools.vast_emulator.http_server import Server
from tools.vast_emulator.operations import CreateSchema, CreateTable, LoadRows, Operation
from tools.vast_emulator.rows import select_all
from tools.vast_emulator.settings import Settings
from tools.vast_emulator.stores import Store

BUCKET = "vastdb"


class Emulator:
    """A cluster with one address: `with Emulator() as emulator: session = emulator.connect()`."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        access: str = "emulator",
        secret: str = "emulator-secret",
        buckets: Sequence[str] = (BUCKET,),
    ) -> None:
        self._cluster = Cluster(settings or Settings(), access, secret, tuple(buckets))
        self._server = Server((host, port), self._cluster)
        self._thread: threading.Thread | None = None

    # Starting and stopping.

    def start(self) -> Self:
        """Serve requests in a separate thread."""
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def serve_forever(self) -> None:
        """Serve requests in this thread until it is interrupted."""
        self._server.serve_forever()

    def stop(self) -> None:
        """Close all connections and the listening socket."""
        self._cluster.stop()
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.disconnect()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def keep(self) -> None:
        """Make the committed data the state that `reset` restores."""
        self._cluster.keep()

    def reset(self) -> None:
        """Remove all data committed since `keep`, all counts and faults; settings stay as they are."""
        self._cluster.reset()

    # Parts.

    @property
    def endpoint(self) -> str:
        """Return the URL that the emulator listens on."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    @property
    def access(self) -> str:
        """Return the access key."""
        return self._cluster.access

    @property
    def secret(self) -> str:
        """Return the secret key."""
        return self._cluster.secret

    @property
    def settings(self) -> Settings:
        """Return the settings; a change applies from the next request on."""
        return self._cluster.settings

    @property
    def faults(self) -> Faults:
        """Return the pending faults."""
        return self._cluster.faults

    @property
    def counters(self) -> Counters:
        """Return the request counters."""
        return self._cluster.counters

    @property
    def engine(self) -> Engine:
        """Return the engine that runs the transactions."""
        return self._cluster.engine

    def fail(
        self,
        kind: str,
        way: Way | str,
        *,
        nth: int = 1,
        times: int = 1,
        table: str | None = None,
        seconds: float | None = None,
    ) -> Fault:
        """Let the nth request of a kind from now, and `times` in a row (0: without end), fail."""
        return self.faults.fail(kind, way, nth=nth, times=times, table=table, seconds=seconds)

    @contextmanager
    def counting(self) -> Iterator[Counts]:
        """Yield the counts of what happens during the block."""
        with self.counters.counting() as counts:
            yield counts

    def connect(self, **options: Any) -> vastdb.session.Session:
        """Return an SDK session with the right key and a timeout of 30 seconds."""
        options = {"timeout": 30, "endpoint": self.endpoint, "access": self.access, "secret": self.secret} | options
        return vastdb.connect(**options)

    # Data, without the protocol.

    def load(
        self,
        schema: str,
        table: str,
        rows: pa.Table | Iterable[pa.RecordBatch],
        *,
        sorting_key: Sequence[str] = (),
        bucket: str = BUCKET,
    ) -> None:
        """Commit rows in bulk.

        The schema and the table are created if they do not exist, with these columns and this sorting key. Rows loaded
        into an empty table in the order of its key are not sorted again.
        """
        data = rows if isinstance(rows, pa.Table) else pa.Table.from_batches(rows)
        operations: list[Operation] = []
        schema_entry, table_entry = self._find(bucket, schema, table)
        if schema_entry is None:
            schema_entry = Schema(self.engine.next_id(), bucket, schema)
            operations.append(CreateSchema(schema_entry))
        if table_entry is None:
            table_entry = self._new_table(schema_entry, table, data.schema, sorting_key)
            operations.append(CreateTable(table_entry))
        columns = {column.name: column for column in table_entry.columns}
        for field in data.schema:
            if field.name not in columns or columns[field.name].field.type != field.type:
                raise ValueError(f"table {table} has no column {field.name} of type {field.type}")
        data = data.rename_columns([columns[name].key for name in data.column_names])
        operations.append(LoadRows(table_entry.id, data, self.engine.allocate_rows(table_entry.id, len(data))))
        self.engine.change(*operations)

    def rows(self, schema: str, table: str, *, bucket: str = BUCKET) -> pa.Table:
        """Return all committed rows of a table, oldest first.

        Raises:
            KeyError: The table does not exist.
        """
        _, table_entry = self._find(bucket, schema, table)
        if table_entry is None:
            raise KeyError(f"{bucket}/{schema}/{table}")
        kinds = table_entry.kinds
        data = select_all(table_entry.store, kinds)
        return data.rename_columns([column.name for column in table_entry.columns])

    def tables(self, schema: str, *, bucket: str = BUCKET) -> list[str]:
        """Return the names of the committed tables of a schema."""
        schema_entry, _ = self._find(bucket, schema, "")
        return [] if schema_entry is None else [table.name for table in self.engine.latest.tables_of(schema_entry)]

    def _find(self, bucket: str, schema: str, table: str) -> tuple[Schema | None, Table | None]:
        catalog = self.engine.latest
        schema_entry = catalog.schema(bucket, schema)
        return schema_entry, None if schema_entry is None else catalog.table(schema_entry, table)

    def _new_table(self, schema: Schema, name: str, fields: pa.Schema, sorting_key: Sequence[str]) -> Table:
        for field in fields:
            check_type(field, self.settings.cell_limit)
        columns = tuple(Column(self.engine.next_id(), field.remove_metadata()) for field in fields)
        ids = {column.name: column.id for column in columns}
        sort_columns = tuple(ids[key] for key in sorting_key)
        store = Store(tuple(str(column) for column in sort_columns))
        return Table(self.engine.next_id(), schema.id, name, columns, store, sort_columns)

"""The SDK's descriptions of the tables, each loaded once."""

from __future__ import annotations

from vastdb.table_metadata import TableMetadata, TableRef
from vastdb.transaction import Transaction

from tams.repository.vast.failures import translated
from tams.repository.vast.tables import Table


class TableMetadataCache:
    """The descriptions of the tables of one schema. Loading one takes several requests."""

    def __init__(self, bucket: str, schema: str) -> None:
        self._bucket = bucket
        self._schema = schema
        self._loaded: dict[str, TableMetadata] = {}

    def get(self, table: Table, transaction: Transaction) -> TableMetadata:
        """Return the description of a table. The first call for a table loads it in `transaction`."""
        metadata = self._loaded.get(table.name)
        if metadata is None:
            metadata = TableMetadata(TableRef(self._bucket, self._schema, table.name))
            with translated():
                metadata.load(transaction)
            self._loaded[table.name] = metadata
        return metadata

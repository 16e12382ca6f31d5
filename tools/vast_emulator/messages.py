"""The small FlatBuffers messages: lists and statistics in responses, definitions in requests."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
from vastdb.vast_flatbuf.tabular import (
    AlterProjectionTableRequest,
    CreateProjectionRequest,
    GetProjectionTableStatsResponse,
    GetTableStatsResponse,
    ImportDataRequest,
    KeyName,
    ListProjectionsResponse,
    ListSchemasResponse,
    ListTablesResponse,
    ObjectDetails,
    S3File,
    VectorIndexMetadata,
    VipRange,
)
from vastdb.vast_flatbuf.tabular.ColumnType import ColumnType

from tools.vast_emulator.catalog import Table, VectorIndex
from tools.vast_emulator.errors import bad_request
from tools.vast_emulator.stores import Store

# The top bit of a sorting score means that all rows are sorted; the emulator sorts rows when it stores them.
_SORTED = -(1 << 63)


@dataclass(frozen=True, slots=True)
class Entry:
    """A schema, a table or a projection in a list."""

    name: str
    handle: int
    rows: int = 0
    size: int = 0
    sorted: bool = False
    inserted_rows: int = 0

    @classmethod
    def of_table(cls, table: Table) -> "Entry":
        """Return the entry of a table."""
        store = table.store
        return cls(
            table.name,
            table.id,
            rows=store.rows,
            size=store.nbytes,
            sorted=bool(table.sort_columns),
            inserted_rows=table.inserted_rows,
        )


def list_of_schemas(bucket: str, entries: Sequence[Entry]) -> bytes:
    """Encode the response to a request for the list of schemas."""
    builder = flatbuffers.Builder(1024)
    items = _vector(builder, ListSchemasResponse.StartSchemasVector, [_details(builder, e) for e in entries])
    name = builder.CreateString(bucket)
    ListSchemasResponse.Start(builder)
    ListSchemasResponse.AddBucketName(builder, name)
    ListSchemasResponse.AddSchemas(builder, items)
    return _finish(builder, ListSchemasResponse.End(builder))


def list_of_tables(bucket: str, schema: str, entries: Sequence[Entry]) -> bytes:
    """Encode the response to a request for the list of tables."""
    builder = flatbuffers.Builder(1024)
    items = _vector(builder, ListTablesResponse.StartTablesVector, [_details(builder, e) for e in entries])
    bucket_name, schema_name = builder.CreateString(bucket), builder.CreateString(schema)
    ListTablesResponse.Start(builder)
    ListTablesResponse.AddBucketName(builder, bucket_name)
    ListTablesResponse.AddSchemaName(builder, schema_name)
    ListTablesResponse.AddTables(builder, items)
    return _finish(builder, ListTablesResponse.End(builder))


def list_of_projections(bucket: str, schema: str, table: str, entries: Sequence[Entry]) -> bytes:
    """Encode the response to a request for the list of projections."""
    builder = flatbuffers.Builder(1024)
    items = _vector(builder, ListProjectionsResponse.StartProjectionsVector, [_details(builder, e) for e in entries])
    names = [builder.CreateString(name) for name in (bucket, schema, table)]
    ListProjectionsResponse.Start(builder)
    ListProjectionsResponse.AddBucketName(builder, names[0])
    ListProjectionsResponse.AddSchemaName(builder, names[1])
    ListProjectionsResponse.AddTableName(builder, names[2])
    ListProjectionsResponse.AddProjections(builder, items)
    return _finish(builder, ListProjectionsResponse.End(builder))


def table_statistics(table: Table, addresses: Sequence[tuple[str, int]]) -> bytes:
    """Encode the response to a request for a table's statistics; addresses are (first, count)."""
    builder = flatbuffers.Builder(1024)
    ranges = []
    for first, count in addresses:
        start = builder.CreateString(first)
        VipRange.Start(builder)
        VipRange.AddStartAddress(builder, start)
        VipRange.AddAddressCount(builder, count)
        ranges.append(VipRange.End(builder))
    vips = _vector(builder, GetTableStatsResponse.StartVipsVector, ranges)
    kind = builder.CreateString("ipv4")
    index = None if table.vector_index is None else _vector_index(builder, table.vector_index)
    GetTableStatsResponse.Start(builder)
    GetTableStatsResponse.AddNumRows(builder, table.store.rows)
    GetTableStatsResponse.AddSizeInBytes(builder, table.store.nbytes)
    GetTableStatsResponse.AddIsExternalRowidAlloc(builder, table.external_row_ids)
    GetTableStatsResponse.AddAddressType(builder, kind)
    GetTableStatsResponse.AddVips(builder, vips)
    GetTableStatsResponse.AddSortingKeyEnabled(builder, bool(table.sort_columns))
    GetTableStatsResponse.AddSortingScore(builder, _SORTED if table.sort_columns else 0)
    GetTableStatsResponse.AddAcummulativeRowInseritionCount(builder, table.inserted_rows)
    if index is not None:
        GetTableStatsResponse.AddVectorIndexMetadata(builder, index)
    return _finish(builder, GetTableStatsResponse.End(builder))


def projection_statistics(store: Store) -> bytes:
    """Encode the response to a request for a projection's statistics; a projection is always in sync."""
    builder = flatbuffers.Builder(128)
    GetProjectionTableStatsResponse.Start(builder)
    GetProjectionTableStatsResponse.AddNumRows(builder, store.rows)
    GetProjectionTableStatsResponse.AddSizeInBytes(builder, store.nbytes)
    GetProjectionTableStatsResponse.AddInitialSyncProgress(builder, 100)
    return _finish(builder, GetProjectionTableStatsResponse.End(builder))


def _vector_index(builder: flatbuffers.Builder, index: VectorIndex) -> int:
    texts = (index.column, index.metric, index.function, index.cluster_quantization, index.search_quantization)
    offsets = [builder.CreateString(text) for text in texts]
    VectorIndexMetadata.Start(builder)
    VectorIndexMetadata.AddColumnName(builder, offsets[0])
    VectorIndexMetadata.AddDistanceMetric(builder, offsets[1])
    VectorIndexMetadata.AddSqlFunctionName(builder, offsets[2])
    VectorIndexMetadata.AddClusterQuantization(builder, offsets[3])
    VectorIndexMetadata.AddSearchQuantization(builder, offsets[4])
    return int(VectorIndexMetadata.End(builder))


def _details(builder: flatbuffers.Builder, entry: Entry) -> int:
    name, properties = builder.CreateString(entry.name), builder.CreateString("")
    handle = builder.CreateString(str(entry.handle))
    ObjectDetails.Start(builder)
    ObjectDetails.AddName(builder, name)
    ObjectDetails.AddProperties(builder, properties)
    ObjectDetails.AddHandle(builder, handle)
    ObjectDetails.AddNumRows(builder, entry.rows)
    ObjectDetails.AddSizeInBytes(builder, entry.size)
    ObjectDetails.AddSortingKeyEnabled(builder, entry.sorted)
    ObjectDetails.AddSortingScore(builder, _SORTED if entry.sorted else 0)
    ObjectDetails.AddAcummulativeRowInseritionCount(builder, entry.inserted_rows)
    return int(ObjectDetails.End(builder))


def _vector(builder: flatbuffers.Builder, start: Any, offsets: Sequence[int]) -> int:
    start(builder, len(offsets))
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _finish(builder: flatbuffers.Builder, root: int) -> bytes:
    builder.Finish(root)
    return bytes(builder.Output())


def projection_columns(body: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the sorted and of the other columns of a projection to be created."""
    request = _read(CreateProjectionRequest.CreateProjectionRequest, body)
    columns = [request.Columns(number) for number in range(request.ColumnsLength())]
    by_sorting: dict[bool, list[str]] = {True: [], False: []}
    for column in columns:
        by_sorting[column.Type() == ColumnType.Sorted].append(column.Name().decode())
    return tuple(by_sorting[True]), tuple(by_sorting[False])


def new_projection_name(body: bytes) -> str | None:
    """Return the new name in a request to rename a projection, or None."""
    name = _read(AlterProjectionTableRequest.AlterProjectionTableRequest, body).NewName()
    return None if name is None else str(name.decode())


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """A Parquet object to be imported; `partitions` is an Arrow stream of one row, or empty."""

    bucket: str
    name: str
    partitions: bytes


def files_to_import(body: bytes) -> tuple[list[ImportedFile], list[str]]:
    """Return the files to import, and the names of the columns that match their rows with existing ones."""
    request = _read(ImportDataRequest.ImportDataRequest, body)
    files = []
    for file in _items(request, 0, S3File.S3File):
        partitions = bytes(file.Partitions(octet) & 0xFF for octet in range(file.PartitionsLength()))
        files.append(ImportedFile(file.BucketName().decode(), file.FileName().decode(), partitions))
    keys = [name.Name().decode() for name in _items(request, 1, KeyName.KeyName)]
    return files, keys


def _items(message: Any, field: int, kind: Callable[[], Any]) -> Iterator[Any]:
    """Yield the members of a vector of tables.

    The generated accessor of this message imports a module that does not exist.
    """
    table = message._tab
    offset = table.Offset(4 + 2 * field)
    for number in range(table.VectorLen(offset) if offset else 0):
        item = kind()
        item.Init(table.Bytes, table.Indirect(table.Vector(offset) + 4 * number))
        yield item


def _read(kind: Any, body: bytes) -> Any:
    if len(body) < 8:
        raise bad_request("MalformedRequest", "the body is too short for a message")
    return kind.GetRootAs(body)

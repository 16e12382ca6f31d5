"""The response to a select: frames of Arrow messages, one stream for every leaf of every column."""

import struct
from collections.abc import Iterator, Sequence
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.types as pt
from numpy.typing import NDArray

_COMPLETED = 0xFFFFFFFE
_FAILED = 0xFFFFFFFD
_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"


class SelectBody:
    """The body of the response to a select, built sub-split by sub-split."""

    def __init__(self) -> None:
        self._body = BytesIO()

    def add(self, sub_split: int, next_place: int, columns: Sequence[pa.Array], rows: int) -> None:
        """Append the rows of one sub-split; `next_place` is where its next request starts."""
        header = struct.pack("<LQ", sub_split, next_place)
        for batch in _batches(columns, rows):
            for message in (batch.schema.serialize(), batch.serialize(), _END_OF_STREAM):
                self._body.write(header)
                self._body.write(message)

    def complete(self) -> bytes:
        """Return the whole body."""
        self._body.write(struct.pack("<L", _COMPLETED))
        return self._body.getvalue()


def failed(code: int) -> bytes:
    """Return a body that reports a failed query."""
    return struct.pack("<LQL", _FAILED, code, 0)


def _batches(columns: Sequence[pa.Array], rows: int) -> Iterator[pa.RecordBatch]:
    """Yield a batch of one column for every leaf; without columns, one batch that has only a number of rows."""
    if not columns:
        yield pa.RecordBatch.from_arrays([pa.nulls(rows)], names=["rows"]).select([])
    for column in columns:
        for leaf in _leaves(column):
            yield pa.RecordBatch.from_arrays([leaf], names=["leaf"])


def _leaves(array: pa.Array) -> Iterator[pa.Array]:
    """Yield the array once for each of its leaves, reduced to that leaf and the nesting above it."""
    kind, buffers = array.type, array.buffers()
    if pt.is_struct(kind):
        for number in range(kind.num_fields):
            for leaf in _leaves(array.field(number)):
                wrapped = pa.struct([pa.field(kind.field(number).name, leaf.type)])
                yield pa.Array.from_buffers(wrapped, len(array), buffers[:1], children=[leaf])
    elif pt.is_map(kind) or pt.is_list(kind):
        for leaf in _leaves(_elements(array)):
            yield pa.Array.from_buffers(pa.list_(leaf.type), len(array), buffers[:2], children=[leaf])
    elif pt.is_fixed_size_list(kind):
        for leaf in _leaves(array.values):
            wrapped = pa.list_(leaf.type, kind.list_size)
            yield pa.Array.from_buffers(wrapped, len(array), buffers[:1], children=[leaf])
    else:
        yield array


def _elements(array: pa.Array) -> pa.Array:
    """Return the elements of a list, or the entries of a map as a struct."""
    if pt.is_list(array.type):
        return array.values
    kind = array.type
    entries = pa.struct([kind.key_field, kind.item_field])
    return pa.Array.from_buffers(entries, len(array.keys), [None], children=[array.keys, array.items])


def row_id_array(row_ids: NDArray[np.int64], decimal_tag: int | None) -> pa.Array:
    """Return row ids as clients receive them: uint64, or decimals whose upper half is the tag."""
    if decimal_tag is None:
        return pa.array(row_ids.astype(np.uint64))
    halves = np.empty((len(row_ids), 2), dtype=np.uint64)
    halves[:, 0] = row_ids
    halves[:, 1] = decimal_tag
    return pa.Array.from_buffers(pa.decimal128(38, 0), len(row_ids), [None, pa.py_buffer(halves.tobytes())])


def row_ids_of(array: pa.Array, decimal_tag: int | None) -> NDArray[np.int64]:
    """Return the row ids that a client sent; -1 for an id that was never assigned."""
    if decimal_tag is None:
        return np.asarray(array.to_numpy(zero_copy_only=False)).astype(np.int64)
    packed = np.frombuffer(array.buffers()[1], dtype=np.uint64)
    halves = packed.reshape(-1, 2)[array.offset : array.offset + len(array)]
    return np.where(halves[:, 1] == decimal_tag, halves[:, 0].astype(np.int64), -1)

"""A request and its response, as the parts of the emulator see them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

import pyarrow as pa

from tools.vast_emulator.errors import ProtocolError, bad_request


@dataclass(frozen=True, slots=True)
class Request:
    """A request. Header names are in lower case; `segments` are the decoded parts of the path."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    connection: int = 0  # which connection it came on
    local_address: str = "127.0.0.1"  # where that connection ends here

    @property
    def segments(self) -> tuple[str, ...]:
        """The path's parts: bucket, schemas, table."""
        return tuple(unquote(part) for part in self.target.partition("?")[0].split("/") if part)

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters; a command is one without a value."""
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @property
    def bucket(self) -> str:
        """The first part of the path."""
        return self.segments[0] if self.segments else ""

    def number(self, header: str, default: int = 0) -> int:
        """A header that is a number; 400 when it is not."""
        value = self.headers.get(header)
        if value is None:
            return default
        try:
            return int(value)
        except ValueError as wrong:
            raise bad_request("InvalidArgument", f"{header}: {value!r}") from wrong

    def flag(self, header: str) -> bool:
        """A header that says yes."""
        return self.headers.get(header, "").lower() == "true"

    @property
    def transaction(self) -> int:
        """The id of the transaction; 0 is none."""
        return self.number("tabular-txid")


@dataclass(slots=True)
class Response:
    """A response; with `chunks`, the body goes out in these pieces, each seen as one by the client."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    chunks: Sequence[bytes] | None = None

    @classmethod
    def of(cls, error: ProtocolError) -> "Response":
        """A refusal."""
        return cls(error.status, {"Content-Type": "application/xml"}, error.xml())


def read_schema(body: bytes) -> pa.Schema:
    """An Arrow schema message."""
    try:
        return pa.ipc.read_schema(pa.py_buffer(body))
    except pa.ArrowException as wrong:
        raise bad_request("MalformedRequest", f"the body is no Arrow schema: {wrong}") from wrong


def read_batch(body: bytes) -> pa.RecordBatch:
    """An Arrow stream of a single batch."""
    try:
        batches = list(pa.ipc.open_stream(pa.py_buffer(body)))
    except pa.ArrowException as wrong:
        raise bad_request("MalformedRequest", f"the body is no Arrow stream: {wrong}") from wrong
    if len(batches) != 1:
        raise bad_request("MalformedRequest", f"{len(batches)} batches instead of one")
    return batches[0]


def stream_of(schema: pa.Schema, *batches: pa.RecordBatch) -> bytes:
    """An Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return bytes(sink.getvalue())

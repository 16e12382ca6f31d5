"""Requests and responses as the parts of the emulator see them."""

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
    connection: int = 0  # number of the connection that it arrived on
    local_address: str = "127.0.0.1"  # the server's address on that connection

    @property
    def segments(self) -> tuple[str, ...]:
        """Return the decoded parts of the path: bucket, schemas, table."""
        return tuple(unquote(part) for part in self.target.partition("?")[0].split("/") if part)

    @property
    def query(self) -> dict[str, str]:
        """Return the query parameters; a command is a parameter without a value."""
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @property
    def bucket(self) -> str:
        """Return the first part of the path."""
        return self.segments[0] if self.segments else ""

    def number(self, header: str, default: int = 0) -> int:
        """Return the value of a numeric header.

        Raises:
            ProtocolError: 400, the value is not a number.
        """
        value = self.headers.get(header)
        if value is None:
            return default
        try:
            return int(value)
        except ValueError as error:
            raise bad_request("InvalidArgument", f"{header}: {value!r}") from error

    def flag(self, header: str) -> bool:
        """Return True if a header has the value "true"."""
        return self.headers.get(header, "").lower() == "true"

    @property
    def transaction(self) -> int:
        """Return the id of the transaction; 0 if the request is not part of one."""
        return self.number("tabular-txid")


@dataclass(slots=True)
class Response:
    """A response. Each of `chunks`, if given, is sent as one HTTP chunk in place of `body`."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    chunks: Sequence[bytes] | None = None

    @classmethod
    def of(cls, error: ProtocolError) -> "Response":
        """Return the response that reports an error."""
        return cls(error.status, {"Content-Type": "application/xml"}, error.xml())


def read_schema(body: bytes) -> pa.Schema:
    """Decode an Arrow schema message."""
    try:
        return pa.ipc.read_schema(pa.py_buffer(body))
    except pa.ArrowException as error:
        raise bad_request("MalformedRequest", f"the body is not an Arrow schema: {error}") from error


def read_batch(body: bytes) -> pa.RecordBatch:
    """Decode an Arrow stream of a single batch."""
    try:
        batches = list(pa.ipc.open_stream(pa.py_buffer(body)))
    except pa.ArrowException as error:
        raise bad_request("MalformedRequest", f"the body is not an Arrow stream: {error}") from error
    if len(batches) != 1:
        raise bad_request("MalformedRequest", f"the body has {len(batches)} batches instead of one")
    return batches[0]


def stream_of(schema: pa.Schema, *batches: pa.RecordBatch) -> bytes:
    """Encode batches as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return bytes(sink.getvalue())

"""The storage port: what a Storage Backend promises. `tests/storage` checks an adapter against it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol


@dataclass(frozen=True, slots=True)
class Backend:
    """A Storage Backend as `/service/storage-backends` shows it (`storage-backends-list.json`)."""

    id: str
    label: str
    provider: str
    store_product: str
    region: str | None = None
    availability_zone: str | None = None
    tags: Mapping[str, str | list[str]] = field(default_factory=dict)
    default: bool = False
    store_type: str = "http_object_store"


@dataclass(frozen=True, slots=True)
class Stored:
    """Metadata of stored bytes.

    `size` is in bytes, `etag` a strong entity tag with its quotes, `modified` in seconds since 1970. `checksums` are
    the digests that the backend itself keeps (algorithm to digest); often there are none.
    """

    size: int
    content_type: str
    etag: str
    modified: int
    checksums: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listed:
    """A storage key that has bytes: their size, and when they last changed (seconds since 1970)."""

    key: str
    size: int
    modified: int


class StorageError(Exception):
    """The base class of a backend's errors."""


class MissingObject(StorageError):
    """The key has no bytes."""


class ChecksumMismatch(StorageError):
    """The received bytes do not match the sender's checksum; nothing was stored."""


class TooLarge(StorageError):
    """There are more bytes than the backend accepts; nothing was stored."""


class BackendDown(StorageError):
    """The backend does not answer, or is full. Whether anything was stored or deleted is unknown."""


class Storage(Protocol):
    """A Storage Backend. Keys are the store's own (`new_key`), never taken from a client.

    A URL that begins with `/` leads to this service: the caller puts the service's base URL in front of it.
    `looks_up_at_once` is True if `with_bytes` asks no server, and may therefore run inside a database transaction.
    """

    backend: Backend
    looks_up_at_once: bool

    def new_key(self, object_id: str, content_type: str | None = None) -> str:
        """Return a key for a new instance of the Object. It was never used before, and never will be again.

        A backend whose keys express the content type stores the bytes under the key with this type, whatever else
        `put` says.
        """

    def get_url(self, key: str, now: int) -> str:
        """Return a presigned URL for GET.

        It is valid for at least `min_presigned_url_timeout` seconds from `now` (microseconds).

        Raises:
            BackendDown: no available credentials are valid that long.
        """

    def get_signer(self, now: int) -> Callable[[str], str]:
        """Return a function from a key to its `get_url`, for the URLs of one response.

        What the URLs have in common is computed once.

        Raises:
            BackendDown: no available credentials are valid that long.
        """

    def put_url(self, key: str, content_type: str, now: int) -> tuple[str, int]:
        """Return a presigned URL for PUT with that content type, and the time when it ends (microseconds)."""

    def public_url(self, key: str) -> str | None:
        """Return the URL that needs no signature, or None if the backend has no such URL of the key for `get_urls`."""

    def plain_put_url(self, key: str, object_id: str) -> str:
        """Return the unsigned URL for PUT with credentials; it says which Object the key was created for."""

    def put(
        self, key: str, stream: BinaryIO, content_type: str, *, checksums: Mapping[str, bytes] | None = None
    ) -> Stored:
        """Store the bytes of `stream`, all or none, in bounded memory.

        `checksums` maps an algorithm (`md5`, `sha1`, `sha256`, `crc32`, `crc32c`, `crc64nvme`) to the expected digest.
        Existing bytes are replaced; readers of them can read on. An exception of `stream` passes through, with nothing
        stored.

        Raises:
            ChecksumMismatch: the bytes do not match `checksums`.
            TooLarge: the stream is longer than the backend accepts.
            BackendDown: the backend does not answer, or is full.
        """

    def open(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Return at most `length` bytes from `start`, in pieces.

        Raises:
            MissingObject: the key has no bytes. Raised by the call, not by the iteration.
            BackendDown: the backend does not answer; raised by the iteration if the bytes break off.
        """

    def head(self, key: str) -> Stored | None:
        """Return the metadata of the key's bytes, or None if there are none."""

    def with_bytes(self, keys: Collection[str]) -> set[str]:
        """Return those of the keys that have bytes. Costs less than `head` of each, and detects no damage.

        Raises:
            BackendDown: the backend does not answer.
        """

    def copy(self, source: str, target: str, origin: Storage | None = None) -> Stored:
        """Copy the bytes of the key `source`, and their type, to the key `target` of this backend.

        `origin` is the backend of `source` (default: this one). The copy is made within the server if one server holds
        both, otherwise through this process in bounded memory. Size and checksum of the copy are compared.

        Raises:
            MissingObject: the source has no bytes.
            ChecksumMismatch: the copy differs from the source, or the source from what was stored; nothing was copied.
        """

    def shares_server(self, origin: Storage) -> bool:
        """Return True if bytes that are copied from `origin` need not pass through this process."""

    def delete(self, key: str) -> None:
        """Delete the bytes, durably. Do nothing if there are none."""

    def listing(self, after: str | None = None, limit: int = 1000) -> Sequence[Listed]:
        """Return at most `limit` of this store's keys that have bytes, in code-point order, beyond the key `after`.

        Only an empty result is the end. Bytes of other stores in the same place are never listed.
        """

    def object_id_of(self, key: str) -> str | None:
        """Return the id of the Object that the key was created for, or None if the key does not tell."""

    def sweep(self, older_than_seconds: int) -> int:
        """Remove the remains of unfinished uploads and copies; return how many there were.

        They began that long ago (in local storage: were last written to). Choose longer than the longest upload or copy
        takes, or it fails.
        """

    def tidy(self, older_than_seconds: int) -> int:
        """Remove files of the backend's own that belong to no bytes and are that old; return how many there were.

        Reads every name in the backend, so only a reconciliation calls it. Does nothing if the backend has no such
        files.
        """

    def check_reading(self) -> None:
        """Check without a change that the backend answers.

        Raises:
            BackendDown: it does not.
        """

    def diagnosis(self, error: Exception) -> str:
        """Return an operator's view of an error of this backend: the place, what is wrong, and the next step."""

    def check(self) -> None:
        """Write, read and delete a probe.

        Raises:
            BackendDown: bytes cannot be written and read.
        """

"""What a Storage Backend promises. An adapter is right when it passes `tests/storage`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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
    """What is known of stored bytes: size, type, strong entity tag (quoted), last change in seconds since 1970.

    `checksums` are the digests that the backend itself keeps of them (algorithm to digest); often there are none.
    """

    size: int
    content_type: str
    etag: str
    modified: int
    checksums: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listed:
    """A key that has bytes: how many, and when they last changed (seconds since 1970)."""

    key: str
    size: int
    modified: int


class StorageError(Exception):
    """The root of what a backend can answer besides success."""


class MissingObject(StorageError):
    """There are no bytes under that key."""


class ChecksumMismatch(StorageError):
    """The bytes that arrived are not those that the sender's checksum was made of; nothing was stored."""


class TooLarge(StorageError):
    """More bytes than the backend takes; nothing was stored."""


class BackendDown(StorageError):
    """The backend does not answer, or has no room; nothing was stored or deleted for certain."""


class Storage(Protocol):
    """One Storage Backend. Keys are the store's own (`new_key`), never taken from a client.

    A URL that begins with `/` is on this service itself: whoever shows it puts the service's base URL in front.
    """

    backend: Backend

    def new_key(self, object_id: str) -> str:
        """A key that was never used before and never will be again, for a new instance of the Object."""

    def get_url(self, key: str, now: int) -> str:
        """A presigned URL for GET, valid for `min_presigned_url_timeout` or more from `now` (microseconds)."""

    def get_signer(self, now: int) -> Callable[[str], str]:
        """What makes the presigned URLs of one answer: `get_url` for any key, with all that they share done once."""

    def put_url(self, key: str, content_type: str, now: int) -> tuple[str, int]:
        """A presigned URL for PUT with that content type, and when it ends (microseconds)."""

    def public_url(self, key: str) -> str | None:
        """The plain URL that needs no signature, where the backend has one to show among `get_urls`."""

    def plain_put_url(self, key: str, object_id: str) -> str:
        """The plain URL for PUT, to be used with credentials; it says which Object the key was made for."""

    def put(
        self, key: str, stream: BinaryIO, content_type: str, *, checksums: Mapping[str, bytes] | None = None
    ) -> Stored:
        """Store the bytes, all or none, in bounded memory.

        `checksums` maps an algorithm (`md5`, `sha1`, `sha256`, `crc32`, `crc32c`, `crc64nvme`) to the digest expected.
        Bytes that were there are replaced; who is reading them reads on. Whatever `stream` raises comes through, with
        nothing stored.
        """

    def open(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """At most `length` bytes from `start`, in pieces. `MissingObject` is raised at the call, not while reading."""

    def head(self, key: str) -> Stored | None:
        """What is stored under the key, or None."""

    def copy(self, source: str, target: str, origin: Storage | None = None) -> Stored:
        """Copy the bytes, and their type, of the key `source` of `origin` (this backend where None) to the key `target`
        of this one: within the server where one holds both, otherwise through this process in bounded memory.

        What is there afterwards has been compared in size and checksum. `MissingObject` where the source has no bytes;
        `ChecksumMismatch` where they are not what they were, with nothing copied.
        """

    def shares_server(self, origin: Storage) -> bool:
        """True where bytes that are copied from `origin` need not pass through this process."""

    def delete(self, key: str) -> None:
        """Remove the bytes. Harmless when there are none."""

    def listing(self, after: str | None = None, limit: int = 1000) -> Sequence[Listed]:
        """At most `limit` of the keys of this store that have bytes, in code-point order, beyond the key `after`.

        Only an empty answer is the end. Whatever else the backend holds is not this store's and never listed.
        """

    def object_id_of(self, key: str) -> str | None:
        """The id of the Object that the key was made for, where the key says so."""

    def sweep(self, older_than_seconds: int) -> int:
        """Remove what uploads and copies that were never finished left behind, begun (local storage: last written to)
        that long ago; how many there were. Longer than the longest upload or copy takes, or those fail.
        """

    def check(self) -> None:
        """Raise `BackendDown` unless bytes can be written and read."""

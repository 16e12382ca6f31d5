"""Object bytes in files of this machine, reached through URLs of this service (`tams.api.resources.media`)."""

from __future__ import annotations

import base64
import contextlib
import io
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote

from tams.storage.checksums import Verification
from tams.storage.local.files import LONGEST_TYPE, PartialFile, Stretch, answering, open_published, sync_directory
from tams.storage.local.signing import UrlSigner
from tams.storage.port import Backend, BackendDown, Listed, MissingObject, Storage, Stored, TooLarge
from tams.storage.transfer import stream_copy

logger = logging.getLogger(__name__)

PIECE: Final = 256 * 1024
"""Bytes that are held in memory at a time."""

OBJECT: Final = "object"
"""The query parameter of a plain PUT URL that names the Object: its id in base64url without padding."""

_MICROSECONDS: Final = 1_000_000
_KEY: Final = re.compile(r"[0-9a-f]{3}/[0-9a-f]{37}", re.ASCII)
# No key begins with a dot.
_INCOMING: Final = ".incoming"
# Characters of the name of a directory, which a key begins with.
_SPREAD: Final = 3


class LocalStorage:
    """A Storage Backend in the directory `root`, which is made where it does not exist.

    `url_lifetime` is how long signed URLs are valid at least, `grace` how long after its URL's end an upload that began
    in time may still go on (both in seconds); `max_upload` is in bytes. `path` is where this service answers the URLs;
    `public_base` is a URL that leads to the same place without credentials, where there is one.
    """

    def __init__(
        self,
        root: Path,
        backend: Backend,
        signing_key: bytes,
        *,
        url_lifetime: int,
        grace: int,
        max_upload: int,
        public_base: str | None = None,
        path: str = "/storage",
    ) -> None:
        self.backend = backend
        self.max_upload = max_upload
        self._root = root
        self._incoming = root / _INCOMING
        self._lifetime = url_lifetime
        self._grace = grace
        self._signer = UrlSigner(signing_key, backend.id)
        storage = quote(backend.id, safe="")
        self._url = f"{path.rstrip('/')}/{storage}/"
        self._public_url = None if public_base is None else f"{public_base.rstrip('/')}/{storage}/"
        with answering():
            self._incoming.mkdir(parents=True, exist_ok=True)

    # URLs

    def new_key(self, object_id: str) -> str:
        """160 random bits: nothing in a file name comes from a client, and files are spread over 4096 directories."""
        name = secrets.token_hex(20)
        return f"{name[:3]}/{name[3:]}"

    def get_url(self, key: str, now: int) -> str:
        """A URL for GET and HEAD. Its end is rounded up, by half a lifetime at most, so that it can be cached."""
        return self.get_signer(now)(key)

    def get_signer(self, now: int) -> Callable[[str], str]:
        """What makes the GET URLs of one answer."""
        step = max(1, self._lifetime // 2)
        earliest = -(-now // _MICROSECONDS) + self._lifetime
        return self._signer.get_signer(self._url, -(-earliest // step) * step)

    def put_url(self, key: str, content_type: str, now: int) -> tuple[str, int]:
        """A URL for PUT with that content type, and when it ends (microseconds)."""
        expiry = -(-now // _MICROSECONDS) + self._lifetime
        return f"{self._url}{key}?{self._signer.put_query(key, expiry, content_type)}", expiry * _MICROSECONDS

    def public_url(self, key: str) -> str | None:
        """The plain URL under the public base, where there is one."""
        return None if self._public_url is None else f"{self._public_url}{key}"

    def plain_put_url(self, key: str, object_id: str) -> str:
        """The URL for PUT with credentials."""
        return f"{self._url}{key}?{OBJECT}={base64.urlsafe_b64encode(object_id.encode()).rstrip(b'=').decode()}"

    def verify_get(self, key: str, query: Mapping[str, str], now: int) -> None:
        """Raise `SignatureRefused` unless the signed query allows GET and HEAD at `now` (microseconds)."""
        self._signer.verify_get(key, query, now)

    def verify_put(self, key: str, content_type: str, query: Mapping[str, str], now: int) -> int:
        """Until when the upload may go on (microseconds); `SignatureRefused` unless the signed query allows it."""
        expiry = self._signer.verify_put(key, content_type, query, now)
        return (expiry + self._grace) * _MICROSECONDS

    # Bytes

    @staticmethod
    def is_key(text: str) -> bool:
        """True where `text` could be from `new_key`. No other key ever becomes a path; it has no bytes."""
        return _KEY.fullmatch(text) is not None

    def put(
        self, key: str, stream: BinaryIO, content_type: str, *, checksums: Mapping[str, bytes] | None = None
    ) -> Stored:
        """Store what `stream` gives until its end, all or none. `MissingObject` for a key that is not ours."""
        return self._store(key, stream, content_type, checksums or {}, self.max_upload)

    def open(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """At most `length` bytes from `start`, in pieces."""
        if start < 0 or (length is not None and length < 0):
            raise ValueError("start and length are not negative")
        file, stored = self.open_file(key)
        rest = max(0, stored.size - start)
        return _pieces(Stretch(file, start, rest if length is None else min(length, rest)))

    def open_file(self, key: str) -> tuple[io.FileIO, Stored]:
        """The file, which begins with the bytes, and what is known of them; the caller closes it. `MissingObject`
        where there is none."""
        path = self._path(key)
        with answering():
            try:
                return open_published(path, key)
            except FileNotFoundError:
                self._require_root()
                raise MissingObject(f"there are no bytes under {key}") from None

    def head(self, key: str) -> Stored | None:
        """What is stored under the key, or None."""
        try:
            file, stored = self.open_file(key)
        except MissingObject:
            return None
        file.close()
        return stored

    def copy(self, source: str, target: str, origin: Storage | None = None) -> Stored:
        """Copy the bytes; `ChecksumMismatch` where they are no longer what was stored, with nothing copied."""
        if origin is not None and not self.shares_server(origin):
            return stream_copy(origin, source, self, target)
        file, stored = self.open_file(source)
        with Stretch(file, 0, stored.size) as stretch:
            return self._store(target, stretch, stored.content_type, stored.checksums, stored.size)

    def shares_server(self, origin: Storage) -> bool:
        """Only with itself."""
        return origin is self

    def delete(self, key: str) -> None:
        """Remove the bytes, for good even where the power fails right after."""
        if not self.is_key(key):
            return
        path = self._path(key)
        with answering():
            try:
                path.unlink()
            except FileNotFoundError:
                self._require_root()
            else:
                sync_directory(path.parent)

    def listing(self, after: str | None = None, limit: int = 1000) -> list[Listed]:
        """The keys that have files, in order; only the directories that are needed are looked into."""
        found: list[Listed] = []
        begin = after or ""
        with answering():
            for directory in sorted(path.name for path in self._root.iterdir()):
                if len(directory) != _SPREAD or directory < begin[:_SPREAD]:
                    continue
                keys = (f"{directory}/{path.name}" for path in (self._root / directory).iterdir())
                for key in sorted(key for key in keys if key > begin and self.is_key(key)):
                    with contextlib.suppress(FileNotFoundError):  # deleted in this moment
                        found.append(self._listed(key))
                    if len(found) == limit:
                        return found
        return found

    def object_id_of(self, key: str) -> str | None:
        """None: file names hold nothing but random bits."""
        return None

    def check(self) -> None:
        """Write, read and remove a small file."""
        probe = secrets.token_bytes(32)
        partial = PartialFile(self._incoming)
        try:
            partial.write(probe)
            if partial.read_back() != probe:
                raise BackendDown("what was written was not read back")
        finally:
            partial.discard()

    def sweep(self, older_than_seconds: int) -> int:
        """Remove what killed uploads left, not written to for that long; how many there were.

        An upload that is only slow loses its bytes too and fails, so this is longer than a connection may be idle.
        """
        before = time.time() - older_than_seconds
        removed = 0
        with answering(), os.scandir(self._incoming) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # its upload has just ended
                    if entry.stat(follow_symlinks=False).st_mtime < before:
                        Path(entry.path).unlink()
                        removed += 1
        if removed:
            logger.info("Removed %s unfinished uploads from storage backend %s", removed, self.backend.id)
        return removed

    def _listed(self, key: str) -> Listed:
        try:
            file, stored = open_published(self._root / key, key)
        except BackendDown:
            # A damaged file is listed as it is, so that one of them hides none of the others.
            status = (self._root / key).lstat()
            return Listed(key, status.st_size, int(status.st_mtime))
        file.close()
        return Listed(key, stored.size, stored.modified)

    def _store(
        self,
        key: str,
        stream: BinaryIO | Stretch,
        content_type: str,
        checksums: Mapping[str, bytes],
        most: int,
    ) -> Stored:
        target = self._path(key)
        if len(content_type.encode()) > LONGEST_TYPE:
            raise ValueError("the content type is too long")
        verification = Verification(checksums)
        partial = PartialFile(self._incoming)
        try:
            while piece := stream.read(PIECE):
                if partial.size + len(piece) > most:
                    raise TooLarge(f"an object has at most {most} bytes here")
                verification.update(piece)
                partial.write(piece)
            verification.finish()
            stored = partial.publish(target, content_type)
        finally:
            partial.discard()
        logger.debug("Stored %s bytes under %s in storage backend %s", stored.size, key, self.backend.id)
        return stored

    def _path(self, key: str) -> Path:
        if not self.is_key(key):
            raise MissingObject("that is no key of this storage backend")
        return self._root / key

    def _require_root(self) -> None:
        """Tell a file that is not there from a disk that is not there."""
        self._incoming.stat()


def _pieces(stretch: Stretch) -> Iterator[bytes]:
    with stretch:
        while piece := stretch.read(PIECE):
            yield piece

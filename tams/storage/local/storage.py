"""The storage adapter for a local directory. This service answers its URLs (`tams.api.resources.media`)."""

from __future__ import annotations

import base64
import contextlib
import io
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote

from typing_extensions import override

from tams.storage.checksums import Verification
from tams.storage.local import records
from tams.storage.local.files import (
    LONGEST_TYPE,
    PartialFile,
    Stretch,
    answering,
    open_published,
    remove_published,
)
from tams.storage.local.media_types import EXTENSIONS, TYPES
from tams.storage.local.signing import UrlSigner
from tams.storage.port import Backend, BackendDown, Listed, MissingObject, Storage, Stored, TooLarge
from tams.storage.transfer import stream_copy

logger = logging.getLogger(__name__)

PIECE: Final = 256 * 1024
"""The number of bytes in memory at a time."""

OBJECT: Final = "object"
"""The query parameter of an unsigned PUT URL: the id of the Object, in base64url without padding."""

_MICROSECONDS: Final = 1_000_000
_KEY: Final = re.compile(rf"[0-9a-f]{{3}}/[0-9a-f]{{37}}(?:\.(?:{'|'.join(TYPES)}))?", re.ASCII)
# No key begins with a dot.
_INCOMING: Final = ".incoming"
# Files are spread over directories whose names have this many characters; keys begin with them.
_DIRECTORY: Final = 3


class LocalStorage(Storage):
    """A Storage Backend in the directory `root`, which is created if missing.

    `url_lifetime` is the minimum validity of signed URLs, and `grace` how long an upload that began in time may go on
    after the expiry of its URL, both in seconds. `max_upload` is in bytes. This service answers the URLs below `path`;
    a web server may serve `root` without credentials below the optional URL `public_base`, under the backend's id.
    """

    looks_up_at_once = True

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
        # A backend that is down must not keep a store with others from starting: each use of it says so.
        with contextlib.suppress(BackendDown), answering():
            self._incoming.mkdir(parents=True, exist_ok=True)

    # URLs

    # 160 random bits, and an extension for the content type: nothing else of a file name comes from a client, and files
    # are spread over 4096 directories.
    @override
    def new_key(self, object_id: str, content_type: str | None = None) -> str:
        name = secrets.token_hex(20)
        extension = EXTENSIONS.get(content_type or "")
        return f"{name[:_DIRECTORY]}/{name[_DIRECTORY:]}{'' if extension is None else f'.{extension}'}"

    @override
    def get_url(self, key: str, now: int) -> str:
        return self.get_signer(now)(key)

    # The URLs are for GET and HEAD. Their expiry is rounded up, by half a lifetime at most, so that they can be cached.
    @override
    def get_signer(self, now: int) -> Callable[[str], str]:
        step = max(1, self._lifetime // 2)
        earliest = -(-now // _MICROSECONDS) + self._lifetime
        return self._signer.get_signer(self._url, -(-earliest // step) * step)

    @override
    def put_url(self, key: str, content_type: str, now: int) -> tuple[str, int]:
        expiry = -(-now // _MICROSECONDS) + self._lifetime
        return f"{self._url}{key}?{self._signer.put_query(key, expiry, content_type)}", expiry * _MICROSECONDS

    # Without an extension, a web server cannot tell the type. Files of version 0.1.0 have none; they have a footer.
    @override
    def public_url(self, key: str) -> str | None:
        return None if self._public_url is None or "." not in key else f"{self._public_url}{key}"

    @override
    def plain_put_url(self, key: str, object_id: str) -> str:
        return f"{self._url}{key}?{OBJECT}={base64.urlsafe_b64encode(object_id.encode()).rstrip(b'=').decode()}"

    def verify_get(self, key: str, query: Mapping[str, str], now: int) -> None:
        """Raise `SignatureRefused` unless the signed query allows GET and HEAD at `now` (microseconds)."""
        self._signer.verify_get(key, query, now)

    def verify_put(self, key: str, content_type: str, query: Mapping[str, str], now: int) -> int:
        """Return the time when the upload has to be finished (microseconds).

        Raises:
            SignatureRefused: the signed query does not allow this PUT at `now` (microseconds).
        """
        expiry = self._signer.verify_put(key, content_type, query, now)
        return (expiry + self._grace) * _MICROSECONDS

    # Bytes

    @staticmethod
    def is_key(text: str) -> bool:
        """Return True if `text` has the form of a key of `new_key`. No other key becomes a path, or has bytes."""
        return _KEY.fullmatch(text) is not None

    # Raises MissingObject for a key that `new_key` cannot have returned.
    @override
    def put(
        self, key: str, stream: BinaryIO, content_type: str, *, checksums: Mapping[str, bytes] | None = None
    ) -> Stored:
        return self._store(key, stream, content_type, checksums or {}, self.max_upload)

    def put_if(
        self,
        key: str,
        stream: BinaryIO,
        content_type: str,
        *,
        checksums: Mapping[str, bytes],
        condition: Callable[[Stored | None], None],
    ) -> Stored:
        """Store the bytes as `put` does, unless `condition` raises an exception, which passes through.

        It is called with what is stored under the key, before the bytes are read and again before they replace it.
        """
        condition(self.head(key))
        return self._store(key, stream, content_type, checksums, self.max_upload, condition)

    @override
    def open(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        if start < 0 or (length is not None and length < 0):
            raise ValueError("start and length must not be negative")
        file, stored = self.open_file(key)
        available = max(0, stored.size - start)
        return _pieces(Stretch(file, start, available if length is None else min(length, available)))

    def open_file(self, key: str) -> tuple[io.FileIO, Stored]:
        """Return the file, whose first `size` bytes are the media, and their metadata. The caller closes the file.

        Raises:
            MissingObject: the key has no bytes.
            BackendDown: the file system fails, or the file is damaged.
        """
        path = self._path(key)
        with answering():
            try:
                return open_published(path, key)
            except FileNotFoundError:
                self._require_root()
                raise MissingObject(f"there are no bytes under {key}") from None

    @override
    def head(self, key: str) -> Stored | None:
        try:
            file, stored = self.open_file(key)
        except MissingObject:
            return None
        file.close()
        return stored

    # `access` takes half the time of `lstat`, which has to tell only why a key is not there.
    @override
    def with_bytes(self, keys: Collection[str]) -> set[str]:
        root, exists, is_key = f"{self._root}/", os.access, _KEY.fullmatch
        present = {key for key in keys if is_key(key) and exists(root + key, os.F_OK)}
        with answering():
            for key in set(keys) - present:
                if is_key(key):
                    with contextlib.suppress(FileNotFoundError):
                        os.lstat(root + key)
                        present.add(key)
            if len(present) < len(keys):
                self._require_root()
        return present

    @override
    def copy(self, source: str, target: str, origin: Storage | None = None) -> Stored:
        if origin is not None and not self.shares_server(origin):
            return stream_copy(origin, source, self, target)
        file, stored = self.open_file(source)
        with Stretch(file, 0, stored.size) as stretch:
            return self._store(target, stretch, stored.content_type, stored.checksums, stored.size)

    @override
    def shares_server(self, origin: Storage) -> bool:
        return origin is self

    @override
    def delete(self, key: str) -> None:
        if not self.is_key(key):
            return
        with answering():
            if not remove_published(self._path(key)):
                self._require_root()

    # Reads only the directories that are needed.
    @override
    def listing(self, after: str | None = None, limit: int = 1000) -> list[Listed]:
        listed: list[Listed] = []
        begin = after or ""
        with answering():
            for directory in sorted(path.name for path in self._root.iterdir()):
                if len(directory) != _DIRECTORY or directory < begin[:_DIRECTORY]:
                    continue
                keys = (f"{directory}/{path.name}" for path in (self._root / directory).iterdir())
                for key in sorted(key for key in keys if key > begin and self.is_key(key)):
                    with contextlib.suppress(FileNotFoundError):  # deleted concurrently
                        listed.append(self._listed(key))
                    if len(listed) == limit:
                        return listed
        return listed

    # File names consist of random bits only.
    @override
    def object_id_of(self, key: str) -> str | None:
        return None

    @override
    def check_reading(self) -> None:
        with answering():
            self._require_root()

    @override
    def diagnosis(self, error: Exception) -> str:
        return (
            f"Directory {self._root}: {error}. Make it a directory that the user of the store may write to, on a "
            "mounted disk with free space, and start the store again if it was missing at the start."
        )

    @override
    def check(self) -> None:
        probe = secrets.token_bytes(32)
        partial = PartialFile(self._incoming)
        try:
            partial.write(probe)
            if partial.read_back() != probe:
                raise BackendDown("the bytes read differ from those written")
        finally:
            partial.discard()

    # The age is the time since the last write. An upload that is only slow loses its bytes too and fails, so the age
    # has to be longer than a connection may be idle.
    @override
    def sweep(self, older_than_seconds: int) -> int:
        before = time.time() - older_than_seconds
        removed = 0
        with answering(), os.scandir(self._incoming) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # its upload has just finished
                    if entry.stat(follow_symlinks=False).st_mtime < before:
                        Path(entry.path).unlink()
                        removed += 1
        if removed:
            logger.info("Removed %s unfinished uploads from storage backend %s", removed, self.backend.id)
        return removed

    # Only a database that was restored from a backup, or a delete that a power failure interrupted, leaves such files.
    @override
    def tidy(self, older_than_seconds: int) -> int:
        before = time.time() - older_than_seconds
        removed = 0
        with answering():
            for directory in sorted(path for path in self._root.iterdir() if len(path.name) == _DIRECTORY):
                names = {path.name for path in directory.iterdir()}
                for name in sorted(names):
                    path = directory / name
                    if name.endswith(records.SUFFIX) and name.removesuffix(records.SUFFIX) not in names:
                        with contextlib.suppress(FileNotFoundError):  # deleted concurrently
                            if path.lstat().st_mtime < before:
                                path.unlink()
                                removed += 1
        if removed:
            logger.info("Removed %s records without media from storage backend %s", removed, self.backend.id)
        return removed

    def _listed(self, key: str) -> Listed:
        try:
            file, stored = open_published(self._root / key, key)
        except BackendDown:
            # A damaged file is listed with its own size, so that it does not hide the others.
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
        condition: Callable[[Stored | None], None] | None = None,
    ) -> Stored:
        target = self._path(key)
        # A web server that serves the file sends this type.
        content_type = TYPES.get(key.partition(".")[2], content_type)
        if len(content_type.encode()) > LONGEST_TYPE:
            raise ValueError("the content type is too long")
        verification = Verification(checksums)
        partial = PartialFile(self._incoming)
        try:
            while piece := stream.read(PIECE):
                if partial.size + len(piece) > most:
                    raise TooLarge(f"an Object may have at most {most} bytes here")
                verification.update(piece)
                partial.write(piece)
            verification.finish()
            stored = partial.publish(target, content_type, condition)
        finally:
            partial.discard()
        logger.debug("Stored %s bytes under %s in storage backend %s", stored.size, key, self.backend.id)
        return stored

    def _path(self, key: str) -> Path:
        if not self.is_key(key):
            raise MissingObject("this is not a key of this storage backend")
        return self._root / key

    def _require_root(self) -> None:
        """Raise FileNotFoundError if the whole directory is missing, which is not a missing file but a missing disk."""
        self._incoming.stat()


def _pieces(stretch: Stretch) -> Iterator[bytes]:
    with stretch:
        while piece := stretch.read(PIECE):
            yield piece

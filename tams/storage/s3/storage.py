"""A Storage Backend in an S3 bucket."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from urllib.parse import quote

from tams.storage.checksums import Verification
from tams.storage.port import BackendDown, Listed, MissingObject, Storage, Stored, TooLarge
from tams.storage.s3.client import Bucket, Refused, content_md5, make_session
from tams.storage.s3.credentials import LastingCredentials
from tams.storage.s3.keys import Keys
from tams.storage.s3.multipart import MOST_PARTS, copy_parts, plain_md5, upload_parts
from tams.storage.s3.presign import Presigner, Signing
from tams.storage.transfer import require_same, stream_copy

if TYPE_CHECKING:
    from tams.storage.configuration.backends import S3Configuration

logger = logging.getLogger(__name__)

LARGEST_COPY: Final = 5 * 1024**3
"""Bytes that S3 copies in one request."""

_PIECE: Final = 256 * 1024
_PART: Final = 8 * 1024 * 1024
_COPIED_PART: Final = 512 * 1024 * 1024
_MICROSECONDS: Final = 1_000_000
# With keys of the SDK's own making, an entity tag is a digest of the ciphertext.
_OWN_ETAGS: Final = frozenset({None, "AES256"})


class S3Storage:
    """The part of a bucket that belongs to the store `store_id`.

    `url_lifetime` is how long signed URLs are valid at least, `longest_put` how long one for PUT is at most (both in
    seconds, from the moment of signing); `max_upload` is in bytes, and so is `largest_copy`, above which objects are
    copied in parts. Raises ConfigurationError where no request could ever be made.
    """

    def __init__(
        self,
        configuration: S3Configuration,
        store_id: str,
        *,
        url_lifetime: int,
        longest_put: int,
        max_upload: int,
        largest_copy: int = LARGEST_COPY,
    ) -> None:
        session = make_session(configuration)
        self.backend = configuration.backend
        self.bucket = Bucket(configuration, session)
        self.keys = Keys(configuration.prefix, store_id)
        self.configuration = configuration
        self._lifetime = url_lifetime
        # GET URLs are signed for a date of which there is one in so many seconds, so that they can be cached.
        self._step = max(1, url_lifetime // 2)
        # A date has no fraction of a second: the one second more makes up for what is cut off.
        self._put_lifetime = min(url_lifetime + 1, longest_put)
        self._max_upload = max_upload
        self._part = max(_PART, -(-max_upload // MOST_PARTS))
        self._largest_copy = largest_copy
        self._copied_part = min(_COPIED_PART, largest_copy)
        self._credentials = LastingCredentials(session, url_lifetime + self._step)
        self._presigner = Presigner(self.bucket.address(session), configuration.signing_region)
        self._public_base = None if configuration.public_url is None else f"{configuration.public_url}/"
        self._get_signing: tuple[int, Signing] | None = None
        self._put_signing: tuple[tuple[int, str], Signing] | None = None

    # URLs

    def new_key(self, object_id: str) -> str:
        """A key below this store's own prefix (see `tams.storage.s3.keys`)."""
        return self.keys.new(object_id)

    def object_id_of(self, key: str) -> str | None:
        """The id of the Object, for all but ids of more than 600 bytes."""
        return self.keys.object_id(key)

    def get_url(self, key: str, now: int) -> str:
        """A URL for GET, the same for up to half of its lifetime. `BackendDown` where no credentials live as long."""
        return self.get_signer(now)(key)

    def get_signer(self, now: int) -> Callable[[str], str]:
        """What makes the GET URLs of one answer. `BackendDown` where no credentials live as long."""
        seconds = now // _MICROSECONDS
        date = seconds - seconds % self._step
        prepared = self._get_signing
        if prepared is None or prepared[0] != date:
            lifetime = self._lifetime + self._step
            credentials = self._credentials.until(date + lifetime)
            prepared = self._get_signing = (date, self._presigner.signing(credentials, date, lifetime))
        return partial(self._presigner.get, signing=prepared[1])

    def put_url(self, key: str, content_type: str, now: int) -> tuple[str, int]:
        """A URL for PUT with that content type, and when it ends (microseconds)."""
        date = now // _MICROSECONDS
        prepared = self._put_signing
        if prepared is None or prepared[0] != (date, content_type):
            credentials = self._credentials.until(date + self._put_lifetime)
            signing = self._presigner.signing(credentials, date, self._put_lifetime, content_type)
            prepared = self._put_signing = ((date, content_type), signing)
        return self._presigner.put(key, prepared[1]), (date + self._put_lifetime) * _MICROSECONDS

    def public_url(self, key: str) -> str | None:
        """The plain URL under the public base, where there is one."""
        return None if self._public_base is None else self._public_base + quote(key, safe="/~")

    def plain_put_url(self, key: str, object_id: str) -> str:
        """The URL in S3, for clients with S3 credentials of their own."""
        return self._presigner.plain(key)

    # Bytes

    def put(
        self, key: str, stream: BinaryIO, content_type: str, *, checksums: Mapping[str, bytes] | None = None
    ) -> Stored:
        """Store what `stream` gives until its end, all or none; one part is in memory at a time."""
        verification = Verification(checksums or {})
        parts = _Parts(stream, self._part, self._max_upload, verification)
        first = next(parts)
        if parts.ended:
            verification.finish()
            self.bucket.ask("put_object", Key=key, Body=first, ContentType=content_type, ContentMD5=content_md5(first))
        else:
            upload_parts(self.bucket, key, content_type, parts.from_first(first), verification.finish)
        stored = self.head(key)
        if stored is None or stored.size != parts.size:
            raise BackendDown("what was stored is not there")
        logger.debug("Stored %s bytes under %s in storage backend %s", stored.size, key, self.backend.id)
        return stored

    def open(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """At most `length` bytes from `start`, in pieces. `BackendDown` where they break off."""
        if start < 0 or (length is not None and length < 0):
            raise ValueError("start and length are not negative")
        if length == 0:
            if self.head(key) is None:
                raise MissingObject(f"there are no bytes under {key}")
            return iter(())
        limits: dict[str, Any] = {}
        if start or length is not None:
            limits["Range"] = f"bytes={start}-{'' if length is None else start + length - 1}"
        try:
            answer = self.bucket.ask("get_object", Key=key, **limits)
        except Refused as refused:
            # The range begins at the end of the bytes, or beyond.
            if refused.code in ("InvalidRange", "416"):
                return iter(())
            raise
        return self._pieces(key, answer["Body"])

    def head(self, key: str) -> Stored | None:
        """What is stored under the key, or None."""
        try:
            answer = self.bucket.ask("head_object", Key=key)
        except MissingObject:
            # The answer to HEAD has no body that could say that it is the bucket which is missing.
            self._require_bucket()
            return None
        etag = str(answer["ETag"])
        digest = plain_md5(etag)
        vouched = digest is not None and answer.get("ServerSideEncryption") in _OWN_ETAGS
        vouched = vouched and "SSECustomerAlgorithm" not in answer
        return Stored(
            int(answer["ContentLength"]),
            str(answer.get("ContentType", "")),
            etag,
            int(answer["LastModified"].timestamp()),
            {"md5": digest} if vouched and digest is not None else {},
        )

    def copy(self, source: str, target: str, origin: Storage | None = None) -> Stored:
        """Copy within the server where it holds both backends under one set of credentials, and does it."""
        if origin is None:
            origin = self
        if not isinstance(origin, S3Storage) or not self.shares_server(origin):
            return stream_copy(origin, source, self, target)
        before = origin.head(source)
        if before is None:
            raise MissingObject(f"there are no bytes under {source}")
        place = {"Bucket": origin.bucket.name, "Key": source}
        try:
            if before.size > self._largest_copy:
                copy_parts(self.bucket, target, before.content_type, place, before.etag, before.size, self._copied_part)
            else:
                self.bucket.ask("copy_object", Key=target, CopySource=place, CopySourceIfMatch=before.etag)
        except Refused as refused:
            # Some servers, and some policies, allow no copy from one bucket to another.
            if origin is self or refused.code not in ("AccessDenied", "NotImplemented"):
                raise
            return stream_copy(origin, source, self, target)
        return require_same(origin, source, self, target, before)

    def shares_server(self, origin: Storage) -> bool:
        """With other buckets that the same credentials reach at the same endpoint."""
        return isinstance(origin, S3Storage) and origin.configuration.server == self.configuration.server

    def delete(self, key: str) -> None:
        """Remove the bytes."""
        try:
            self.bucket.ask("delete_object", Key=key)
        except MissingObject:
            # Most servers answer with success.
            self._require_bucket()

    # The whole

    def listing(self, after: str | None = None, limit: int = 1000) -> list[Listed]:
        """The keys below this store's own prefix that have bytes."""
        beyond: dict[str, str] = {} if after is None else {"StartAfter": after}
        while True:
            answer = self.bucket.ask("list_objects_v2", Prefix=self.keys.own, MaxKeys=min(limit, 1000), **beyond)
            found = [
                Listed(item["Key"], int(item["Size"]), int(item["LastModified"].timestamp()))
                for item in answer.get("Contents", ())
            ]
            if found or not answer.get("IsTruncated"):
                return found
            beyond = {"ContinuationToken": answer["NextContinuationToken"]}

    def sweep(self, older_than_seconds: int) -> int:
        """Abort the uploads in parts below this store's own prefix that began that long ago."""
        before = time.time() - older_than_seconds
        removed = 0
        beyond: dict[str, str] = {}
        while True:
            answer = self.bucket.ask("list_multipart_uploads", Prefix=self.keys.own, **beyond)
            for item in answer.get("Uploads", ()):
                if item["Initiated"].timestamp() < before and item["Key"].startswith(self.keys.own):
                    self._abort(item["Key"], item["UploadId"])
                    removed += 1
            if not answer.get("IsTruncated"):
                break
            beyond = {"KeyMarker": answer["NextKeyMarker"], "UploadIdMarker": answer.get("NextUploadIdMarker", "")}
        if removed:
            logger.info("Aborted %s unfinished uploads in storage backend %s", removed, self.backend.id)
        return removed

    def check(self) -> None:
        """Write, read and remove a small object."""
        probe = secrets.token_bytes(32)
        key = self.new_key("storage-check")
        self.bucket.ask("put_object", Key=key, Body=probe, ContentMD5=content_md5(probe))
        try:
            if b"".join(self.open(key)) != probe:
                raise BackendDown("what was written was not read back")
        except MissingObject as error:
            raise BackendDown("what was written is not there") from error
        finally:
            self.delete(key)

    def _abort(self, key: str, upload_id: str) -> None:
        try:
            self.bucket.ask("abort_multipart_upload", Key=key, UploadId=upload_id)
        except Refused as refused:
            # It came to its end in this moment.
            if refused.code != "NoSuchUpload":
                raise

    def _require_bucket(self) -> None:
        try:
            self.bucket.ask("head_bucket")
        except MissingObject as error:
            raise BackendDown(f"there is no bucket {self.bucket.name}") from error

    def _pieces(self, key: str, body: Any) -> Iterator[bytes]:
        try:
            while True:
                with self.bucket.answering("get_object", key):
                    piece = body.read(_PIECE)
                if not piece:
                    return
                yield piece
        finally:
            body.close()


class _Parts:
    """A stream in parts of `size` bytes, the last one shorter; read until its end, at most `most` bytes."""

    def __init__(self, stream: BinaryIO, part: int, most: int, verification: Verification) -> None:
        self._stream = stream
        self._part = part
        self._most = most
        self._verification = verification
        self.size = 0
        self.ended = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """The next part; the first one may be empty."""
        if self.ended:
            raise StopIteration
        part = bytearray()
        while len(part) < self._part:
            piece = self._stream.read(min(_PIECE, self._part - len(part)))
            if not piece:
                self.ended = True
                break
            self.size += len(piece)
            if self.size > self._most:
                raise TooLarge(f"an object has at most {self._most} bytes here")
            self._verification.update(piece)
            part += piece
        if not part and self.size:
            raise StopIteration
        return bytes(part)

    def from_first(self, first: bytes) -> Iterator[bytes]:
        """All parts, the first of which was taken already."""
        yield first
        yield from self

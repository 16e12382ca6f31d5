"""A Storage Backend in an S3 bucket."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from urllib.parse import quote

from typing_extensions import override

from tams.storage.checksums import Verification
from tams.storage.port import BackendDown, Listed, MissingObject, Storage, Stored
from tams.storage.s3.client import Bucket, Refused, content_md5, make_session
from tams.storage.s3.diagnosis import diagnose
from tams.storage.s3.keys import Keys
from tams.storage.s3.multipart import MOST_PARTS, copy_parts, plain_md5, upload_parts
from tams.storage.s3.presigned_urls import SignedUrls
from tams.storage.s3.sigv4 import Presigner
from tams.storage.s3.stream_parts import StreamParts
from tams.storage.transfer import require_same, stream_copy

if TYPE_CHECKING:
    from tams.storage.configuration.backends import S3Configuration

logger = logging.getLogger(__name__)

LARGEST_COPY: Final = 5 * 1024**3
"""The maximum size of a copy in one request to S3, in bytes."""

_PARALLEL_LOOKUPS: Final = 16
_PIECE: Final = 256 * 1024
_PART: Final = 8 * 1024 * 1024
_COPIED_PART: Final = 512 * 1024 * 1024
# With encryption keys of the SDK's own, an entity tag is a digest of the ciphertext.
_PLAINTEXT_ETAGS: Final = frozenset({None, "AES256"})


class S3Storage(Storage):
    """The part of a bucket that belongs to the store `store_id`.

    `url_lifetime` is the minimum validity of signed URLs, `longest_put` the maximum for PUT, both in seconds from the
    moment of signing. `max_upload` is in bytes, and so is `largest_copy`, above which objects are copied in parts.

    Raises:
        ConfigurationError: the SDK refuses the configuration.
    """

    looks_up_at_once = False

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
        self._max_upload = max_upload
        self._part_size = max(_PART, -(-max_upload // MOST_PARTS))
        self._largest_copy = largest_copy
        self._copied_part_size = min(_COPIED_PART, largest_copy)
        self._presigner = Presigner(self.bucket.address(session), configuration.signing_region)
        self._urls = SignedUrls(self._presigner, session, get_lifetime=url_lifetime, longest_put=longest_put)
        self._public_base = None if configuration.public_url is None else f"{configuration.public_url}/"

    # URLs

    @override
    def new_key(self, object_id: str, content_type: str | None = None) -> str:
        return self.keys.new(object_id)

    # None for ids of more than 600 bytes.
    @override
    def object_id_of(self, key: str) -> str | None:
        return self.keys.object_id(key)

    @override
    def get_url(self, key: str, now: int) -> str:
        return self.get_signer(now)(key)

    @override
    def get_signer(self, now: int) -> Callable[[str], str]:
        return self._urls.get_signer(now)

    @override
    def put_url(self, key: str, content_type: str, now: int) -> tuple[str, int]:
        return self._urls.put_url(key, content_type, now)

    @override
    def public_url(self, key: str) -> str | None:
        return None if self._public_base is None else self._public_base + quote(key, safe="/~")

    # The URL in S3, for clients with S3 credentials of their own.
    @override
    def plain_put_url(self, key: str, object_id: str) -> str:
        return self._presigner.plain(key)

    # Bytes

    # One part is in memory at a time.
    @override
    def put(
        self, key: str, stream: BinaryIO, content_type: str, *, checksums: Mapping[str, bytes] | None = None
    ) -> Stored:
        verification = Verification(checksums or {})
        parts = StreamParts(stream, self._part_size, self._max_upload, verification)
        first = next(parts)
        if parts.ended:
            verification.finish()
            self.bucket.ask("put_object", Key=key, Body=first, ContentType=content_type, ContentMD5=content_md5(first))
        else:
            upload_parts(self.bucket, key, content_type, parts.after(first), verification.finish)
        stored = self.head(key)
        if stored is None or stored.size != parts.size:
            raise BackendDown("the bytes just stored are missing or incomplete")
        logger.debug("Stored %s bytes under %s in storage backend %s", stored.size, key, self.backend.id)
        return stored

    @override
    def open(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        if start < 0 or (length is not None and length < 0):
            raise ValueError("start and length must not be negative")
        if length == 0:
            if self.head(key) is None:
                raise MissingObject(f"there are no bytes under {key}")
            return iter(())
        limits: dict[str, Any] = {}
        if start or length is not None:
            limits["Range"] = f"bytes={start}-{'' if length is None else start + length - 1}"
        try:
            response = self.bucket.ask("get_object", Key=key, **limits)
        except Refused as refused:
            # The range begins at the end of the bytes or beyond.
            if refused.code in ("InvalidRange", "416"):
                return iter(())
            raise
        return self._pieces(key, response["Body"])

    @override
    def head(self, key: str) -> Stored | None:
        try:
            response = self.bucket.ask("head_object", Key=key)
        except MissingObject:
            # The response to HEAD has no body that could say that the whole bucket is missing.
            self._require_bucket()
            return None
        etag = str(response["ETag"])
        digest = plain_md5(etag)
        of_plaintext = (
            response.get("ServerSideEncryption") in _PLAINTEXT_ETAGS and "SSECustomerAlgorithm" not in response
        )
        return Stored(
            int(response["ContentLength"]),
            str(response.get("ContentType", "")),
            etag,
            int(response["LastModified"].timestamp()),
            {"md5": digest} if of_plaintext and digest is not None else {},
        )

    # One request per key. A listing would read every key of the store.
    @override
    def with_bytes(self, keys: Collection[str]) -> set[str]:
        if not keys:
            return set()
        with ThreadPoolExecutor(min(_PARALLEL_LOOKUPS, len(keys))) as executor:
            lookups = executor.map(self.head, keys)
            return {key for key, stored in zip(keys, lookups, strict=True) if stored is not None}

    @override
    def copy(self, source: str, target: str, origin: Storage | None = None) -> Stored:
        if origin is None:
            origin = self
        if not isinstance(origin, S3Storage) or not self.shares_server(origin):
            return stream_copy(origin, source, self, target)
        before = origin.head(source)
        if before is None:
            raise MissingObject(f"there are no bytes under {source}")
        copy_source = {"Bucket": origin.bucket.name, "Key": source}
        try:
            if before.size > self._largest_copy:
                copy_parts(
                    self.bucket,
                    target,
                    before.content_type,
                    copy_source,
                    before.etag,
                    before.size,
                    self._copied_part_size,
                )
            else:
                self.bucket.ask("copy_object", Key=target, CopySource=copy_source, CopySourceIfMatch=before.etag)
        except Refused as refused:
            # Some servers and some policies refuse copies between buckets.
            if origin is self or refused.code not in ("AccessDenied", "NotImplemented"):
                raise
            return stream_copy(origin, source, self, target)
        return require_same(origin, source, self, target, before)

    @override
    def shares_server(self, origin: Storage) -> bool:
        return isinstance(origin, S3Storage) and origin.configuration.server == self.configuration.server

    @override
    def delete(self, key: str) -> None:
        try:
            self.bucket.ask("delete_object", Key=key)
        except MissingObject:
            # Most servers answer with success in this case.
            self._require_bucket()

    # All bytes of the backend

    @override
    def listing(self, after: str | None = None, limit: int = 1000) -> list[Listed]:
        position: dict[str, str] = {} if after is None else {"StartAfter": after}
        while True:
            response = self.bucket.ask("list_objects_v2", Prefix=self.keys.own, MaxKeys=min(limit, 1000), **position)
            listed = [
                Listed(item["Key"], int(item["Size"]), int(item["LastModified"].timestamp()))
                for item in response.get("Contents", ())
            ]
            if listed or not response.get("IsTruncated"):
                return listed
            position = {"ContinuationToken": response["NextContinuationToken"]}

    @override
    def sweep(self, older_than_seconds: int) -> int:
        before = time.time() - older_than_seconds
        removed = 0
        position: dict[str, str] = {}
        while True:
            response = self.bucket.ask("list_multipart_uploads", Prefix=self.keys.own, **position)
            for item in response.get("Uploads", ()):
                if item["Initiated"].timestamp() < before and item["Key"].startswith(self.keys.own):
                    self._abort(item["Key"], item["UploadId"])
                    removed += 1
            if not response.get("IsTruncated"):
                break
            position = {
                "KeyMarker": response["NextKeyMarker"],
                "UploadIdMarker": response.get("NextUploadIdMarker", ""),
            }
        if removed:
            logger.info("Aborted %s unfinished uploads in storage backend %s", removed, self.backend.id)
        return removed

    # An object in S3 is all that the backend stores for a key.
    @override
    def tidy(self, older_than_seconds: int) -> int:
        return 0

    # A list of one key: unlike those to HEAD, the refusal has a body that says why.
    @override
    def check_reading(self) -> None:
        self.bucket.ask("list_objects_v2", Prefix=self.keys.own, MaxKeys=1)

    @override
    def diagnosis(self, error: Exception) -> str:
        return diagnose(self.configuration, self.bucket.key_id(), error)

    @override
    def check(self) -> None:
        probe = secrets.token_bytes(32)
        key = self.new_key("storage-check")
        self.bucket.ask("put_object", Key=key, Body=probe, ContentMD5=content_md5(probe))
        try:
            if b"".join(self.open(key)) != probe:
                raise BackendDown("the bytes read differ from those written")
        except MissingObject as error:
            raise BackendDown("the bytes just written are missing") from error
        finally:
            self.delete(key)

    def _abort(self, key: str, upload_id: str) -> None:
        try:
            self.bucket.ask("abort_multipart_upload", Key=key, UploadId=upload_id)
        except Refused as refused:
            # It finished concurrently.
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

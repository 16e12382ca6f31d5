"""Multipart uploads: of streams of unknown length, and of copies that are too large for one request."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from tams.storage.port import MissingObject, StorageError
from tams.storage.s3.client import Bucket, Refused, content_md5

logger = logging.getLogger(__name__)

Part = TypeVar("Part")

MOST_PARTS: Final = 10_000
"""The maximum number of parts of an upload."""

_MD5: Final = re.compile(r'"?([0-9a-f]{32})"?', re.ASCII)


def upload_parts(
    bucket: Bucket, key: str, content_type: str, parts: Iterable[bytes], before_end: Callable[[], None]
) -> None:
    """Store the parts as one object, unless `before_end`, called after the last part, raises an exception."""

    def send(upload_id: str, number: int, part: bytes) -> str:
        response = bucket.ask(
            "upload_part", Key=key, UploadId=upload_id, PartNumber=number, Body=part, ContentMD5=content_md5(part)
        )
        return str(response["ETag"])

    _assemble(bucket, key, content_type, parts, send, before_end)


def copy_parts(
    bucket: Bucket, key: str, content_type: str, source: dict[str, str], etag: str, size: int, part_size: int
) -> None:
    """Copy `size` bytes of `source` (an S3 CopySource) with that entity tag, `part_size` bytes at a time."""
    ranges = [(start, min(start + part_size, size) - 1) for start in range(0, size, part_size)]

    def send(upload_id: str, number: int, part: tuple[int, int]) -> str:
        response = bucket.ask(
            "upload_part_copy",
            Key=key,
            UploadId=upload_id,
            PartNumber=number,
            CopySource=source,
            CopySourceIfMatch=etag,
            CopySourceRange=f"bytes={part[0]}-{part[1]}",
        )
        return str(response["CopyPartResult"]["ETag"])

    _assemble(bucket, key, content_type, ranges, send, lambda: None)


def plain_md5(etag: str) -> bytes | None:
    """Return the MD5 digest that an entity tag consists of, or None if it has another form."""
    match = _MD5.fullmatch(etag)
    return None if match is None else bytes.fromhex(match[1])


def _assemble(
    bucket: Bucket,
    key: str,
    content_type: str,
    parts: Iterable[Part],
    send: Callable[[str, int, Part], str],
    before_end: Callable[[], None],
) -> None:
    upload_id = str(bucket.ask("create_multipart_upload", Key=key, ContentType=content_type)["UploadId"])
    try:
        etags = [send(upload_id, number, part) for number, part in enumerate(parts, start=1)]
        before_end()
        _complete(bucket, key, upload_id, etags)
    except BaseException:
        _abort(bucket, key, upload_id)
        raise


def _complete(bucket: Bucket, key: str, upload_id: str, etags: list[str]) -> None:
    document: dict[str, Any] = {
        "Parts": [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, start=1)]
    }
    try:
        bucket.ask("complete_multipart_upload", Key=key, UploadId=upload_id, MultipartUpload=document)
    except (Refused, MissingObject) as error:
        # The upload no longer exists if an earlier attempt succeeded and only its response was lost.
        if not (isinstance(error, Refused) and error.code == "NoSuchUpload") or not _is_complete(bucket, key, etags):
            raise
        logger.info("The upload to key %s of storage backend %s was complete already", key, bucket.backend_id)


def _is_complete(bucket: Bucket, key: str, etags: list[str]) -> bool:
    digests = [plain_md5(etag) for etag in etags]
    try:
        etag = str(bucket.ask("head_object", Key=key)["ETag"])
    except MissingObject:
        return False
    whole = hashlib.md5(b"".join(digest or b"" for digest in digests), usedforsecurity=False).hexdigest()
    return etag.strip('"') == f"{whole}-{len(etags)}"


def _abort(bucket: Bucket, key: str, upload_id: str) -> None:
    # The earlier failure is the one to report; a sweep removes the rest later.
    with contextlib.suppress(StorageError):
        bucket.ask("abort_multipart_upload", Key=key, UploadId=upload_id)

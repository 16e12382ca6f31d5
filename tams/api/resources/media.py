"""`/storage/{storage_id}/{key}`: upload and download of media in local Storage Backends.

A signed URL carries its own permission. A plain URL is for clients with credentials of the API.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import IO, BinaryIO, Final, cast

from flask import Blueprint, Response, request
from typing_extensions import override
from werkzeug.exceptions import PreconditionFailed, RequestedRangeNotSatisfiable
from werkzeug.wsgi import get_input_stream, wrap_file

from tams.api.context import principal, store
from tams.api.digests import expected_digests, refuse_partial_or_encoded
from tams.api.transfers import begin_transfer
from tams.domain.content_types import ANY_TYPE, LONGEST_CONTENT_TYPE
from tams.domain.errors import Forbidden, Invalid, NotFound
from tams.services.objects.objects import check_download, may_upload
from tams.storage.local.files import Stretch
from tams.storage.local.signing import SIGNATURE, SignatureRefused
from tams.storage.local.storage import OBJECT, PIECE, LocalStorage
from tams.storage.port import Stored, TooLarge

blp = Blueprint("media", __name__, url_prefix="/storage")

_CONDITIONS: Final = ("If-Match", "If-None-Match", "If-Unmodified-Since")


@blp.get("/<storage_id>/<path:key>")
def download(storage_id: str, key: str) -> Response:
    """Return the bytes, or one range of them. HEAD returns the same headers."""
    storage = _storage(storage_id, key)
    if is_signed():
        try:
            storage.verify_get(key, request.args, store().now())
        except SignatureRefused as error:
            raise Forbidden(str(error)) from error
    else:
        check_download(store(), storage_id, key, principal())
    file, stored = storage.open_file(key)
    try:
        return _answer(file, stored)
    except BaseException:
        file.close()
        raise


@blp.put("/<storage_id>/<path:key>")
def upload(storage_id: str, key: str) -> Response:
    """Store the request's body as a whole, and replace the bytes stored before."""
    storage = _storage(storage_id, key)
    content_type = request.headers.get("Content-Type", "")
    check_at_end = (
        _check_signed_upload(storage, key, content_type) if is_signed() else _check_plain_upload(storage, key)
    )
    checksums = expected_digests(request.headers)
    _refuse_partial_or_encoded()
    if len(content_type) > LONGEST_CONTENT_TYPE:
        raise Invalid.field("Content-Type", f"at most {LONGEST_CONTENT_TYPE} characters")
    if (request.content_length or 0) > storage.max_upload:
        raise TooLarge(f"an object has at most {storage.max_upload} bytes here")
    # `request.stream` has the limit of JSON bodies. The storage has its own limit.
    body = cast("BinaryIO", _UploadBody(get_input_stream(request.environ), request.content_length, check_at_end))
    release = begin_transfer()
    try:
        content_type = content_type or ANY_TYPE
        if any(name in request.headers for name in _CONDITIONS):
            stored = storage.put_if(key, body, content_type, checksums=checksums, condition=_check_upload_condition)
        else:
            stored = storage.put(key, body, content_type, checksums=checksums)
    finally:
        release()
    return Response(status=200, headers={"ETag": stored.etag, "Content-Length": "0"})


def is_signed() -> bool:
    """Return whether the URL carries a signature. Any other request has passed `tams.api.authentication`."""
    return SIGNATURE in request.args


class _UploadBody:
    """The body of an upload, which raises `Invalid` instead of ending if it is incomplete.

    The server presents a truncated body as a complete one, so the length is compared here. `check_at_end` runs when all
    bytes have arrived and before anything is stored, because the permission may have expired meanwhile.
    """

    def __init__(self, stream: IO[bytes], length: int | None, check_at_end: Callable[[], None]) -> None:
        self._stream = stream
        self._length = length
        self._received = 0
        self._check_at_end = check_at_end

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, and none at the end."""
        try:
            chunk = self._stream.read(size)
        except OSError as error:
            raise Invalid("nothing was stored: the upload was interrupted") from error
        self._received += len(chunk)
        if not chunk:
            if self._length is not None and self._received != self._length:
                raise Invalid(f"nothing was stored: {self._received} of {self._length} bytes arrived")
            self._check_at_end()
        return chunk


class _DownloadBody(Stretch):
    """The bytes of a download. It holds its place among the transfers of the process until it is closed.

    The server closes it. If an error occurs before the server receives it, the garbage collector does.
    """

    def __init__(self, file: io.FileIO, start: int, length: int, release: Callable[[], None]) -> None:
        self._release = release
        super().__init__(file, start, length)

    @override
    def close(self) -> None:
        if not self.closed:
            self._release()
        super().close()


def _storage(storage_id: str, key: str) -> LocalStorage:
    storage = store().storages.get(storage_id)
    # Bytes in other Storage Backends have URLs of their own.
    if not isinstance(storage, LocalStorage) or not storage.is_key(key):
        raise NotFound("no bytes are stored at this URL")
    return storage


def _check_signed_upload(storage: LocalStorage, key: str, content_type: str) -> Callable[[], None]:
    now = store().now
    try:
        until = storage.verify_put(key, content_type, request.args, now())
    except SignatureRefused as error:
        raise Forbidden(str(error)) from error

    def check_at_end() -> None:
        # Bytes stored later would outlive the last deletion of the key, and no record would refer to them.
        if now() > until:
            raise Forbidden("nothing was stored: the upload took too long after its URL expired")

    return check_at_end


def _check_plain_upload(storage: LocalStorage, key: str) -> Callable[[], None]:
    current_store, uploader = store(), principal()
    encoded = request.args.get(OBJECT, "")
    try:
        object_id = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except ValueError as error:
        raise Forbidden(
            "this URL was not issued for an upload: use the PUT URL that was allocated for the Object"
        ) from error

    def check() -> None:
        may_upload(current_store, object_id, storage.backend.id, key, uploader)

    check()
    return check


def _refuse_partial_or_encoded() -> None:
    if request.content_length is None and request.headers.get("Transfer-Encoding", "").lower() != "chunked":
        raise Invalid.field("Content-Length", "expected the number of bytes, or a chunked body")
    # A partial or encoded body would be stored as if it were the media itself.
    refuse_partial_or_encoded(request.headers)


def _answer(file: io.FileIO, stored: Stored) -> Response:
    modified = datetime.fromtimestamp(stored.modified, UTC)
    response = Response()
    response.headers["Content-Type"] = stored.content_type
    response.headers["ETag"] = stored.etag
    response.headers["Accept-Ranges"] = "bytes"
    response.last_modified = modified
    # The uploading client chooses the type, so no page may run scripts in the name of this origin.
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "sandbox"

    response.status_code = _condition(stored, modified)
    if response.status_code != 200:
        del response.headers["Content-Length"]
        file.close()
        return response
    start, end = 0, stored.size
    ranges = request.range
    # Several ranges, other units and malformed ranges are answered with all bytes, as RFC 9110 allows.
    if ranges is not None and ranges.units == "bytes" and len(ranges.ranges) == 1 and _if_range(stored, modified):
        first, stop = ranges.ranges[0]
        start = first if first >= 0 else max(0, stored.size + first)
        end = stored.size if stop is None else min(stop, stored.size)
        if start >= end:
            raise RequestedRangeNotSatisfiable(stored.size)
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{stored.size}"
    response.headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        file.close()
        return response
    body = _DownloadBody(file, start, end - start, begin_transfer())
    response.response = wrap_file(request.environ, cast("BinaryIO", body), PIECE)
    # The server receives the body itself and closes it, even if the client disconnects.
    response.direct_passthrough = True
    return response


def _condition(stored: Stored, modified: datetime) -> int:
    """Return 200 or 304 by the request's conditions (RFC 9110, section 13.2.2). Raises 412 if they do not hold."""
    if not _expectation_holds(stored):
        raise PreconditionFailed
    if request.if_none_match:
        return 304 if request.if_none_match.contains_weak(_tag(stored)) else 200
    since = request.if_modified_since
    return 304 if since is not None and modified <= since else 200


def _check_upload_condition(stored: Stored | None) -> None:
    """Raise 412 unless the request's conditions hold for what is stored, if anything is (RFC 9110, section 13.2.2)."""
    is_unwanted = stored is not None and request.if_none_match and request.if_none_match.contains_weak(_tag(stored))
    if is_unwanted or not _expectation_holds(stored):
        raise PreconditionFailed("Nothing was stored: the bytes at this URL are not those that the request expects.")


def _expectation_holds(stored: Stored | None) -> bool:
    """Return whether `If-Match` holds for what is stored, or, without it, `If-Unmodified-Since`."""
    if request.if_match:
        return stored is not None and request.if_match.contains(_tag(stored))
    since = request.if_unmodified_since
    return stored is None or since is None or datetime.fromtimestamp(stored.modified, UTC) <= since


def _tag(stored: Stored) -> str:
    return stored.etag.strip('"')


def _if_range(stored: Stored, modified: datetime) -> bool:
    """Return whether `If-Range` allows the range of the stored bytes; otherwise all of them are returned."""
    if "If-Range" not in request.headers:
        return True
    if request.if_range.date is not None:
        return request.if_range.date == modified
    # The raw header, because its parsed form turns weak tags into strong ones.
    return request.headers["If-Range"].strip() == stored.etag

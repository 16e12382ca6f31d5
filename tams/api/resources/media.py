"""Media of local Storage Backends, up and down: `/storage/{storage_id}/{key}`.

A signed URL carries its own permission. A plain one is for clients with credentials of the API.
"""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import IO, BinaryIO, Final, cast

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import PreconditionFailed, RequestedRangeNotSatisfiable
from werkzeug.wsgi import get_input_stream, wrap_file

from tams.api.context import principal, store
from tams.api.digests import expected_digests
from tams.domain.errors import Forbidden, Invalid, NotFound, Unavailable
from tams.services.objects.objects import check_download, may_upload
from tams.storage.local.files import Stretch
from tams.storage.local.signing import SIGNATURE, SignatureRefused
from tams.storage.local.storage import OBJECT, PIECE, LocalStorage
from tams.storage.port import Stored, TooLarge

blp = Blueprint("media", __name__, url_prefix="/storage")

_LONGEST_TYPE: Final = 1024
_TRANSFERS: Final = "tams.transfers"


@blp.get("/<storage_id>/<path:key>")
def download(storage_id: str, key: str) -> Response:
    """The bytes, or one range of them. HEAD gives the same headers."""
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
    """Store the request's body, all or none, and replace what was there."""
    storage = _storage(storage_id, key)
    content_type = request.headers.get("Content-Type", "")
    at_end = _check_signed_upload(storage, key, content_type) if is_signed() else _check_plain_upload(storage, key)
    checksums = expected_digests(request.headers)
    _refuse_partial_or_encoded()
    if len(content_type) > _LONGEST_TYPE:
        raise Invalid.field("Content-Type", f"at most {_LONGEST_TYPE} characters")
    if (request.content_length or 0) > storage.max_upload:
        raise TooLarge(f"an object has at most {storage.max_upload} bytes here")
    # Not `request.stream`, which has the limit of JSON bodies; the storage has its own.
    body = cast("BinaryIO", _Arriving(get_input_stream(request.environ), request.content_length, at_end))
    release = begin_transfer()
    try:
        stored = storage.put(key, body, content_type or "application/octet-stream", checksums=checksums)
    finally:
        release()
    return Response(status=200, headers={"ETag": stored.etag, "Content-Length": "0"})


def is_signed() -> bool:
    """Whether the URL is to be judged by its signature. Any other has passed `tams.api.authentication`."""
    return SIGNATURE in request.args


class _Arriving:
    """The body of an upload: whole, or an exception in place of its end.

    A server hands over a body that was cut off as if it had ended, so the length is compared here. `at_end` has the
    last word, when all bytes have come and before anything is stored: the permission may have ended meanwhile.
    """

    def __init__(self, stream: IO[bytes], length: int | None, at_end: Callable[[], None]) -> None:
        self._stream = stream
        self._length = length
        self._received = 0
        self._at_end = at_end

    def read(self, size: int) -> bytes:
        try:
            piece = self._stream.read(size)
        except OSError as error:
            raise Invalid("nothing was stored: the upload broke off") from error
        self._received += len(piece)
        if not piece:
            if self._length is not None and self._received != self._length:
                raise Invalid(f"nothing was stored: {self._received} of {self._length} bytes came")
            self._at_end()
        return piece


class _Leaving(Stretch):
    """Bytes on their way to a client; keeps its place among the transfers until it is closed.

    The server closes it, or the garbage collector where an error came before the server had it.
    """

    def __init__(self, file: io.FileIO, start: int, length: int, release: Callable[[], None]) -> None:
        self._release = release
        super().__init__(file, start, length)

    def close(self) -> None:
        if not self.closed:
            self._release()
        super().close()


def _storage(storage_id: str, key: str) -> LocalStorage:
    storage = store().storages.get(storage_id)
    # Bytes in other backends have their own addresses.
    if not isinstance(storage, LocalStorage) or not storage.is_key(key):
        raise NotFound("there are no bytes at this address")
    return storage


def _check_signed_upload(storage: LocalStorage, key: str, content_type: str) -> Callable[[], None]:
    now = store().now
    try:
        until = storage.verify_put(key, content_type, request.args, now())
    except SignatureRefused as error:
        raise Forbidden(str(error)) from error

    def at_end() -> None:
        # Whatever came later would be there after the last deletion of the key, and nobody would know of it.
        if now() > until:
            raise Forbidden("nothing was stored: the upload took too long after the end of its URL")

    return at_end


def _check_plain_upload(storage: LocalStorage, key: str) -> Callable[[], None]:
    asked, asking = store(), principal()
    encoded = request.args.get(OBJECT, "")
    try:
        object_id = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except ValueError as error:
        raise Forbidden("only the URL that was given out for an Object takes its bytes") from error

    def may() -> None:
        may_upload(asked, object_id, storage.backend.id, key, asking)

    may()
    return may


def _refuse_partial_or_encoded() -> None:
    if request.content_length is None and request.headers.get("Transfer-Encoding", "").lower() != "chunked":
        raise Invalid.field("Content-Length", "expected the number of bytes, or a body in chunks")
    # Both would be stored as if they were the media themselves.
    if "Content-Range" in request.headers:
        raise Invalid.field("Content-Range", "an object is uploaded as a whole")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Invalid.field("Content-Encoding", "send the bytes as they are to be stored")


def begin_transfer() -> Callable[[], None]:
    """Take a place among the transfers of this process, half of its threads; what gives it back.

    Media that come and go slowly would else hold every thread, and the API stand still.
    """
    places = current_app.extensions.get(_TRANSFERS)
    if places is None:
        # Of two threads that come here at once, both get the one that was first.
        half = threading.BoundedSemaphore(max(1, store().settings.threads // 2))
        places = current_app.extensions.setdefault(_TRANSFERS, half)
    if not places.acquire(blocking=False):
        raise Unavailable("too many media transfers are under way: try again", retry_after=1)
    return cast("Callable[[], None]", places.release)


def _answer(file: io.FileIO, stored: Stored) -> Response:
    modified = datetime.fromtimestamp(stored.modified, UTC)
    response = Response()
    response.headers["Content-Type"] = stored.content_type
    response.headers["ETag"] = stored.etag
    response.headers["Accept-Ranges"] = "bytes"
    response.last_modified = modified
    # Whoever uploads decides on the type: no page of theirs may act in this origin's name.
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "sandbox"

    response.status_code = _condition(stored, modified)
    if response.status_code != 200:
        del response.headers["Content-Length"]
        file.close()
        return response
    start, end = 0, stored.size
    ranges = request.range
    # One range; several, other units and what cannot be parsed are answered with everything, as RFC 9110 allows.
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
    leaving = _Leaving(file, start, end - start, begin_transfer())
    response.response = wrap_file(request.environ, cast("BinaryIO", leaving), PIECE)
    # To the server as it is: it closes what it was given, whatever becomes of the client.
    response.direct_passthrough = True
    return response


def _condition(stored: Stored, modified: datetime) -> int:
    """200 or 304, as the request's conditions ask for (RFC 9110, section 13.2.2); 412 where they do not hold."""
    tag = stored.etag.strip('"')
    if request.if_match:
        holds = request.if_match.contains(tag)
    else:
        holds = request.if_unmodified_since is None or modified <= request.if_unmodified_since
    if not holds:
        raise PreconditionFailed
    if request.if_none_match:
        return 304 if request.if_none_match.contains_weak(tag) else 200
    since = request.if_modified_since
    return 304 if since is not None and modified <= since else 200


def _if_range(stored: Stored, modified: datetime) -> bool:
    """Whether the range is wanted of what is stored now; else the client wants all of it."""
    if "If-Range" not in request.headers:
        return True
    if request.if_range.date is not None:
        return request.if_range.date == modified
    # The header itself, not its parsed form, which makes strong tags of weak ones.
    return request.headers["If-Range"].strip() == stored.etag

"""The S3 interface of the cluster: buckets, and the objects that Parquet files are imported from."""

import hashlib
import re
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import unquote
from xml.sax.saxutils import escape

from tools.vast_emulator.errors import ProtocolError, not_found, unsupported
from tools.vast_emulator.exchange import Request, Response

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object and its metadata."""

    data: bytes
    etag: str
    stored: datetime

    @classmethod
    def of(cls, data: bytes) -> "StoredObject":
        """Return an object with this content, stored now."""
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        return cls(data, f'"{digest}"', datetime.now(UTC).replace(microsecond=0))

    @property
    def headers(self) -> dict[str, str]:
        """Return the response headers that describe the object."""
        return {
            "ETag": self.etag,
            "Last-Modified": format_datetime(self.stored, usegmt=True),
            "Accept-Ranges": "bytes",
            "Content-Type": "application/octet-stream",
        }


class Objects:
    """Buckets and their objects. Transactions do not apply to them."""

    def __init__(self, buckets: tuple[str, ...]) -> None:
        self._lock = threading.Lock()
        self._buckets: dict[str, dict[str, StoredObject]] = {bucket: {} for bucket in buckets}

    def require_bucket(self, bucket: str) -> None:
        """Raise a 404 error if the bucket does not exist."""
        if bucket not in self._buckets:
            raise not_found("NoSuchBucket", f"bucket {bucket} does not exist")

    def find(self, bucket: str, name: str) -> StoredObject:
        """Return an object.

        Raises:
            ProtocolError: 404, the bucket or the object does not exist.
        """
        self.require_bucket(bucket)
        with self._lock:
            stored = self._buckets[bucket].get(name)
        if stored is None:
            raise not_found("NoSuchKey", f"object {bucket}/{name} does not exist")
        return stored

    def put(self, bucket: str, name: str, data: bytes) -> StoredObject:
        """Store an object."""
        self.require_bucket(bucket)
        stored = StoredObject.of(data)
        with self._lock:
            self._buckets[bucket][name] = stored
        return stored

    # Requests.

    def head_bucket(self, request: Request) -> Response:
        """Handle HEAD /bucket."""
        self.require_bucket(request.bucket)
        return Response()

    def put_bucket(self, request: Request) -> Response:
        """Handle PUT /bucket."""
        with self._lock:
            self._buckets.setdefault(request.bucket, {})
        return Response()

    def list_objects(self, request: Request) -> Response:
        """Handle GET /bucket: list objects by prefix. The SDK lists snapshots in this way; there are none."""
        self.require_bucket(request.bucket)
        prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter", "")
        with self._lock:
            objects = sorted((k, v) for k, v in self._buckets[request.bucket].items() if k.startswith(prefix))
        contents: list[str] = []
        folders: dict[str, None] = {}
        for name, stored in objects:
            head, cut, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
            if cut:
                folders[prefix + head + cut] = None
                continue
            contents.append(
                f"<Contents><Key>{escape(name)}</Key><Size>{len(stored.data)}</Size><ETag>{stored.etag}</ETag>"
                f"<LastModified>{stored.stored.isoformat()}</LastModified></Contents>"
            )
        commons = [f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>" for folder in folders]
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult>'
            f"<Name>{escape(request.bucket)}</Name><Prefix>{escape(prefix)}</Prefix><Marker></Marker>"
            f"<KeyCount>{len(contents) + len(commons)}</KeyCount><IsTruncated>false</IsTruncated>"
            f"{''.join(contents)}{''.join(commons)}</ListBucketResult>"
        )
        return Response(headers={"Content-Type": "application/xml"}, body=body.encode())

    def put_object(self, request: Request) -> Response:
        """Handle PUT /bucket/name: store an object, or copy another one."""
        if request.headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
            raise unsupported("uploads in signed chunks")
        source = request.headers.get("x-amz-copy-source")
        name = "/".join(request.segments[1:])
        if source is None:
            stored = self.put(request.bucket, name, request.body)
            return Response(headers={"ETag": stored.etag})
        bucket, _, original = unquote(source).lstrip("/").partition("/")
        stored = self.put(request.bucket, name, self.find(bucket, original).data)
        body = (
            f"<CopyObjectResult><ETag>{stored.etag}</ETag>"
            f"<LastModified>{stored.stored.isoformat()}</LastModified></CopyObjectResult>"
        )
        return Response(headers={"Content-Type": "application/xml"}, body=body.encode())

    def get_object(self, request: Request) -> Response:
        """Handle GET /bucket/name: return an object, or a range of its bytes."""
        stored = self.find(request.bucket, "/".join(request.segments[1:]))
        byte_range = _RANGE.fullmatch(request.headers.get("range", ""))
        if byte_range is None:
            return Response(headers=stored.headers, body=stored.data)
        size = len(stored.data)
        first = int(byte_range[1]) if byte_range[1] else size - int(byte_range[2])
        last = min(int(byte_range[2]), size - 1) if byte_range[1] and byte_range[2] else size - 1
        if first > last:
            raise ProtocolError(416, "InvalidRange", f"the object has {size} bytes")
        headers = stored.headers | {"Content-Range": f"bytes {first}-{last}/{size}"}
        return Response(206, headers, stored.data[first : last + 1])

    def head_object(self, request: Request) -> Response:
        """Handle HEAD /bucket/name."""
        stored = self.find(request.bucket, "/".join(request.segments[1:]))
        return Response(headers=stored.headers | {"Content-Length": str(len(stored.data))})

    def delete_object(self, request: Request) -> Response:
        """Handle DELETE /bucket/name."""
        self.require_bucket(request.bucket)
        with self._lock:
            self._buckets[request.bucket].pop("/".join(request.segments[1:]), None)
        return Response(204)

"""Stores that keep their media in S3 buckets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.s3_endpoint import Endpoint
from tests.support.servers import TamsStore


class BucketStore(TamsStore):
    """A store that keeps its media in one bucket, configured by environment variables."""

    def __init__(self, home: Path, endpoint: Endpoint, **variables: str) -> None:
        self._client: Any = endpoint.client
        self._bucket = endpoint.new_bucket()
        defaults = {
            "TAMS_STORAGE_ID": "0b7f6f0e-61a0-4a39-9d0f-8c8a1f3f7f00",
            "TAMS_S3_BUCKET": self._bucket,
            "TAMS_S3_ENDPOINT": endpoint.url,
            "TAMS_S3_ACCESS_KEY_ID": endpoint.access_key,
            "TAMS_S3_SECRET_ACCESS_KEY": endpoint.secret_key,
        }
        super().__init__(home, **(defaults | variables))

    def media_files(self) -> list[Path]:
        """Return the storage keys of Objects."""
        return keys_of(self._client, self._bucket)

    def unfinished_files(self) -> list[Path]:
        """Return the storage keys of unfinished multipart uploads."""
        uploads = self._client.list_multipart_uploads(Bucket=self._bucket).get("Uploads", ())
        return [Path(item["Key"]) for item in uploads]


def keys_of(client: Any, bucket: str) -> list[Path]:
    """Return every key of a bucket."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [Path(item["Key"]) for page in pages for item in page.get("Contents", ())]

"""The S3 server that tests use: a new one, or the one that `TAMS_TEST_S3_ENDPOINT` names.

The credentials in `TAMS_TEST_S3_ACCESS_KEY_ID` and `TAMS_TEST_S3_SECRET_ACCESS_KEY` must be allowed to create buckets.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import requests
from botocore.config import Config

from tams.domain.identifiers import new_id
from tams.storage.configuration.backends import S3Configuration
from tams.storage.port import Backend
from tams.storage.s3.storage import S3Storage

ENDPOINT = "TAMS_TEST_S3_ENDPOINT"
ACCESS_KEY = "TAMS_TEST_S3_ACCESS_KEY_ID"
SECRET_KEY = "TAMS_TEST_S3_SECRET_ACCESS_KEY"
MAX_UPLOAD = 32 * 1024 * 1024
STORE_ID = "7c0d2a5e-11d4-4b62-9a9f-6a0c1f7e5b3d"


@dataclass
class Endpoint:
    """An S3 server with credentials. `temporary` are access key, secret and session token of a temporary user."""

    url: str
    access_key: str
    secret_key: str
    temporary: tuple[str, str, str] | None = None
    _buckets: list[str] = field(default_factory=list)

    @cached_property
    def client(self) -> Any:
        """Return a client of the AWS SDK."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def new_bucket(self) -> str:
        """Create a bucket, which `clear` removes; return its name."""
        name = f"tams-test-{secrets.token_hex(6)}"
        self.client.create_bucket(Bucket=name)
        self._buckets.append(name)
        return name

    def configuration(self, **options: Any) -> S3Configuration:
        """Return the configuration of a backend on this server; `options` are fields of `S3Configuration`."""
        defaults: dict[str, Any] = {
            "backend": Backend(id=new_id(), label="s3", provider="tests", store_product="s3", default=True),
            "bucket": options.get("bucket") or self.new_bucket(),
            "endpoint": self.url,
            "access_key_id": self.access_key,
            "secret_access_key": self.secret_key,
            "connect_timeout": 2,
            "read_timeout": 20,
            "connections": 4,
        }
        return S3Configuration(**(defaults | options))

    def storage(self, store_id: str = STORE_ID, adapter: dict[str, Any] | None = None, **options: Any) -> S3Storage:
        """Return a backend on this server: `adapter` are options of `S3Storage`, the others of `S3Configuration`."""
        return make_storage(self.configuration(**options), store_id, **(adapter or {}))

    def verified_headers(self, storage: S3Storage) -> frozenset[str]:
        """Return the checksum headers that the server compares with the bytes, found by sending a wrong one of each."""
        verified = set()
        for header in ("Content-MD5", "x-amz-checksum-sha1", "x-amz-checksum-sha256"):
            url, _ = storage.put_url(storage.new_key("probe"), "text/plain", time.time_ns() // 1000)
            answer = requests.put(url, b"!", headers={"Content-Type": "text/plain", header: "AAAA"}, timeout=30)
            if answer.status_code == 400:
                verified.add(header)
        assert "Content-MD5" in verified
        return frozenset(verified)

    def clear(self) -> None:
        """Remove every bucket that this endpoint created."""
        for name in self._buckets:
            for upload in self.client.list_multipart_uploads(Bucket=name).get("Uploads", ()):
                self.client.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=name):
                for item in page.get("Contents", ()):
                    self.client.delete_object(Bucket=name, Key=item["Key"])
            self.client.delete_bucket(Bucket=name)


def make_storage(configuration: S3Configuration, store_id: str = STORE_ID, **options: Any) -> S3Storage:
    """Return an adapter with the options that most tests use."""
    defaults = {"url_lifetime": 60, "longest_put": 900, "max_upload": MAX_UPLOAD}
    return S3Storage(configuration, store_id, **(defaults | options))


def unreachable() -> S3Storage:
    """Return a backend at an address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    nowhere = Endpoint(f"http://127.0.0.1:{port}", "none", "none")
    return nowhere.storage(bucket="nowhere", connect_timeout=1, read_timeout=1, attempts=1)


@contextmanager
def running() -> Iterator[Endpoint]:
    """Yield the server that the environment names, or a new one."""
    if ENDPOINT in os.environ:
        endpoint = Endpoint(os.environ[ENDPOINT], os.environ[ACCESS_KEY], os.environ[SECRET_KEY])
        try:
            yield endpoint
        finally:
            endpoint.clear()
    else:
        with own_server() as endpoint:
            yield endpoint


@contextmanager
def own_server() -> Iterator[Endpoint]:
    """Run a new server in a separate process."""
    token = secrets.token_hex(40)
    users = {name: secrets.token_hex(20) for name in ("tams", "temporary")}
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    arguments = ["tams", users["tams"], f"temporary:{token}", users["temporary"]]
    process = subprocess.Popen(
        [sys.executable, _beside("s3_server"), str(listener.fileno()), *arguments],
        pass_fds=[listener.fileno()],
        stderr=subprocess.DEVNULL,
    )
    listener.close()
    try:
        # The socket listens already, so the first request waits until the server accepts it.
        assert requests.get(url, timeout=60).status_code == 403
        yield Endpoint(url, "tams", users["tams"], ("temporary", users["temporary"], token))
    finally:
        process.kill()
        process.wait()


def _beside(name: str) -> str:
    return str(Path(__file__).with_name(f"{name}.py"))

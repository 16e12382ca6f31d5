"""The part of a backend's check that uses its URLs as clients do, and looks at the rules of the bucket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import urllib3
from botocore.httpsession import get_cert_path

from tams.domain import clock
from tams.storage.port import BackendDown
from tams.storage.s3 import setup
from tams.storage.s3.storage import S3Storage

if TYPE_CHECKING:
    from tams.storage.port import Storage

_TYPE: Final = "video/mp2t"
_OTHER_TYPE: Final = "text/plain"


def url_steps(storage: Storage, key: str, probe: bytes, origins: Sequence[str]) -> list[tuple[str, Callable[[], None]]]:
    """Return the steps that try the URLs of `key`, which has the bytes `probe`, and check the rules of the bucket."""
    if not isinstance(storage, S3Storage):
        raise TypeError(f"{type(storage).__name__} has no URLs that can be tried from here")
    client = _Client(storage)
    steps: list[tuple[str, Callable[[], None]]] = [
        ("gives by presigned URL", lambda: client.download(key, probe)),
        ("takes by presigned URL", lambda: client.upload(key, probe)),
        ("binds the content type of an upload", lambda: client.require_type(key)),
        ("refuses expired URLs", lambda: client.require_expiry(key)),
        ("ends unfinished uploads by itself", lambda: _require_lifecycle(storage)),
    ]
    if storage.configuration.public_url is None:
        steps.append(("refuses strangers", lambda: client.require_privacy(key)))
    if origins:
        steps.append(("lets browsers in", lambda: _require_cors(storage, origins)))
    return steps


class _Client:
    """A client of the store, with URLs and without credentials."""

    def __init__(self, storage: S3Storage) -> None:
        configuration = storage.configuration
        self._storage = storage
        self._pool = urllib3.PoolManager(
            cert_reqs="CERT_REQUIRED" if configuration.verify_tls else "CERT_NONE",
            ca_certs=str(configuration.ca_file or get_cert_path(True)),
            timeout=urllib3.Timeout(connect=configuration.connect_timeout, read=configuration.read_timeout),
            retries=False,
        )

    def download(self, key: str, probe: bytes) -> None:
        response = self._ask("GET", self._storage.get_url(key, clock.now()))
        if response.status != 200:
            raise BackendDown(f"a GET URL is answered with {_summary(response)}")
        if response.data != probe or response.headers.get("Content-Type") != _TYPE:
            raise BackendDown("a GET URL returns other bytes, or another content type, than were stored")

    def upload(self, key: str, probe: bytes) -> None:
        url, _ = self._storage.put_url(key, _TYPE, clock.now())
        response = self._ask("PUT", url, probe, {"Content-Type": _TYPE})
        if response.status != 200:
            raise BackendDown(f"a PUT URL is answered with {_summary(response)}")

    def require_type(self, key: str) -> None:
        url, _ = self._storage.put_url(key, _TYPE, clock.now())
        self._require_refusal(self._ask("PUT", url, b"", {"Content-Type": _OTHER_TYPE}), "an upload of another type")

    def require_expiry(self, key: str) -> None:
        url = self._storage.get_url(key, clock.now() - 8 * 24 * 3600 * clock.MICROSECONDS)
        self._require_refusal(self._ask("GET", url), "an expired GET URL")

    def require_privacy(self, key: str) -> None:
        self._require_refusal(self._ask("GET", self._storage.plain_put_url(key, "")), "a URL without signature")

    def _require_refusal(self, response: urllib3.BaseHTTPResponse, what: str) -> None:
        if response.status not in (400, 401, 403):
            raise BackendDown(f"{what} is answered with {response.status} in place of 403")

    def _ask(
        self, method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool.request(method, url, body=body, headers=headers, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            # Its message may contain the URL.
            raise BackendDown(f"a presigned URL is not answered ({type(error).__name__})") from error


def _summary(response: urllib3.BaseHTTPResponse) -> str:
    code = response.data.partition(b"<Code>")[2].partition(b"</Code>")[0].decode(errors="replace")
    return f"{response.status} {code}".strip()


def _require_lifecycle(storage: S3Storage) -> None:
    if not setup.has_lifecycle(storage):
        raise BackendDown("the bucket has no lifecycle rule that aborts unfinished uploads: run tams storage init")


def _require_cors(storage: S3Storage, origins: Sequence[str]) -> None:
    if not setup.has_cors(storage, origins):
        raise BackendDown("the bucket has no CORS rule for the web origins of TAMS_CORS_ORIGINS: run tams storage init")

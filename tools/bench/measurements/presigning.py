"""Presigned S3 URLs: a thousand alone, and a page of a thousand Segments that contains them."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

from typing_extensions import override

from tams.domain import clock
from tools.bench import servers
from tools.bench.documents import segments
from tools.bench.figures import Bar, Figure
from tools.bench.hotpaths import READ_PATHS
from tools.bench.http import Connection
from tools.bench.load import drive
from tools.bench.measurements.measurement import Measurement
from tools.bench.site import Site, allocate, make_flow

_URLS = 1000
# Signing makes no request, so no S3 server runs here.
_S3 = {
    "TAMS_STORAGE_ID": "0b0c0d0e-1f1a-4b1c-8d1e-2f2a2b2c2d2e",
    "TAMS_S3_BUCKET": "bench",
    "TAMS_S3_ENDPOINT": "http://127.0.0.1:9",
    "TAMS_S3_ACCESS_KEY_ID": "bench",
    "TAMS_S3_SECRET_ACCESS_KEY": "only-for-the-bench",
}


class Presigning(Measurement):
    """CPU time of signing, with the AWS SDK's function as the floor, and of pages, with pages without URLs as the
    floor.
    """

    name = "presign-s3"

    def __init__(self) -> None:
        self._signing: list[float] = []
        self._sdk: list[float] = []
        self._pages: list[float] = []
        self._bare_pages: list[float] = []
        self._rates: list[float] = []
        self._flow_id = ""
        self._storage: Any = None
        self._variables: dict[str, str] = {}
        self._storage_keys: list[str] = []

    @override
    def prepare(self, site: Site) -> None:
        self._storage = _storage(site)
        self._variables = _S3 | {"TAMS_DATABASE_URL": site.databases.new("s3")}
        self._storage_keys = [self._storage.new_key(str(uuid4())) for _ in range(_URLS)]
        with servers.store(site.directory / "s3", **self._variables) as server, Connection(server.port) as connection:
            self._flow_id = make_flow(connection)
            ids = allocate(connection, self._flow_id, _URLS)
            connection.expect(201, "POST", f"/flows/{self._flow_id}/segments", segments(ids, 0))

    @override
    def sample(self, site: Site, seconds: float, *, floor_first: bool) -> None:
        self._signing.append(_cpu_milliseconds(self._sign))
        self._sdk.append(_cpu_milliseconds(self._sign_by_sdk))
        with servers.store(site.directory / "s3", **self._variables) as server:
            for name, cpu in (("page-1000-no-urls", self._bare_pages), ("page-1000", self._pages)):
                path = READ_PATHS[name](self._flow_id)
                drive(server, path, 0.3)
                before = server.cpu()
                load = drive(server, path, seconds)
                cpu.append(1000 * (server.cpu() - before) / load.requests)
            self._rates.append(load.requests / load.seconds)

    @override
    def figures(self) -> list[Figure]:
        extra = [page - bare for page, bare in zip(self._pages, self._bare_pages, strict=True)]
        return [
            Figure("presign-s3: 1000 URLs, CPU", "ms", self._signing, self._sdk, Bar("value", "at most", 30)),
            Figure("presign-s3: page of 1000, CPU", "ms", self._pages, self._bare_pages),
            Figure("presign-s3: page of 1000, CPU more", "ms", extra, bar=Bar("value", "at most", 30)),
            Figure("presign-s3: page of 1000", "/s", self._rates),
        ]

    def _sign(self) -> None:
        sign = self._storage.get_signer(clock.now())
        for storage_key in self._storage_keys:
            sign(storage_key)

    def _sign_by_sdk(self) -> None:
        client = self._storage.bucket._client
        for storage_key in self._storage_keys:
            client.generate_presigned_url("get_object", Params={"Bucket": "bench", "Key": storage_key}, ExpiresIn=600)


def _storage(site: Site) -> Any:
    from tams.config import Settings
    from tams.storage.factory import open_storages

    variables = {"ENVIRONMENT": "development", **_S3}
    (storage,) = open_storages(Settings.from_env(variables, data_dir=site.directory / "s3-signing")).values()
    return storage


def _cpu_milliseconds(work: Any) -> float:
    before = time.process_time()
    work()
    return 1000 * (time.process_time() - before)

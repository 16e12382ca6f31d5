"""One browser and eight uploaders at the default settings, whose connections all go to one process."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.http_client import WAVE, Client
from tests.support.servers import TamsStore, faultless

pytestmark = pytest.mark.e2e

BROWSER, UPLOADERS = 6, 8
PIECE = bytes(100_000)


def test_a_browser_and_eight_uploaders_work_side_by_side(tmp_path: Path) -> None:
    # With two processes, the kernel may still give every connection to one of them.
    with faultless(TamsStore(tmp_path, TAMS_WORKERS="1")) as store:
        client = Client(store.url)
        flow_id = client.make_flow(WAVE)
        (object_id,) = client.upload(flow_id, [PIECE * 20])
        client.register(flow_id, {"object_id": object_id, "timerange": "[0:0_1:0)"})
        source = client.segments(flow_id)[0]["get_urls"][0]["url"]
        allocated = client.allocate(flow_id, UPLOADERS)
        started, proceed = threading.Barrier(UPLOADERS + 1), threading.Event()

        def upload(number: int) -> int:
            def pieces() -> Iterator[bytes]:
                yield PIECE
                started.wait(20)
                proceed.wait(20)
                yield PIECE

            put = allocated[number]["put_url"]
            parts = urlsplit(put["url"])
            connection = http.client.HTTPConnection(parts.netloc, timeout=60)
            headers = {"Content-Type": put["content-type"], "Content-Length": str(2 * len(PIECE))}
            connection.request("PUT", f"{parts.path}?{parts.query}", pieces(), headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status

        with ThreadPoolExecutor(BROWSER + UPLOADERS) as clients:
            uploads = [clients.submit(upload, number) for number in range(UPLOADERS)]
            started.wait(20)
            # Uploads that pause hold all places; the API answers, and the browser waits.
            downloads = [clients.submit(httpx.get, source, timeout=60) for _ in range(BROWSER)]
            for _ in range(10):
                assert httpx.get(f"{store.url}/flows/{flow_id}", timeout=5).status_code == 200
            proceed.set()
            assert {answer.result() for answer in uploads} == {200}
            assert {answer.result().status_code for answer in downloads} == {200}

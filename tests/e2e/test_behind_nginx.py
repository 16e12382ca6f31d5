"""The store behind a real nginx that is configured as in the documentation. Run it with `make test-nginx`.

It has the marker `nginx`, so `make test`, which needs only Python, leaves it out.
"""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest

from tests.support.http_client import WAVE, Client
from tests.support.servers import TamsStore, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.nginx]

CONFIGURATION = Path(__file__).parents[2] / "docs" / "how-to" / "run-behind-nginx.md"
HOSTILE = ["a/instances", "/a", "a//b", "..", ".", "%2F", "a%2Finstances", "a b", "a+b", "é", "x?y#z", "…/𝄞"]


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run an nginx with the `location` of the documentation in front of a store that trusts it; yield its URL."""
    home = tmp_path_factory.mktemp("nginx")
    store = TamsStore(home, TAMS_TRUSTED_PROXIES="127.0.0.1")
    store.start()
    nginx, port = start_nginx(home, store.url)
    yield f"http://127.0.0.1:{port}"
    nginx.terminate()
    nginx.wait()
    store.stop()
    assert store.errors() == []


def start_nginx(home: Path, upstream: str) -> tuple[subprocess.Popen[bytes], int]:
    location = re.search(r"```nginx\n(location .*?)```", CONFIGURATION.read_text(), re.DOTALL)
    assert location
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    temporary = "\n".join(
        f"{kind}_temp_path {home}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (home / "nginx.conf").write_text(
        f"daemon off; pid {home}/nginx.pid; error_log {home}/error.log; events {{}}\n"
        f"http {{ access_log off; {temporary} large_client_header_buffers 4 16k;\n"
        f"server {{ listen 127.0.0.1:{port};\n"
        f"{location[1].replace('http://127.0.0.1:8000', upstream)} }} }}\n"
    )
    executable = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    assert executable, "nginx is not installed"
    nginx = subprocess.Popen([executable, "-c", str(home / "nginx.conf"), "-e", str(home / "error.log")])
    eventually(lambda: _listens(port), "nginx listens")
    return nginx, port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def get(url: str, target: str) -> tuple[int, dict[str, str], bytes]:
    """GET a target exactly as it is written; return status, headers and body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    connection.putrequest("GET", target)
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def test_object_ids_of_any_characters_pass_nginx(proxied: str) -> None:
    client = Client(proxied)
    flow_id = client.make_flow(WAVE)
    answer = httpx.post(f"{proxied}/flows/{flow_id}/storage", json={"object_ids": HOSTILE})
    for second, allocated in enumerate(answer.json()["media_objects"]):
        put = allocated["put_url"]
        answer = httpx.put(put["url"], content=b"media", headers={"Content-Type": put["content-type"]})
        assert answer.status_code == 200
        segment = {"object_id": allocated["object_id"], "timerange": f"[{second}:0_{second + 1}:0)"}
        assert httpx.post(f"{proxied}/flows/{flow_id}/segments", json=segment).status_code == 201
    for object_id in HOSTILE:
        status, _, body = get(proxied, "/objects/" + quote(object_id, safe=""))
        assert (status, json.loads(body)["id"]) == (200, object_id)


def test_links_and_media_urls_begin_with_the_url_of_nginx(proxied: str) -> None:
    client = Client(proxied)
    flow_id = client.make_flow(WAVE)
    (object_id,) = client.upload(flow_id, [b"media"])
    for second in range(3):
        segment = {
            "object_id": object_id,
            "timerange": f"[{second}:0_{second + 1}:0)",
            "ts_offset": f"{second}:0",
        }
        assert httpx.post(f"{proxied}/flows/{flow_id}/segments", json=segment).status_code == 201
    status, headers, body = get(proxied, f"/flows/{flow_id}/segments?timerange=[0:0_3:0)&limit=2")
    assert status == 200
    assert headers["Link"].startswith(f"<{proxied}/flows/{flow_id}/segments?")
    url = json.loads(body)[0]["get_urls"][0]["url"]
    assert url.startswith(proxied)
    assert httpx.get(url).content == b"media"
    part = httpx.get(url, headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"edi")


def test_clients_read_why_their_uploads_were_refused(proxied: str) -> None:
    """16 uploads of 6 MB at once under a false signature are 403, and not nginx's own 502."""
    put = Client(proxied).allocate(Client(proxied).make_flow(WAVE), 1)[0]["put_url"]

    def upload(_: int) -> int:
        return httpx.put(put["url"], content=bytes(6_000_000), headers={"Content-Type": "text/plain"}).status_code

    with ThreadPoolExecutor(16) as clients:
        assert set(clients.map(upload, range(16))) == {403}

"""The store behind a real nginx that is configured by the file of the project. Run it with `make test-nginx`.

It has the marker `nginx`, so `make test`, which needs only Python, leaves it out.
"""

from __future__ import annotations

import getpass
import http.client
import json
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit
from uuid import uuid4

import httpx
import psutil
import pytest

from tests.support.http_client import WAVE, Client
from tests.support.servers import TamsStore, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.nginx]

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx" / "tams.conf"
HOSTILE = ["a/instances", "/a", "a//b", "..", ".", "%2F", "a%2Finstances", "a b", "a+b", "é", "x?y#z", "…/𝄞"]
SECRET = "s3cr3t"
MIB = 1024 * 1024


class Proxy:
    """An nginx with the file of the project in front of a store; only addresses and log files are replaced."""

    def __init__(self, home: Path, upstream: str) -> None:
        self.home = home
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._configure(upstream.removeprefix("http://"))
        executable = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
        assert executable, "nginx is not installed"
        self._nginx = subprocess.Popen([executable, "-c", str(home / "nginx.conf"), "-e", str(home / "start.log")])
        eventually(lambda: _listens(self.port), "nginx listens")

    def _configure(self, upstream: str) -> None:
        text = CONFIGURATION.read_text()
        for old, new in (
            ("server 127.0.0.1:8000;", f"server {upstream};"),
            ("listen 80;", f"listen 127.0.0.1:{self.port};"),
            ("/var/log/nginx/tams-access.log", f"{self.home}/access.log"),
            ("/var/log/nginx/tams-error.log", f"{self.home}/error.log"),
        ):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (self.home / "tams.conf").write_text(text)
        temporary = "\n".join(
            f"{kind}_temp_path {self.home}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (self.home / "nginx.conf").write_text(
            f"user {getpass.getuser()};\n"
            f"daemon off; pid {self.home}/nginx.pid; error_log {self.home}/start.log; events {{}}\n"
            f"http {{ access_log off; {temporary}\ninclude {self.home}/tams.conf; }}\n"
        )

    def logs(self) -> str:
        """Return what nginx has logged."""
        return "".join(path.read_text() for path in self.home.glob("*.log") if path.name != "tams.log")

    def upstream_connections(self, port: int) -> int:
        """Return the number of connections from nginx to this port."""
        master = psutil.Process(self._nginx.pid)
        connections = [item for process in master.children() for item in process.net_connections("tcp")]
        return sum(item.status == psutil.CONN_ESTABLISHED and item.raddr[1] == port for item in connections)

    def stop(self) -> None:
        self._nginx.terminate()
        self._nginx.wait()


class Site(NamedTuple):
    """A store and the nginx in front of it."""

    store: TamsStore
    proxy: Proxy


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run an nginx in front of a store that trusts it."""
    home = tmp_path_factory.mktemp("nginx")
    store = TamsStore(home, TAMS_TRUSTED_PROXIES="127.0.0.1")
    store.start()
    proxy = Proxy(home, store.url)
    yield Site(store, proxy)
    proxy.stop()
    store.stop()
    assert store.errors() == []


@pytest.fixture
def proxied(site: Site) -> str:
    """Return the URL of the nginx."""
    return site.proxy.url


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


@pytest.mark.parametrize("count", [91, 211])
def test_a_link_with_many_ids_is_followed(proxied: str, count: int) -> None:
    client = Client(proxied)
    members = sorted(client.make_flow(WAVE) for _ in range(3))
    collection = client.make_flow(WAVE, flow_collection=[{"id": member, "role": "part"} for member in members])
    ids = ",".join([*(str(uuid4()) for _ in range(count - 1)), collection])
    target = f"/flows?limit=1&collected_by_ids={ids}"
    for follow in ("Link", "X-Paging-NextKey"):
        seen: list[str] = []
        url: str | None = f"{proxied}{target}"
        while url:
            answer = httpx.get(url)
            assert answer.status_code == 200, answer.text
            seen += [flow["id"] for flow in answer.json()]
            key = answer.headers.get("X-Paging-NextKey")
            by_key = f"{proxied}{target}&page={key}" if key else None
            url = answer.links["next"]["url"] if key and follow == "Link" else by_key
        assert sorted(seen) == members


def test_the_longest_request_is_answered_with_a_link_that_is_followed(proxied: str) -> None:
    client = Client(proxied)
    label = "é" * 512
    labelled = sorted(client.make_flow(WAVE, label=label) for _ in range(2))
    target = f"/flows?limit=1&label={quote(label)}&unknown="
    target += random.Random(2).randbytes(8190).hex()[: 8190 - len(f"GET {target} HTTP/1.1")]
    status, headers, body = get(proxied, target)
    assert status == 200
    link = headers["Link"].partition("<")[2].partition(">")[0]
    following = httpx.get(link)
    assert following.status_code == 200
    assert sorted([json.loads(body)[0]["id"], following.json()[0]["id"]]) == labelled


def test_forwarded_headers_of_a_client_are_not_believed(proxied: str) -> None:
    client = Client(proxied)
    for _ in range(2):
        client.make_flow(WAVE)
    forged = {
        "X-Forwarded-Prefix": "/forged",
        "X-Forwarded-Host": "forged.example.com",
        "X-Forwarded-Proto": "https",
        "Forwarded": "for=192.0.2.1;host=forged.example.com;proto=https",
    }
    answer = httpx.get(f"{proxied}/flows?limit=1", headers=forged)
    assert answer.links["next"]["url"].startswith(f"{proxied}/flows?")
    only = httpx.get(f"{proxied}/flows?limit=1", headers={"X-Forwarded-Prefix": "/forged"})
    assert only.links["next"]["url"].startswith(f"{proxied}/flows?")


def test_the_host_arrives_as_the_client_sent_it(site: Site) -> None:
    answer = httpx.get(f"{site.proxy.url}/openapi.json", headers={"Host": "tams_store:8000"})
    assert answer.json()["servers"] == [{"url": "http://tams_store:8000"}]
    with socket.create_connection(("127.0.0.1", site.proxy.port), timeout=10) as connection:
        connection.sendall(b"GET /flows HTTP/1.0\r\n\r\n")
        assert connection.makefile("rb").readline().split()[1] == b"200"


def test_the_logs_hold_no_query(site: Site, tmp_path: Path) -> None:
    client = Client(site.proxy.url)
    flow_id = client.make_flow(WAVE)
    (object_id,) = client.upload(flow_id, [b"media"])
    client.register(flow_id, {"object_id": object_id, "timerange": "[0:0_1:0)"})
    url = client.segments(flow_id)[0]["get_urls"][0]["url"]
    assert httpx.get(url, headers={"Referer": f"http://a/?access_token={SECRET}"}).content == b"media"
    assert httpx.get(f"{site.proxy.url}/flows?access_token={SECRET}").status_code == 200
    parts = urlsplit(url)
    eventually(lambda: f" GET {parts.path} 200 " in site.proxy.logs(), "nginx has logged the download")
    eventually(lambda: " GET /flows 200 " in site.proxy.logs(), "nginx has logged the listing")
    assert parts.query not in site.proxy.logs()
    assert SECRET not in site.proxy.logs()

    with socket.create_server(("127.0.0.1", 0)) as free:
        closed = free.getsockname()[1]
    proxy = Proxy(tmp_path, f"http://127.0.0.1:{closed}")
    try:
        assert httpx.get(f"{proxy.url}/flows?access_token={SECRET}").status_code == 502
        eventually(lambda: " GET /flows 502 " in proxy.logs(), "nginx has logged the failure")
        assert SECRET not in proxy.logs()
    finally:
        proxy.stop()


class Upload:
    """A request whose body stops in the middle, after nginx asked for it."""

    def __init__(self, proxy: Proxy, method: str, target: str, content_type: str, body: bytes) -> None:
        self._connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
        self._connection.sendall(
            f"{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n".encode()
        )
        self._answer = self._connection.makefile("rb")
        assert b" 100 " in self._answer.readline()
        assert self._answer.readline() == b"\r\n"
        half = len(body) // 2
        self._connection.sendall(body[:half])
        self._rest = body[half:]

    def finish(self) -> int:
        """Send the rest; return the status."""
        self._connection.sendall(self._rest)
        status = int(self._answer.readline().split()[1])
        self._answer.close()
        self._connection.close()
        return status


def form(segment: bytes, media: bytes) -> bytes:
    """Return a body of multipart/form-data with the boundary `b`."""
    head = b'--b\r\nContent-Disposition: form-data; name="segment_data"\r\n\r\n' + segment
    file = b'\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + media
    return head + file + b"\r\n--b--\r\n"


def test_media_reach_the_store_while_they_arrive_and_json_only_when_complete(site: Site) -> None:
    client = Client(site.proxy.url)
    flow_id = client.make_flow(WAVE)
    allocated, registered = client.allocate(flow_id, 2)
    client.put_bytes(registered, b"media")
    segments = f"/flows/{flow_id}/segments"
    media = bytes(4 * MIB)

    put = urlsplit(allocated["put_url"]["url"])
    content_type = allocated["put_url"]["content-type"]
    upload = Upload(site.proxy, "PUT", f"{put.path}?{put.query}", content_type, media)
    eventually(site.store.unfinished_files, "the store receives the upload")
    assert upload.finish() == 200
    eventually(lambda: not site.store.unfinished_files(), "the upload is complete")

    segment = b'{"timerange": "[10:0_11:0)"}'
    upload = Upload(site.proxy, "POST", segments, "multipart/form-data; boundary=b", form(segment, media))
    eventually(site.store.unfinished_files, "the store receives the form")
    assert upload.finish() == 201

    body = json.dumps({"object_id": registered["object_id"], "timerange": "[0:0_1:0)"} | {"x": "y" * MIB}).encode()
    eventually(lambda: not site.proxy.upstream_connections(site.store.port), "nginx has closed its connections")
    upload = Upload(site.proxy, "POST", segments, "application/json", body)
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        assert not site.proxy.upstream_connections(site.store.port)
        time.sleep(0.05)
    assert upload.finish() == 201


def test_media_may_be_larger_than_a_body_of_json(site: Site) -> None:
    client = Client(site.proxy.url)
    flow_id = client.make_flow(WAVE)
    media = bytes(18 * MIB)
    client.upload(flow_id, [media])
    segments = f"{site.proxy.url}/flows/{flow_id}/segments"
    fields = {"segment_data": '{"timerange": "[0:0_1:0)"}'}
    assert httpx.post(segments, data=fields, files={"file": ("a", media)}, timeout=60).status_code == 201
    document = json.dumps({"label": "x" * (16 * MIB + 1000)})
    answer = httpx.post(f"{site.proxy.url}/flows", content=document, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (413, "RequestEntityTooLarge")
    for url in (f"{site.proxy.url}/flows", segments):
        answer = httpx.post(url, content=media, headers={"Content-Type": "application/json"})
        assert (answer.status_code, "nginx" in answer.text) == (413, True)


def test_the_location_of_uploads_is_no_url(proxied: str) -> None:
    assert httpx.post(f"{proxied}/upload/flows/a/segments").status_code == 404

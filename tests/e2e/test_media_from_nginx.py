"""Local media served by a real nginx that is configured as in the documentation. Run it with `make test-nginx`."""

from __future__ import annotations

import getpass
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tams.storage.local.media_types import EXTENSIONS
from tests.support.http_client import WAVE, Client
from tests.support.servers import TamsStore, eventually

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "serve-media-from-a-web-server.md"
DIRECTORY = "/var/lib/tams/media"
MEDIA = bytes(range(256)) * 500


def location() -> str:
    """Return the block of the documentation."""
    match = re.search(r"```nginx\n(location .*?)```", PAGE.read_text(), re.DOTALL)
    assert match
    return match[1]


def test_the_documented_types_are_those_of_the_files() -> None:
    block = re.search(r"types \{(.*?)\}", location(), re.DOTALL)
    assert block
    assert dict(re.findall(r"(\S+) (\S+);", block[1])) == dict(EXTENSIONS)


class Site(NamedTuple):
    """A store, and the URL of an nginx that serves its directory of media."""

    client: Client
    store: TamsStore
    public: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("nginx")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    public = f"http://127.0.0.1:{port}"
    store = TamsStore(home, TAMS_STORAGE_PUBLIC_URL=public)
    store.start()
    temporary = "\n".join(
        f"{kind}_temp_path {home}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (home / "nginx.conf").write_text(
        f"user {getpass.getuser()}; daemon off; pid {home}/nginx.pid; error_log {home}/error.log; events {{}}\n"
        f"http {{ access_log off; {temporary}\nserver {{ listen 127.0.0.1:{port};\n"
        f"{location().replace(DIRECTORY, str(store.data / 'media'))} }} }}\n"
    )
    executable = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    assert executable, "nginx is not installed"
    nginx = subprocess.Popen([executable, "-c", str(home / "nginx.conf"), "-e", str(home / "error.log")])
    eventually(lambda: _listens(port), "nginx listens")
    yield Site(Client(store.url), store, public)
    nginx.terminate()
    nginx.wait()
    store.stop()
    assert store.errors() == []


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def urls(site: Site, content_type: str) -> tuple[str, list[str]]:
    """Upload and register media of the type; return the signed URL and the public ones."""
    flow_id = site.client.make_flow(WAVE | {"container": content_type})
    (object_id,) = site.client.upload(flow_id, [MEDIA])
    site.client.register(flow_id, {"object_id": object_id, "timerange": "[0:0_1:0)"})
    entries = site.client.segments(flow_id)[0]["get_urls"]
    (signed,) = (entry["url"] for entry in entries if entry.get("presigned"))
    plain = (entry["url"] for entry in entries if not entry.get("presigned"))
    return signed, [url for url in plain if url.startswith(site.public)]


@pytest.mark.e2e
@pytest.mark.nginx
@pytest.mark.parametrize("content_type", EXTENSIONS)
def test_a_public_url_gives_exactly_the_media_with_their_type(site: Site, content_type: str) -> None:
    signed, (public,) = urls(site, content_type)
    for url in (signed, public):
        answer = httpx.get(url)
        assert (answer.status_code, answer.content) == (200, MEDIA)
        assert answer.headers["Content-Type"] == content_type
        assert answer.headers["Content-Length"] == str(len(MEDIA))
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        tail = httpx.get(url, headers={"Range": "bytes=-5"})
        assert (tail.status_code, tail.content) == (206, MEDIA[-5:])


@pytest.mark.e2e
@pytest.mark.nginx
def test_nothing_but_media_is_served(site: Site) -> None:
    _, (public,) = urls(site, "video/mp2t")
    directory = public.rpartition("/")[0]
    for url in (f"{public}.meta", directory, f"{directory}/", f"{directory}/../../tams.db"):
        assert httpx.get(url).status_code == 404


@pytest.mark.e2e
@pytest.mark.nginx
@pytest.mark.parametrize("content_type", ["audio/x-own", "text/html"])
def test_media_whose_type_nginx_cannot_know_have_only_a_signed_url(site: Site, content_type: str) -> None:
    signed, public = urls(site, content_type)
    assert public == []
    answer = httpx.get(signed)
    assert (answer.content, answer.headers["Content-Type"]) == (MEDIA, content_type)

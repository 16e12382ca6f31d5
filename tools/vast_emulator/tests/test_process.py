"""The emulator as a process: its options, its administration interface, and misbehaving clients."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import vastdb
from vastdb import errors
from vastdb.config import BackoffConfig, QueryConfig
from vastdb.session import Session

from tools.vast_emulator.admin import Admin
from tools.vast_emulator.emulator import Emulator
from tools.vast_emulator.settings import Settings
from tools.vast_emulator.tests.steps import connect, create, insert, opened, read

pytestmark = pytest.mark.vast

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a process with a profile."""
    profile = tmp_path_factory.mktemp("profile") / "profile.json"
    profile.write_text(json.dumps({"row_conflicts": "commit", "page_rows": 3}))
    command = [sys.executable, "-m", "tools.vast_emulator", "--port", "0", "--access", "a", "--secret", "s"]
    command += ["--bucket", "first", "--bucket", "vastdb", "--hostile", "--profile", str(profile)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        match = re.search(r"http://\S+", process.stdout.readline())
        assert match is not None
        yield match[0]
        process.terminate()


def _connect(endpoint: str) -> Session:
    config = BackoffConfig(max_tries=1)
    return vastdb.connect(endpoint=endpoint, access="a", secret="s", timeout=10, backoff_config=config)


def test_a_process_can_be_administered(endpoint: str) -> None:
    admin, session = Admin(endpoint), _connect(endpoint)
    admin.reset()
    settings = admin.settings()
    assert (settings["row_conflicts"], settings["page_rows"], settings["shuffle"]) == ("commit", 3, True)
    assert admin.settings(page_rows=4)["page_rows"] == 4
    table = create(session, "t")
    admin.fail("commit", "late")
    with pytest.raises(errors.ConnectionError):
        insert(session, table, ("a", 1))
    assert len(admin.transactions()) == 1
    assert admin.release() == 1
    assert admin.transactions() == []
    admin.reset_counters()
    insert(session, table, ("b", 2))
    assert admin.counters()["requests"] == {"begin": 1, "insert": 1, "commit": 1}
    assert admin.recent()[-1].startswith("commit ")
    admin.fail("begin", "conflict")
    admin.clear_faults()
    with session.transaction() as tx:
        assert tx.bucket("first").name == "first"


def test_kept_data_survive_a_reset(endpoint: str) -> None:
    admin, session = Admin(endpoint), _connect(endpoint)
    table = create(session, "kept")
    insert(session, table, ("a", 1))
    admin.keep()
    for name in ("b", "c"):
        insert(session, table, (name, 2))
        left_open = int(session.api.begin_transaction().headers["tabular-txid"])
        admin.fail("begin", "conflict")
        admin.reset()
        with session.transaction() as tx:
            config = QueryConfig(num_splits=1, num_sub_splits=1, data_endpoints=[endpoint])
            assert opened(tx, table).select(config=config).read_all().to_pylist() == [{"name": "a", "number": 1}]
        with pytest.raises(errors.NotFound):
            session.api.rollback_transaction(left_open)


def test_an_invalid_administration_request_is_refused(endpoint: str) -> None:
    admin = Admin(endpoint)
    with pytest.raises(OSError, match="400"):
        admin.settings(page_rows="many")
    with pytest.raises(OSError, match="400"):
        admin.fail("commit", "slowly")


@pytest.mark.parametrize("values", [{"unknown": 1}, {"row_conflicts": "never"}, {"shuffle": 1}, {"page_rows": 1.5}])
def test_an_invalid_setting_is_refused(values: dict[str, object]) -> None:
    settings = Settings()
    with pytest.raises(ValueError, match=next(iter(values))):
        settings.update(values)
    assert settings == Settings()


def test_every_setting_can_come_from_a_profile(tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps(Settings.hostile().as_dict()))
    settings = Settings()
    settings.load_profile(profile)
    assert settings == Settings.hostile()


def test_broken_clients_do_not_affect_others(emulator: Emulator, session: Session) -> None:
    table = create(session, "t")
    host, port = emulator.endpoint.removeprefix("http://").split(":")
    for data in (b"", b"GET", b"POST /?transaction HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc"):
        with socket.create_connection((host, int(port))) as client:
            client.sendall(data)
    with socket.create_connection((host, int(port)), timeout=5) as client:
        client.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        assert b"400" in client.recv(1000)
    insert(session, table, ("a", 1))
    assert read(emulator, session, table) == [("a", 1)]


def test_requests_and_rows_are_counted(emulator: Emulator) -> None:
    session = connect(emulator)
    table = create(session, "t")
    with emulator.counting() as counts:
        insert(session, table, ("a", 1), ("b", 2))
        read(emulator, session, table)
    assert dict(counts.requests) == {"begin": 2, "insert": 1, "commit": 2, "select": 1}
    assert counts.total == 6
    assert counts.tables == {"insert t": 1, "select t": 1}
    assert counts.statuses == {"begin 200": 2, "insert 200": 1, "commit 200": 2, "select 200": 1}
    assert (counts.rows_written, counts.rows_sent, counts.rows_looked_at) == (2, 2, 2)

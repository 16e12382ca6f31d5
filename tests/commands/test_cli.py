"""The `tams` command as users start it: real processes, a real wheel, real signals."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tams import __version__
from tests.support.tams_command import PATIENCE, Server, assert_refused, environment, eventually, tams

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    running = Server(tmp_path, "--workers", "1")
    yield running
    if running.process.poll() is None:
        for child in running.children():
            child.kill()
        running.process.kill()
    running.process.wait(PATIENCE)
    running.process.stdout.close()


def start_worker(directory: Path, log: Path) -> subprocess.Popen[bytes]:
    (directory / "data").mkdir(0o700, exist_ok=True)
    with log.open("w") as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", "tams.commands.main", "worker"], cwd=directory, env=environment(), stderr=stderr
        )


@pytest.fixture
def worker_process(tmp_path) -> Iterator[Path]:
    """Run `tams worker`, and yield the path of its log."""
    process = start_worker(tmp_path, tmp_path / "worker.log")
    yield tmp_path / "worker.log"
    process.terminate()
    assert process.wait(PATIENCE) == 0


class TestHelp:
    def test_the_version(self, tmp_path):
        assert tams("--version", cwd=tmp_path).stdout == f"tams, version {__version__}\n"

    @pytest.mark.parametrize(
        "command",
        [
            "serve",
            "worker",
            "db",
            "db upgrade",
            "storage",
            "storage init",
            "storage check",
            "settings",
            "webhooks list",
        ],
    )
    def test_every_command_explains_itself(self, command, tmp_path):
        ended = tams(*command.split(), "--help", cwd=tmp_path)
        assert ended.returncode == 0
        assert ended.stdout.startswith(f"Usage: tams {command} ")

    def test_settings_are_shown_even_where_they_are_wrong(self, tmp_path):
        ended = tams("settings", cwd=tmp_path, TAMS_WORKERS="many")
        assert ended.returncode == 0
        lines = [line.split(maxsplit=2) for line in ended.stdout.splitlines()]
        assert lines[0] == ["VARIABLE", "FROM", "VALUE"]
        assert ["TAMS_WORKERS", "environment", "many"] in lines
        assert ["TAMS_MAX_BODY", "default", "16MiB"] in lines
        assert "TAMS_WORKERS is 'many', which is not accepted" in ended.stderr

    def test_settings_are_explained(self, tmp_path):
        ended = tams("settings", "--explain", "TAMS_WORKERS", cwd=tmp_path)
        assert ended.stdout == (
            "TAMS_WORKERS  [2]\n    Number of web processes. Write a whole number of processes, 1 or more.\n\n"
        )

    def test_settings_name_their_source_and_hide_secrets(self, tmp_path):
        key, url = "k" * 32, "postgresql://tams:hidden@localhost/tams"
        (tmp_path / "key").write_text(key + "\n")
        shown = tams("settings", "--json", cwd=tmp_path, TAMS_SECRET_KEY_FILE="key", TAMS_DATABASE_URL=url)
        assert shown.returncode == 0
        settings = {
            line["variable"]: (line["value"], line["source"]) for line in map(json.loads, shown.stdout.splitlines())
        }
        assert settings["TAMS_SECRET_KEY"] == ("***", "file key")
        assert settings["TAMS_DATABASE_URL"] == ("postgresql://tams:***@localhost/tams", "environment")
        assert settings["TAMS_DATA_DIR"] == (str(tmp_path / "data"), "default")
        assert settings["LOG_LEVEL"] == ("DEBUG", "default")
        assert settings["TAMS_AUTH"] == ("none", "default")
        assert settings["TAMS_WEBHOOK_KEY"] == (None, "default")
        assert key not in shown.stdout + shown.stderr
        assert "hidden" not in shown.stdout + shown.stderr


class TestRefusals:
    def test_serving_in_production_without_a_decision_on_authentication(self, tmp_path):
        assert_refused(tams("serve", cwd=tmp_path, ENVIRONMENT="production"), "TAMS_AUTH=none")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("command", ["webhooks list", "tokens list", "webhooks replay --all"])
    def test_a_database_that_does_not_exist(self, command, tmp_path):
        assert_refused(tams(*command.split(), cwd=tmp_path), "tams.db", "has not been set up", "`tams db upgrade`")
        assert list(tmp_path.iterdir()) == []

    def test_an_unknown_setting(self, tmp_path):
        assert_refused(tams("serve", cwd=tmp_path, TAMS_WORKRES="2"), "did you mean TAMS_WORKERS?")

    def test_a_data_directory_that_cannot_be_made(self, tmp_path):
        (tmp_path / "file").touch()
        assert_refused(tams("serve", "--data-dir", "file/data", cwd=tmp_path), "file/data", "--data-dir")

    def test_a_port_in_use(self, tmp_path):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = str(other.getsockname()[1])
            assert_refused(tams("serve", "--port", port, cwd=tmp_path), port, "another program listens there")

    def test_an_address_of_another_machine(self, tmp_path):
        assert_refused(tams("serve", "--host", "192.0.2.1", cwd=tmp_path), "192.0.2.1", "--host")

    def test_a_database_newer_than_the_code(self, tmp_path):
        assert tams("db", "upgrade", "--data-dir", ".", cwd=tmp_path).returncode == 0
        with sqlite3.connect(tmp_path / "tams.db") as database:
            database.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        database.close()
        assert_refused(tams("serve", "--port", "0", "--data-dir", ".", cwd=tmp_path), "newer version of the store")

    def test_a_database_that_is_none(self, tmp_path):
        (tmp_path / "tams.db").write_text("This is no database. " * 100)
        assert_refused(tams("serve", "--port", "0", "--data-dir", ".", cwd=tmp_path), "tams.db", "cannot be used")


class TestServe:
    def test_it_says_where_everything_is_and_answers(self, server, tmp_path):
        assert [line.split() for line in server.banner] == [
            ["TAMS", __version__, "serves", server.url],
            ["API", "document", f"{server.url}/openapi.json"],
            ["Swagger", "UI", f"{server.url}/docs"],
            ["data", f"{tmp_path}/data"],
            ["database", f"sqlite:///{tmp_path}/data/tams.db"],
        ]
        for path in ("/health/live", "/openapi.json", "/docs"):
            assert server.status(path) == 200

    @pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_ends_it_with_all_its_processes(self, server, how):
        children = server.children()
        assert server.end(how) == 0
        assert not [child for child in children if child.is_running()]

    def test_a_background_worker_that_dies_is_replaced(self, server):
        eventually(server.worker_ids, "the background worker runs")
        os.kill(server.worker_ids()[0], signal.SIGKILL)
        eventually(lambda: len(server.worker_ids()) == 2, "another background worker runs")
        assert server.status("/health/live") == 200

    def test_nothing_goes_on_when_the_master_is_killed(self, server):
        eventually(server.worker_ids, "the background worker runs")
        children = server.children()
        server.end(signal.SIGKILL)
        eventually(lambda: not any(child.is_running() for child in children), "no orphan is left")

    @pytest.mark.parametrize("umask", [0o000, 0o022, 0o177])
    def test_only_the_owner_can_read_what_it_creates(self, tmp_path, umask):
        before = os.umask(umask)
        try:
            running = Server(tmp_path, "--workers", "1")
        finally:
            os.umask(before)
        assert running.status("/flows") == 200
        data = tmp_path / "data"
        eventually((data / "webhook.key").exists, "the background worker has made its key")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (data, *data.iterdir())}
        assert running.end() == 0
        running.process.stdout.close()
        assert {name: modes[name] for name in ("tams.db", "tams.db-wal", "tams.db-shm")} == {
            "tams.db": 0o600,
            "tams.db-wal": 0o600,
            "tams.db-shm": 0o600,
        }
        assert modes["data"] == 0o700
        assert modes["secret.key"] == modes["webhook.key"] == 0o600
        assert "chmod 700" not in running.log.read_text()

    def test_a_data_directory_that_others_can_read_is_left_as_it_is_with_a_warning(self, tmp_path):
        data = tmp_path / "data"
        data.mkdir()
        data.chmod(0o755)
        running = Server(tmp_path, "--workers", "1")
        assert running.end() == 0
        running.process.stdout.close()
        assert running.log.read_text().count(f"run chmod 700 {data}") == 1
        assert stat.S_IMODE(data.stat().st_mode) == 0o755

    def test_without_the_background_worker(self, tmp_path):
        running = Server(tmp_path, "--workers", "2", "--no-worker")
        assert running.status("/health/live") == 200
        assert running.end() == 0
        running.process.stdout.close()
        assert running.worker_ids() == []

    def test_the_data_are_kept_over_a_restart(self, server, tmp_path):
        assert server.status("/health/live") == 200
        kept = (tmp_path / "data" / "secret.key").read_text()
        server.end()
        again = Server(tmp_path)
        assert again.status("/health/live") == 200
        assert (tmp_path / "data" / "secret.key").read_text() == kept
        assert again.end() == 0
        again.process.stdout.close()


class TestBesideARunningServer:
    """Commands in another shell, which knows nothing of the server's environment but the data directory."""

    @pytest.mark.parametrize(
        "command",
        [
            "webhooks list",
            "webhooks replay --all",
            "tokens list",
            "users list",
            "db check",
            "storage check",
            "db upgrade",
        ],
    )
    def test_a_command_needs_the_data_directory_only(self, server, command, tmp_path):
        ended = tams(*command.split(), cwd=tmp_path, ENVIRONMENT="")
        assert ended.returncode == 0, ended.stderr


class TestWorker:
    def test_a_fault_of_every_task_is_reported_once_and_so_is_its_end(self, worker_process, tmp_path):
        log = worker_process
        eventually(lambda: "has not been set up" in log.read_text(), "the worker reports the fault")
        # Every task has failed twice by then.
        time.sleep(6)
        assert log.read_text().count("`tams db upgrade`") == 1
        assert tams("db", "upgrade", cwd=tmp_path).returncode == 0
        eventually(lambda: "background work goes on" in log.read_text(), "the worker reports the end of the fault")
        assert log.read_text().count("WARNING") == 1

    def test_signals_that_arrive_together_end_it(self, tmp_path):
        assert tams("db", "upgrade", cwd=tmp_path).returncode == 0
        for attempt in range(3):
            log = tmp_path / f"{attempt}.log"
            process = start_worker(tmp_path, log)
            eventually(lambda log=log: "has started" in log.read_text(), "the worker runs")
            for _ in range(500):
                process.terminate()
            assert process.wait(15) == 0

    def test_it_runs_until_a_signal_ends_it(self, tmp_path):
        assert tams("db", "upgrade", cwd=tmp_path).returncode == 0
        log = tmp_path / "worker.log"
        process = start_worker(tmp_path, log)
        eventually(lambda: "runs" in log.read_text(), "the worker runs")
        process.terminate()
        assert process.wait(PATIENCE) == 0


class TestDatabase:
    def test_upgrading_makes_the_database_and_may_be_repeated(self, tmp_path):
        for _ in range(2):
            ended = tams("db", "upgrade", cwd=tmp_path)
            assert ended.returncode == 0, ended.stderr
            assert str(tmp_path / "data" / "tams.db") in ended.stdout

    def test_upgrading_twice_at_once(self, tmp_path):
        started = [
            subprocess.Popen(
                [sys.executable, "-m", "tams.commands.main", "db", "upgrade"], cwd=tmp_path, env=environment()
            )
            for _ in range(2)
        ]
        assert [process.wait(PATIENCE) for process in started] == [0, 0]

    def test_an_installed_package_can_upgrade(self, tmp_path):
        source = tmp_path / "source"
        source.mkdir()
        for name in ("tams", "migrations"):
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, source)
        wheel = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path)]
        subprocess.run([sys.executable, "-m", "pip", *wheel, str(source)], check=True, timeout=PATIENCE)
        installed = tmp_path / "installed"
        shutil.unpack_archive(next(tmp_path.glob("*.whl")), installed, format="zip")

        modules = {str(path.relative_to(ROOT)) for path in (ROOT / "tams").rglob("*.py")}
        assert modules <= {str(path.relative_to(installed)) for path in installed.rglob("*.py")}

        ended = tams("db", "upgrade", cwd=tmp_path, PYTHONPATH=str(installed))
        assert ended.returncode == 0, ended.stderr
        assert (tmp_path / "data" / "tams.db").exists()


def test_gunicorn_serves_the_application_that_wsgi_py_offers(tmp_path):
    assert tams("db", "upgrade", cwd=tmp_path).returncode == 0
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "wsgi:application"],
        cwd=ROOT,
        env=environment(TAMS_DATA_DIR=str(tmp_path / "data")),
    )

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=PATIENCE) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    eventually(answers, "gunicorn answers")
    process.terminate()
    assert process.wait(PATIENCE) == 0


class TestSeed:
    """`tams dev seed`."""

    def test_the_same_number_makes_the_same_flows(self, tmp_path: Path) -> None:
        found = []
        for data in ("one", "other"):
            ended = tams("dev", "seed", "--flows", "3", "--segments", "4", "--data-dir", data, cwd=tmp_path)
            assert ended.returncode == 0, ended.stderr
            assert "3 Flows, 4 Segments each" in ended.stdout
            with sqlite3.connect(tmp_path / data / "tams.db") as database:
                assert database.execute("SELECT count(*) FROM segments").fetchone() == (12,)
                found.append(database.execute("SELECT id, source_id FROM flows ORDER BY id").fetchall())
        assert found[0] == found[1]
        assert len(found[0]) == 3

    def test_a_flow_can_be_named_and_grows(self, tmp_path: Path) -> None:
        flow_id = "0f5a5b0e-6d3c-4b5f-8b52-1d9f6a7c2e11"
        for _ in range(2):
            ended = tams("dev", "seed", "--flow", flow_id, "--segments", "5", cwd=tmp_path)
            assert ended.returncode == 0, ended.stderr
        with sqlite3.connect(tmp_path / "data" / "tams.db") as database:
            assert database.execute("SELECT id FROM flows").fetchall() == [(flow_id,)]
            assert database.execute("SELECT count(*), max(end_ns) FROM segments").fetchone() == (10, 10 * 10**9)
        refused = tams("dev", "seed", "--flow", "x", cwd=tmp_path)
        assert refused.returncode == 2
        assert "--flow takes the UUID of one Flow" in refused.stderr

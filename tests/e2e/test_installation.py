"""The store is installed from a clone and from a wheel, also where the distribution `tams` of 0.1.0 was before."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tams import __version__
from tests.support.environments import PATIENCE, Environment, build_wheel, clean, copy_of_clone
from tests.support.servers import eventually

pytestmark = pytest.mark.e2e

NAME = "time_addressable_media_store"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of the store."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@contextmanager
def process_group(command: list[str | Path], cwd: Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command, and interrupt it and its children at the end, as Ctrl-C does."""
    process = subprocess.Popen(
        command, cwd=cwd, env=clean() | variables, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise


def is_live(url: str) -> bool:
    """Return whether a store answers at this URL."""
    try:
        with urllib.request.urlopen(f"{url}/health/live", timeout=PATIENCE) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_make_run_replaces_the_distribution_of_0_1_0(tmp_path: Path) -> None:
    clone = copy_of_clone(tmp_path / "clone")
    configuration = (clone / "setup.cfg").read_text()
    # The clone and its environment as `make run` of 0.1.0 left them.
    (clone / "setup.cfg").write_text(re.sub(r"(?m)^name = .*$", "name = tams", configuration))
    environment = Environment(clone / ".venv")
    environment.pip("install", "--no-build-isolation", "--no-deps", "--editable", ".", cwd=clone)
    assert "tams" in environment.distributions()
    os.utime(clone / "constraints.txt", (0, 0))
    for age, name in enumerate((".made", ".tools", ".installed")):
        (clone / ".venv" / name).touch()
        os.utime(clone / ".venv" / name, (age, age))
    (clone / "setup.cfg").write_text(configuration)
    command: list[str | Path] = ["make", "run", "PORT=0"]
    with process_group(command, clone, TAMS_DATA_DIR=str(tmp_path / "data")) as process:
        assert process.stdout is not None
        served = next(
            (found[1] for line in process.stdout if (found := re.search(r"serves (http://[^\s\"]+)", line))), ""
        )
        assert is_live(served)
    assert {"tams", NAME} & environment.distributions() == {NAME}
    version = environment.run("tams", "--version", cwd=tmp_path)
    assert version.stdout == f"tams, version {__version__}\n", version.stderr


def test_a_wheel_replaces_the_distribution_of_0_1_0(tmp_path: Path, wheel: Path) -> None:
    source = copy_of_clone(tmp_path / "source")
    configuration = (source / "setup.cfg").read_text()
    (source / "setup.cfg").write_text(re.sub(r"(?m)^name = .*$", "name = tams", configuration))
    environment = Environment(tmp_path / "venv")
    environment.pip("install", "--no-build-isolation", "--no-deps", str(source))
    environment.pip("uninstall", "--yes", "tams")
    environment.pip("install", f"{wheel}[postgresql]")
    assert {"tams", NAME} & environment.distributions() == {NAME}
    upgraded = environment.run("tams", "db", "upgrade", cwd=tmp_path, ENVIRONMENT="development")
    assert upgraded.returncode == 0, upgraded.stderr
    assert (tmp_path / "data" / "tams.db").exists()


def test_gunicorn_serves_the_application_of_the_wheel(tmp_path: Path, wheel: Path) -> None:
    environment = Environment(tmp_path / "venv")
    environment.pip("install", str(wheel))
    assert environment.run("tams", "db", "upgrade", cwd=tmp_path, TAMS_AUTH="none").returncode == 0
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"127.0.0.1:{free.getsockname()[1]}"
    options = ["--config", "python:tams.serving.gunicorn_conf", "--bind", url]
    python = environment.path / "bin" / "python"
    command: list[str | Path] = [python, "-P", "-m", "gunicorn", *options, "tams.wsgi:application"]
    with process_group(command, tmp_path, TAMS_AUTH="none", TAMS_WORKERS="1"):
        eventually(lambda: is_live(f"http://{url}"), "gunicorn answers")


def test_a_missing_driver_is_named_with_commands_that_need_no_index(tmp_path: Path, wheel: Path) -> None:
    environment = Environment(tmp_path / "venv")
    environment.pip("install", str(wheel))
    # As where the extra is not installed: Python does not find the driver.
    (environment.packages / "sitecustomize.py").write_text("import sys; sys.modules['psycopg'] = None\n")
    url = "postgresql://tams@db.example.com/tams"
    refused = environment.run("tams", "db", "upgrade", cwd=tmp_path, TAMS_AUTH="none", TAMS_DATABASE_URL=url)
    python = environment.path / "bin" / "python"
    assert refused.returncode == 2
    assert f"{python} -m pip install --editable '.[postgresql]' in the clone" in refused.stderr
    assert f"{python} -m pip install 'FILE.whl[postgresql]' with the wheel" in refused.stderr

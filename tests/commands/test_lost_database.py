"""A database that is gone while its media are still there: no empty one takes its place unasked."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.support.databases import NewDatabase, execute
from tests.support.tams_command import tams

pytestmark = pytest.mark.e2e

MEDIA = 12


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Make a store with a dozen media files, and remove its database; return the directory of the commands."""
    assert tams("dev", "demo", cwd=tmp_path).returncode == 0
    for path in (tmp_path / "data").glob("tams.db*"):
        path.unlink()
    media = [path for path in (tmp_path / "data" / "media").rglob("*") if path.is_file()]
    assert len(media) > MEDIA
    return tmp_path


def media_of(directory: Path) -> set[Path]:
    return {path for path in (directory / "data" / "media").rglob("*") if path.is_file()}


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("db", "upgrade"), ("dev", "demo"), ("dev", "seed")])
def test_no_command_creates_an_empty_database_beside_media(recorded: Path, command: tuple[str, ...]) -> None:
    refused = tams(*command, cwd=recorded)
    assert refused.returncode == 2
    assert "does not exist" in refused.stderr
    assert "tams db upgrade --new-database" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (recorded / "data" / "tams.db").exists()


def test_an_empty_postgresql_is_a_missing_database_too(recorded: Path, new_postgresql: NewDatabase) -> None:
    url = make_url(new_postgresql())
    execute(url, "CREATE DATABASE empty TEMPLATE template0")
    try:
        empty = url.set(database="empty").render_as_string(hide_password=False)
        refused = tams("db", "upgrade", cwd=recorded, TAMS_DATABASE_URL=empty)
    finally:
        execute(url, "DROP DATABASE empty")
    assert refused.returncode == 2
    assert "--new-database" in refused.stderr


def test_keys_alone_do_not_count(tmp_path: Path) -> None:
    assert tams("db", "upgrade", cwd=tmp_path).returncode == 0
    assert tams("storage", "list", cwd=tmp_path).returncode == 0
    for path in (tmp_path / "data").glob("tams.db*"):
        path.unlink()
    assert tams("db", "upgrade", cwd=tmp_path).returncode == 0


def test_a_new_database_is_created_when_asked_and_a_repair_spares_the_media(recorded: Path) -> None:
    media = media_of(recorded)
    assert tams("db", "upgrade", "--new-database", cwd=recorded).returncode == 0
    refused = tams("storage", "reconcile", "--repair", cwd=recorded)
    assert refused.returncode == 2
    assert "nothing was deleted" in refused.stderr
    assert media_of(recorded) == media
    # Once it exists, the database is upgraded as ever.
    assert tams("db", "upgrade", cwd=recorded).returncode == 0
    # These media are too young for a repair that is allowed, and counted one by one.
    repaired = tams("storage", "reconcile", "--repair", "--allow-most", cwd=recorded)
    assert repaired.returncode == 1
    assert repaired.stdout.count("too young") > MEDIA

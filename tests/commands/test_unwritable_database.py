"""A database that can be read but not changed: named at the start and by `tams db check`, with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.support.databases import NewDatabase, execute
from tests.support.tams_command import tams

pytestmark = pytest.mark.e2e

REMEDY = "default_transaction_read_only is off"


@pytest.fixture
def read_only(new_postgresql: NewDatabase) -> Iterator[str]:
    """Yield the URL of a PostgreSQL database whose transactions are read-only by default."""
    url = new_postgresql()
    server = make_url(url).set(database="postgres")
    execute(server, "ALTER DATABASE tams SET default_transaction_read_only = on")
    yield url
    execute(server, "ALTER DATABASE tams RESET default_transaction_read_only")


def test_db_check_names_it(tmp_path: Path, read_only: str) -> None:
    checked = tams("db", "check", cwd=tmp_path, TAMS_DATABASE_URL=read_only)
    assert checked.returncode == 1
    assert REMEDY in checked.stdout
    assert "Traceback" not in checked.stderr


def test_the_server_does_not_start_on_it(tmp_path: Path, read_only: str) -> None:
    served = tams("serve", "--port", "0", cwd=tmp_path, TAMS_DATABASE_URL=read_only)
    assert served.returncode == 2
    assert REMEDY in served.stderr
    assert "Traceback" not in served.stderr
    assert "serves" not in served.stdout


def test_a_role_without_rights_gets_a_sentence(tmp_path: Path, new_postgresql: NewDatabase) -> None:
    url = make_url(new_postgresql())
    execute(url, "CREATE ROLE onlooker LOGIN PASSWORD 'onlooker'")
    try:
        theirs = url.set(username="onlooker", password="onlooker").render_as_string(hide_password=False)
        checked = tams("db", "check", cwd=tmp_path, TAMS_DATABASE_URL=theirs)
        served = tams("serve", "--port", "0", cwd=tmp_path, TAMS_DATABASE_URL=theirs)
    finally:
        execute(url, "DROP ROLE onlooker")
    assert checked.returncode == 1
    assert "GRANT SELECT, INSERT, UPDATE, DELETE" in checked.stdout
    assert served.returncode == 2
    assert "permission denied" in served.stderr
    assert "Traceback" not in checked.stderr + served.stderr

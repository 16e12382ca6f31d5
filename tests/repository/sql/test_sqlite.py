"""SQLite at its limits: a full disk, files that cannot be opened, and a lock that another program holds."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tams.domain.errors import Unavailable
from tams.repository.port import Document
from tams.repository.sql import SqlRepository
from tests.support.databases import NewDatabase
from tests.support.repository_steps import read, write

ROOT = Path(__file__).parents[3]


def fill_the_disk(url: str) -> None:
    """Store more and more, and report how it ended. Runs in a process that may not write large files."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
    repository = SqlRepository(url)
    for number in range(1000):
        pair = [Document("k", f"{number}-{half}", {"text": "x" * 9000}, {"order": str(number)}) for half in "ab"]
        try:
            write(repository, lambda tx, made=pair: [tx.put_document(each) for each in made])  # type: ignore[misc]
        except Unavailable:
            print(number)
            break
    # Reads still work.
    assert read(repository, lambda snapshot: snapshot.document("k", "0-a")) is not None


def test_a_full_disk_is_unavailable_and_leaves_nothing_half_stored(new_sqlite: NewDatabase) -> None:
    url = new_sqlite()
    code = "import sys; from tests.repository.sql.test_sqlite import fill_the_disk; fill_the_disk(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, url], cwd=ROOT, capture_output=True, text=True, check=True)
    stored = int(done.stdout)
    assert stored > 3
    repository = SqlRepository(url)
    with repository.read() as snapshot:
        assert snapshot.document("k", f"{stored - 1}-b") is not None
        assert snapshot.document("k", f"{stored}-a") is None
    write(repository, lambda tx: tx.put_document(Document("k", "later", {})))
    repository.close()


def test_a_file_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    repository = SqlRepository(f"sqlite:///{tmp_path / 'missing' / 'tams.db'}")
    with pytest.raises(Unavailable):
        repository.check()
    with pytest.raises(Unavailable):
        write(repository, lambda _tx: None)


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "tams.db").write_bytes(b"not a database, but long enough to be taken for one" * 100)
    repository = SqlRepository(f"sqlite:///{tmp_path / 'tams.db'}")
    with pytest.raises(Unavailable):
        repository.check()


def test_commits_are_safe_from_loss_of_power(new_sqlite: NewDatabase) -> None:
    repository = SqlRepository(new_sqlite())
    connection = repository._database.engine.raw_connection()
    settings = {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys")
    }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    connection.close()
    repository.close()


def test_reading_does_not_wait_for_a_writer_of_another_program(new_sqlite: NewDatabase) -> None:
    url = new_sqlite()
    repository = SqlRepository(url)
    path = make_url(url).database
    assert path is not None
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        repository.check()
        assert repository.lease("k", "w", 1, 1) == []
        other.execute("ROLLBACK")
    other.close()
    repository.close()

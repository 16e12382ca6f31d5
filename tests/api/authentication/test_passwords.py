"""Users with passwords: correct, wrong, changed, removed and guessed ones."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tams.api.authentication.basic import Passwords
from tams.config import Settings
from tams.services.access.passwords import hash_password
from tams.services.access.users import User, UsersFile
from tests.support.credentials import PASSWORD, basic

LONG = {"REMOTE_ADDR": "192.0.2.1"}


@pytest.fixture
def users(settings: Settings) -> UsersFile:
    assert settings.users_file is not None
    return UsersFile(settings.users_file)


def status(client: FlaskClient, name: str, password: str = PASSWORD, address: str = "192.0.2.1") -> int:
    return client.get("/flows", headers=basic(name, password), environ_base={"REMOTE_ADDR": address}).status_code


def test_the_correct_password_is_accepted(client: FlaskClient) -> None:
    assert status(client, "read") == 200


def test_names_and_passwords_in_any_language(client: FlaskClient, users: UsersFile) -> None:
    users.add(User("zoë", hash_password("Übung macht: den Meister ✓"), frozenset({"tams-api/read"}), frozenset()))
    assert status(client, "zoë", "Übung macht: den Meister ✓") == 200


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("read", "wrong horse battery staple"),
        ("read", PASSWORD + " "),
        ("unknown", PASSWORD),
        ("READ", PASSWORD),
        ("", PASSWORD),
    ],
)
def test_the_response_does_not_say_which_part_was_wrong(client: FlaskClient, name: str, password: str) -> None:
    answer = client.get("/flows", headers=basic(name, password))
    assert answer.status_code == 401
    assert answer.json["summary"] == "the user name or the password is wrong"


def test_an_unknown_user_takes_as_long_as_a_wrong_password(settings: Settings, users: UsersFile) -> None:
    def seconds(name: str) -> float:
        taken = []
        for number in range(5):
            passwords = Passwords(users)
            began = time.process_time()
            with pytest.raises(Exception, match="wrong"):
                passwords.principal(name, f"wrong password {number}", "192.0.2.1")
            taken.append(time.process_time() - began)
        return min(taken)

    known, unknown = seconds("read"), seconds("unknown")
    assert 0.5 < known / unknown < 2


def test_a_correct_pair_is_not_hashed_again(users: UsersFile) -> None:
    passwords = Passwords(users)
    passwords.principal("read", PASSWORD, "192.0.2.1")
    began = time.process_time()
    for _ in range(100):
        passwords.principal("read", PASSWORD, "192.0.2.1")
    assert (time.process_time() - began) / 100 < 0.002


def test_a_changed_password_is_in_force_at_once(client: FlaskClient, users: UsersFile) -> None:
    assert status(client, "read") == 200
    users.set_password("read", hash_password("another password"))
    assert status(client, "read") == 401
    assert status(client, "read", "another password") == 200


def test_a_removed_user_is_refused_at_once(client: FlaskClient, users: UsersFile) -> None:
    assert status(client, "read") == 200
    users.remove("read")
    assert status(client, "read") == 401


def test_a_removed_scope_is_gone_at_once(client: FlaskClient, users: UsersFile) -> None:
    assert status(client, "read") == 200
    text = users.path.read_text()
    users.path.write_text(text.replace('"tams-api/read"', '"tams-api/write"', 2))
    assert status(client, "read") == 403


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"users": {"read": {}}}', '{"users": {"a": {"password": "x", "scopes": ["all"]}}}']
)
def test_an_unreadable_file_of_users_is_503(client: FlaskClient, users: UsersFile, content: str) -> None:
    users.path.write_text(content)
    answer = client.get("/flows", headers=basic("read"))
    assert answer.status_code == 503
    assert str(users.path) not in answer.text


class TestGuessing:
    """Guessing passwords (brute force) is slowed down."""

    def test_a_sixth_wrong_password_is_429(self, client: FlaskClient) -> None:
        assert [status(client, "read", f"guess number {number}") for number in range(7)] == [401] * 5 + [429] * 2

    def test_the_correct_password_then_has_to_wait_too(self, client: FlaskClient) -> None:
        for number in range(5):
            status(client, "read", f"guess number {number}")
        answer = client.get("/flows", headers=basic("read"), environ_base=LONG)
        assert answer.status_code == 429
        assert 0 < int(answer.headers["Retry-After"]) <= 12

    def test_a_user_who_was_correct_a_moment_ago_is_not_shut_out(self, client: FlaskClient) -> None:
        assert status(client, "read") == 200
        for number in range(10):
            status(client, "read", f"guess number {number}")
        assert status(client, "read") == 200

    def test_other_users_and_addresses_are_not_shut_out(self, client: FlaskClient) -> None:
        for number in range(10):
            status(client, "read", f"guess number {number}")
        assert status(client, "read", address="192.0.2.2") == 200
        assert status(client, "write") == 403

    def test_many_names_from_one_address_are_429(self, client: FlaskClient) -> None:
        tried = [status(client, f"user{number}", "a common password") for number in range(40)]
        assert tried[:30] == [401] * 30
        assert 429 in tried[30:]

    def test_correct_passwords_do_not_count(self, client: FlaskClient, app: Flask) -> None:
        assert [status(client, name) for name in ("read", "write", "delete", "admin") * 10] == [200, 403, 403, 403] * 10

    def test_a_password_of_any_length_costs_little(self, client: FlaskClient) -> None:
        began = time.perf_counter()
        assert status(client, "read", "x" * 5000) == 401
        assert time.perf_counter() - began < 1


def test_the_file_of_users_is_in_the_data_directory(settings: Settings) -> None:
    assert settings.users_file == Path(settings.data_dir) / "users.json"

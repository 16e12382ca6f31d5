"""The file of users: hashes only, changed as a whole, by any number of processes."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from tams.config import ConfigurationError, Settings
from tams.domain.errors import Invalid, NotFound
from tams.domain.principals import READ, WRITE
from tams.services.access.configured_users import check_users
from tams.services.access.passwords import LONGEST_PASSWORD, hash_password, is_password
from tams.services.access.users import User, UsersFile, UsersUnreadable

PASSWORD = "correct horse battery staple"


@pytest.fixture
def file(tmp_path: Path) -> UsersFile:
    return UsersFile(tmp_path / "users.json")


def user(name: str, password: str = "$argon2id$…") -> User:
    return User(name, password, frozenset({READ}), frozenset({"news"}))


def test_a_password_is_kept_as_a_salted_hash() -> None:
    first, second = hash_password(PASSWORD), hash_password(PASSWORD)
    assert first != second
    assert first.startswith("$argon2id$")
    assert PASSWORD not in first
    assert is_password(PASSWORD, first)
    assert not is_password(PASSWORD.upper(), first)


@pytest.mark.parametrize("password_hash", ["", "plain text", "$argon2id$", "$1$abc$def", PASSWORD])
def test_what_is_no_hash_matches_nothing(password_hash: str) -> None:
    assert not is_password(PASSWORD, password_hash)


@pytest.mark.parametrize("password", ["", "x" * 11, "x" * (LONGEST_PASSWORD + 1)])
def test_a_password_is_neither_short_nor_endless(password: str) -> None:
    with pytest.raises(Invalid):
        hash_password(password)


@pytest.mark.parametrize("name", ["", "a:b", "a\nb", " a", "a ", "x" * 129, "a\x00"])
def test_a_name_fits_a_header_and_a_log_line(file: UsersFile, name: str) -> None:
    with pytest.raises(Invalid):
        file.add(user(name))


def test_users_are_added_changed_and_removed(file: UsersFile) -> None:
    file.add(user("alice"))
    file.add(user("bob"))
    file.set_password("bob", "another hash")
    file.remove("alice")
    assert file.users() == {"bob": user("bob", "another hash")}


def test_what_is_not_there_cannot_be_changed(file: UsersFile) -> None:
    file.add(user("alice"))
    with pytest.raises(Invalid, match="already"):
        file.add(user("alice"))
    with pytest.raises(NotFound):
        file.remove("bob")
    with pytest.raises(NotFound):
        file.set_password("bob", "hash")


def test_a_change_is_seen_by_who_has_read_before(file: UsersFile) -> None:
    file.add(user("alice"))
    other = UsersFile(file.path)
    assert set(other.users()) == {"alice"}
    file.add(user("bob"))
    assert set(other.users()) == {"alice", "bob"}


def test_nobody_else_can_read_the_file(file: UsersFile) -> None:
    file.add(user("alice"))
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    file.path.chmod(0o640)
    file.add(user("bob"))
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o640


def test_many_at_once_lose_nothing(file: UsersFile) -> None:
    threads = [
        threading.Thread(target=lambda number=number: UsersFile(file.path).add(user(f"user{number}")))
        for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(file.users()) == 20


def test_a_missing_file_is_no_empty_one(file: UsersFile) -> None:
    with pytest.raises(UsersUnreadable):
        file.users()


class TestStart:
    """`TAMS_AUTH=basic` without users is refused at the start, because no client could log in."""

    @pytest.fixture
    def settings(self, file: UsersFile) -> Settings:
        return Settings.from_env({"TAMS_AUTH": "basic", "TAMS_USERS_FILE": str(file.path)})

    def test_without_users_it_is_refused(self, settings: Settings, file: UsersFile) -> None:
        with pytest.raises(ConfigurationError, match="holds no user: add the first with tams users add"):
            check_users(settings)
        file.path.write_text('{"users": {}}')
        with pytest.raises(ConfigurationError, match="holds no user"):
            check_users(settings)

    def test_a_broken_file_is_refused(self, settings: Settings, file: UsersFile) -> None:
        file.path.write_text("{")
        with pytest.raises(ConfigurationError, match="is not a file of users"):
            check_users(settings)

    def test_one_user_is_enough(self, settings: Settings, file: UsersFile) -> None:
        file.add(User("alice", "hash", frozenset({WRITE}), frozenset()))
        check_users(settings)

    def test_without_basic_no_file_is_needed(self, file: UsersFile) -> None:
        check_users(Settings.from_env({"TAMS_AUTH": "token", "TAMS_USERS_FILE": str(file.path)}))

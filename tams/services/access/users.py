"""The file of users with passwords: `tams users` writes it, and each process reads it again after a change.

The file is JSON: `{"users": {name: {"password": hash, "scopes": [...], "groups": [...]}}}`. Only the argon2id hash of a
password is stored.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import orjson

from tams.config.state_files import create_private_directory
from tams.domain.errors import Invalid, NotFound
from tams.domain.principals import SCOPES

LONGEST_NAME: Final = 128
"""The largest number of characters in a user's name."""


@dataclass(frozen=True, slots=True)
class User:
    """A user who logs in by a password. `password` is its hash."""

    name: str
    password: str
    scopes: frozenset[str]
    groups: frozenset[str]


class UsersUnreadable(Exception):
    """The file of users cannot be read; `str(error)` says which file, and why."""


def check_name(name: str) -> str:
    """Return the name of a user.

    Raises:
        Invalid: Basic authentication or a line of the log could not carry this name.
    """
    if not 0 < len(name) <= LONGEST_NAME or ":" in name or not name.isprintable() or name != name.strip():
        raise Invalid(f"a user's name has 1 to {LONGEST_NAME} printable characters and no colon")
    return name


class UsersFile:
    """A file of users. Safe to use from many threads, and to change from many processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._version: tuple[int, int, int] | None = None
        self._users: Mapping[str, User] = {}

    def users(self) -> Mapping[str, User]:
        """Return the users by name, as the file holds them now.

        Raises:
            UsersUnreadable: The file does not exist, or cannot be read.
        """
        try:
            version = _version(self.path)
            with self._lock:
                if version != self._version:
                    self._users = _parse(self.path.read_bytes())
                    self._version = version
                return self._users
        except OSError as error:
            raise UsersUnreadable(f"{self.path} cannot be read ({error.strerror})") from error
        except ValueError as error:
            raise UsersUnreadable(f"{self.path} is not a file of users: {error}") from error

    def add(self, user: User) -> None:
        """Add a user.

        Raises:
            Invalid: The name is not allowed, or there is a user with this name.
        """

        def edit(users: dict[str, User]) -> None:
            if user.name in users:
                raise Invalid(f"there is a user {user.name} already; choose another name")
            users[check_name(user.name)] = user

        self._change(edit)

    def set_password(self, name: str, password: str) -> None:
        """Replace the hash of a user's password. Raises NotFound if the user does not exist."""

        def edit(users: dict[str, User]) -> None:
            users[name] = replace(_existing(users, name), password=password)

        self._change(edit)

    def set_groups(self, name: str, groups: frozenset[str]) -> None:
        """Replace the groups of a user. Raises NotFound if the user does not exist."""

        def edit(users: dict[str, User]) -> None:
            users[name] = replace(_existing(users, name), groups=groups)

        self._change(edit)

    def set_scopes(self, name: str, scopes: frozenset[str]) -> None:
        """Replace the scopes of a user. Raises NotFound if the user does not exist."""

        def edit(users: dict[str, User]) -> None:
            users[name] = replace(_existing(users, name), scopes=scopes)

        self._change(edit)

    def remove(self, name: str) -> None:
        """Remove a user. Raises NotFound if the user does not exist."""
        self._change(lambda users: users.__delitem__(_existing(users, name).name))

    def _change(self, edit: Callable[[dict[str, User]], None]) -> None:
        with _locked(self.path):
            users = dict(self.users()) if self.path.exists() else {}
            edit(users)
            _replace(self.path, _serialized(users))


def _existing(users: Mapping[str, User], name: str) -> User:
    if name not in users:
        raise NotFound(f"there is no user {name}")
    return users[name]


def _version(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _parse(content: bytes) -> dict[str, User]:
    """Return the users in the content of a file. Raises ValueError with the reason if it is malformed."""
    document = orjson.loads(content)
    entries = document.get("users") if isinstance(document, dict) else None
    if not isinstance(entries, dict):
        raise ValueError("it has no object `users`")  # noqa: TRY004 - one type of error for every fault in the file
    return {name: _parse_user(name, entry) for name, entry in entries.items()}


def _parse_user(name: str, entry: Any) -> User:
    if not isinstance(entry, dict) or not isinstance(entry.get("password"), str):
        raise ValueError(f"the user {name} has no password")  # noqa: TRY004 - see above
    scopes, groups = (_strings(name, entry.get(property_name, [])) for property_name in ("scopes", "groups"))
    if not scopes <= set(SCOPES):
        raise ValueError(f"the user {name} has scopes other than {', '.join(SCOPES)}")
    return User(name, entry["password"], scopes, groups)


def _strings(name: str, value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"the scopes and groups of the user {name} have to be lists of strings")
    return frozenset(value)


def _serialized(users: Mapping[str, User]) -> bytes:
    entries = {
        name: {"password": user.password, "scopes": sorted(user.scopes), "groups": sorted(user.groups)}
        for name, user in sorted(users.items())
    }
    return orjson.dumps({"users": entries}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _replace(path: Path, content: bytes) -> None:
    """Replace the file by one with this content, atomically; a new file is readable by its owner only."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            # An operator may have made the file readable by the server's group, which has to stay so.
            Path(temporary).chmod(path.stat().st_mode & 0o777)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other processes and threads from changing the file."""
    create_private_directory(path.parent)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

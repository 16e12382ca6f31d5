"""Users with passwords: a file that `tams users` writes and every process reads again when it has changed.

The file is JSON: `{"users": {name: {"password": hash, "scopes": [...], "groups": [...]}}}`. A password is kept as an
argon2id hash only.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from tams.config import ConfigurationError, Settings
from tams.config.authentication import BASIC
from tams.domain.errors import Invalid, NotFound
from tams.domain.principals import SCOPES

if TYPE_CHECKING:
    import argon2

SHORTEST_PASSWORD: Final = 12
"""Characters that a password has at least; nothing else is asked of it."""

LONGEST_PASSWORD: Final = 1024
"""Characters that a password has at most: hashing is not to be a way to keep the store busy."""

LONGEST_NAME: Final = 128
"""Characters that a user's name has at most."""


@dataclass(frozen=True, slots=True)
class User:
    """One who may prove who they are by a password. `password` is its hash."""

    name: str
    password: str
    scopes: frozenset[str]
    groups: frozenset[str]


class UsersUnreadable(Exception):
    """The file of users cannot be read; `str(error)` says which and why."""


def hash_password(password: str) -> str:
    """The hash to keep. `Invalid` where the password is too short or too long."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise Invalid(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    return _hasher().hash(password)


def is_password(password: str, kept: str) -> bool:
    """Whether the password is the one that `kept` is the hash of. Takes some 20 ms, whatever the answer."""
    import argon2

    if len(password) > LONGEST_PASSWORD:
        return False
    try:
        return _hasher().verify(kept, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


@cache
def _hasher() -> argon2.PasswordHasher:
    """With OWASP's parameters for argon2id: 19 MiB, so that logins cannot use up a small machine's memory."""
    import argon2

    return argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def check_name(name: str) -> str:
    """The name of a user. `Invalid` where basic authentication or a log line could not carry it."""
    if not 0 < len(name) <= LONGEST_NAME or ":" in name or not name.isprintable() or name != name.strip():
        raise Invalid(f"a user's name has 1 to {LONGEST_NAME} printable characters and no colon")
    return name


class UsersFile:
    """The file. Safe to use from many threads and, for changes, from many processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._version: tuple[int, int, int] | None = None
        self._users: Mapping[str, User] = {}

    def users(self) -> Mapping[str, User]:
        """The users by name, as the file has them now. `UsersUnreadable` where it is not there or not to be read."""
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
            raise UsersUnreadable(f"{self.path} is no file of users: {error}") from error

    def add(self, user: User) -> None:
        """Add a user. `Invalid` where there is one of this name."""

        def edit(users: dict[str, User]) -> None:
            if user.name in users:
                raise Invalid(f"there is a user {user.name} already")
            users[check_name(user.name)] = user

        self._change(edit)

    def set_password(self, name: str, password: str) -> None:
        """Replace the hash. `NotFound`."""

        def edit(users: dict[str, User]) -> None:
            known = _known(users, name)
            users[name] = User(name, password, known.scopes, known.groups)

        self._change(edit)

    def set_groups(self, name: str, groups: frozenset[str]) -> None:
        """Replace the groups. `NotFound`."""

        def edit(users: dict[str, User]) -> None:
            users[name] = replace(_known(users, name), groups=groups)

        self._change(edit)

    def remove(self, name: str) -> None:
        """Remove a user. `NotFound`."""
        self._change(lambda users: users.__delitem__(_known(users, name).name))

    def _change(self, edit: Callable[[dict[str, User]], None]) -> None:
        with _only_one(self.path):
            users = dict(self.users()) if self.path.exists() else {}
            edit(users)
            _replace(self.path, _written(users))


def users_of(settings: Settings) -> UsersFile:
    """The file that the settings name."""
    if settings.users_file is None:
        raise ValueError("there is no file of users")
    return UsersFile(settings.users_file)


def check_users(settings: Settings) -> None:
    """Raise ConfigurationError where nobody could log in by a password, though `basic` is asked for."""
    if BASIC not in (settings.auth or ()):
        return
    file = users_of(settings)
    try:
        empty = not file.path.exists() or not file.users()
    except UsersUnreadable as error:
        raise ConfigurationError(f"TAMS_AUTH names basic, but {error}: mend that, then start again.") from error
    if empty:
        raise ConfigurationError(
            f"TAMS_AUTH names basic, but {file.path} holds no user: add the first with tams users add NAME --scope "
            "read, or name another file with TAMS_USERS_FILE."
        )


def _known(users: Mapping[str, User], name: str) -> User:
    if name not in users:
        raise NotFound(f"there is no user {name}")
    return users[name]


def _version(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _parse(content: bytes) -> dict[str, User]:
    """The users in the file's content. `ValueError` with the reason."""
    document = orjson.loads(content)
    entries = document.get("users") if isinstance(document, dict) else None
    if not isinstance(entries, dict):
        raise ValueError("it has no object `users`")  # noqa: TRY004 - one error for whatever is wrong with the file
    return {name: _parse_user(name, entry) for name, entry in entries.items()}


def _parse_user(name: str, entry: Any) -> User:
    if not isinstance(entry, dict) or not isinstance(entry.get("password"), str):
        raise ValueError(f"the user {name} has no password")  # noqa: TRY004 - see above
    scopes, groups = (_texts(name, entry.get(key, [])) for key in ("scopes", "groups"))
    if not scopes <= set(SCOPES):
        raise ValueError(f"the user {name} has scopes that are none of {', '.join(SCOPES)}")
    return User(name, entry["password"], scopes, groups)


def _texts(name: str, value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"the scopes and groups of the user {name} have to be lists of texts")
    return frozenset(value)


def _written(users: Mapping[str, User]) -> bytes:
    entries = {
        name: {"password": user.password, "scopes": sorted(user.scopes), "groups": sorted(user.groups)}
        for name, user in sorted(users.items())
    }
    return orjson.dumps({"users": entries}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _replace(path: Path, content: bytes) -> None:
    """Put the whole content in the file's place at once, readable for its owner only."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            # Whoever lets the server's group read the file wants that to stay.
            Path(temporary).chmod(path.stat().st_mode & 0o777)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Hold everybody else off who wants to change the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

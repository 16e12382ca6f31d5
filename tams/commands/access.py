"""What `tams users` and `tams tokens` do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tams.config import Settings
    from tams.services.access.users import UsersFile
    from tams.services.store import Store

_SECONDS_OF_A_DAY = 86400
_MICROSECONDS = 1_000_000
_SCOPES = {word: f"tams-api/{word}" for word in ("read", "write", "delete", "admin")}

_data_dir = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the database lies, and the users.  [default: TAMS_DATA_DIR, or ./data]",
)
_scopes = click.option(
    "--scope",
    "scopes",
    type=click.Choice(list(_SCOPES)),
    multiple=True,
    required=True,
    help="What may be done; none includes another. Can be repeated.",
)
_groups = click.option("--group", "groups", multiple=True, help="A group of theirs. Can be repeated.")
_password_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from the standard input.")


@click.group()
def users() -> None:
    """Look after users with passwords (`basic` in TAMS_AUTH).

    They are kept in the file TAMS_USERS_FILE. Servers that run notice a change at the next request.
    """


@users.command("add")
@_data_dir
@_scopes
@_groups
@_password_stdin
@click.argument("name")
def add_user(
    data_dir: Path | None, scopes: tuple[str, ...], groups: tuple[str, ...], password_stdin: bool, name: str
) -> None:
    """Add the user NAME, and ask for a password."""
    from tams.services.access.passwords import hash_password
    from tams.services.access.users import User, check_name

    file = _users_file(data_dir)

    def add() -> None:
        check_name(name)
        granted = frozenset(_SCOPES[word] for word in scopes)
        file.add(User(name, hash_password(_password(from_stdin=password_stdin)), granted, frozenset(groups)))

    _or_say_why(add)
    click.echo(f"Added the user {name} to {file.path}.")


@users.command("passwd")
@_data_dir
@_password_stdin
@click.argument("name")
def change_password(data_dir: Path | None, password_stdin: bool, name: str) -> None:
    """Change the password of the user NAME."""
    from tams.services.access.passwords import hash_password

    file = _users_file(data_dir)
    _or_say_why(lambda: file.set_password(name, hash_password(_password(from_stdin=password_stdin))))
    click.echo(f"Changed the password of {name}.")


@users.command("groups")
@_data_dir
@click.argument("name")
@click.argument("groups", nargs=-1, metavar="[GROUP]...")
def change_groups(data_dir: Path | None, name: str, groups: tuple[str, ...]) -> None:
    """Put the user NAME into these groups, and out of all others."""
    file = _users_file(data_dir)
    _or_say_why(lambda: file.set_groups(name, frozenset(groups)))
    click.echo(f"{name} is in {', '.join(sorted(set(groups))) or 'no group'}.")


@users.command("list")
@_data_dir
def list_users(data_dir: Path | None) -> None:
    """List the users, their scopes and their groups."""
    file = _users_file(data_dir)

    def show() -> None:
        for user in file.users().values() if file.path.exists() else ():
            click.echo("\t".join((user.name, _words(user.scopes), ",".join(sorted(user.groups)))))

    _or_say_why(show)


@users.command("remove")
@_data_dir
@click.argument("name")
def remove_user(data_dir: Path | None, name: str) -> None:
    """Remove the user NAME, whose password is not accepted any more from now on."""
    file = _users_file(data_dir)
    _or_say_why(lambda: file.remove(name))
    click.echo(f"Removed the user {name}.")


@click.group()
def tokens() -> None:
    """Look after long-lived tokens (`token` in TAMS_AUTH).

    A token is accepted as `access_token` in a URL, or as a bearer token. The store keeps hashes of them only.
    """


@tokens.command("create")
@_data_dir
@_scopes
@_groups
@click.option(
    "--days", type=click.IntRange(1, 36500), default=365, show_default=True, help="After how many days it expires."
)
@click.argument("name")
def create_token(data_dir: Path | None, scopes: tuple[str, ...], groups: tuple[str, ...], days: int, name: str) -> None:
    """Make a token for NAME, who or what it is for, and print it: this once and never again."""
    from tams.services.access import tokens as service
    from tams.services.access.users import check_name

    def create(store: Store) -> None:
        granted = [_SCOPES[word] for word in scopes]
        token, text = service.create(store, check_name(name), granted, groups, days * _SECONDS_OF_A_DAY)
        click.echo(f"Token {token.id} for {name} expires {_date(token.expires)}.", err=True)
        click.echo(text)

    _with_store(data_dir, create)


@tokens.command("list")
@_data_dir
def list_tokens(data_dir: Path | None) -> None:
    """List the tokens: id, name, scopes, groups, and when they expire."""
    from tams.services.access import tokens as service

    def show(store: Store) -> None:
        for token in service.list_tokens(store):
            ended = " (expired)" if token.has_expired(store.now()) else ""
            groups = ",".join(sorted(token.groups))
            click.echo("\t".join((token.id, token.name, _words(token.scopes), groups, _date(token.expires) + ended)))

    _with_store(data_dir, show)


@tokens.command("revoke")
@_data_dir
@click.argument("token_id", metavar="ID")
def revoke_token(data_dir: Path | None, token_id: str) -> None:
    """End the token with this ID. Servers that run accept it for ten more seconds at most."""
    from tams.services.access import tokens as service

    _with_store(data_dir, lambda store: service.revoke(store, token_id))
    click.echo(f"Revoked the token {token_id}.")


def _settings(data_dir: Path | None) -> Settings:
    from tams.config import Settings

    overrides: dict[str, Any] = {} if data_dir is None else {"data_dir": data_dir}
    settings = Settings.from_env(**overrides)
    settings.prepare_data_dir()
    return settings


def _users_file(data_dir: Path | None) -> UsersFile:
    from tams.services.access.configured_users import users_of

    return users_of(_settings(data_dir))


def _with_store(data_dir: Path | None, act: Callable[[Store], None]) -> None:
    from tams.app import open_store

    # No token has to do with media, whose backends may be out of reach from here.
    store = open_store(_settings(data_dir), storages={})
    try:
        _or_say_why(lambda: act(store))
    finally:
        store.repository.close()


def _or_say_why(act: Callable[[], Any]) -> None:
    """Do it, or end with the reason and exit code 1."""
    from tams.domain.errors import TamsError
    from tams.services.access.users import UsersUnreadable

    try:
        act()
    except (TamsError, UsersUnreadable) as error:
        click.echo(f"tams: {error}", err=True)
        sys.exit(1)


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    given: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return given


def _words(scopes: frozenset[str]) -> str:
    return ",".join(word for word, scope in _SCOPES.items() if scope in scopes)


def _date(microseconds: int | None) -> str:
    return "never" if microseconds is None else f"{datetime.fromtimestamp(microseconds / _MICROSECONDS, UTC):%Y-%m-%d}"

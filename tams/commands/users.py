"""`tams users`: the users who log in with a password."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tams.commands import options, tables
from tams.commands.options import granted_scopes, scope_words
from tams.commands.startup import refusals, start_without_media
from tams.services.access.configured_users import users_of
from tams.services.access.passwords import hash_password
from tams.services.access.users import User, UsersFile, check_name

_password_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


@click.group()
def users() -> None:
    """Manage users with passwords (`basic` in TAMS_AUTH).

    They are kept in the file TAMS_USERS_FILE. Running servers notice a change at the next request.
    """


@users.command("add")
@options.data_dir
@options.scopes
@options.role
@options.groups
@_password_stdin
@click.argument("name")
def add_command(
    data_dir: Path | None,
    scopes: tuple[str, ...],
    role: str | None,
    groups: tuple[str, ...],
    password_stdin: bool,
    name: str,
) -> None:
    """Add the user NAME, and ask for a password."""
    granted = granted_scopes(scopes, role)
    file = _users_file(data_dir)
    with refusals():
        check_name(name)
        file.add(User(name, hash_password(_password(from_stdin=password_stdin)), granted, frozenset(groups)))
    click.echo(f"Added the user {name} to {file.path}.")


@users.command("passwd")
@options.data_dir
@_password_stdin
@click.argument("name")
def passwd_command(data_dir: Path | None, password_stdin: bool, name: str) -> None:
    """Change the password of the user NAME."""
    file = _users_file(data_dir)
    with refusals():
        file.set_password(name, hash_password(_password(from_stdin=password_stdin)))
    click.echo(f"Changed the password of {name}.")


@users.command("groups")
@options.data_dir
@click.argument("name")
@click.argument("groups", nargs=-1, metavar="[GROUP]...")
def groups_command(data_dir: Path | None, name: str, groups: tuple[str, ...]) -> None:
    """Put the user NAME into these groups, and out of all others."""
    file = _users_file(data_dir)
    with refusals():
        file.set_groups(name, frozenset(groups))
    click.echo(f"{name} is in {', '.join(sorted(set(groups))) or 'no group'}.")


@users.command("scopes")
@options.data_dir
@options.scopes
@options.role
@click.argument("name")
def scopes_command(data_dir: Path | None, scopes: tuple[str, ...], role: str | None, name: str) -> None:
    """Give the user NAME these scopes, and take away all others."""
    granted = granted_scopes(scopes, role)
    file = _users_file(data_dir)
    with refusals():
        file.set_scopes(name, granted)
    click.echo(f"{name} has the scopes {', '.join(scope_words(granted))}.")


@users.command("list")
@options.data_dir
@tables.as_json
def list_command(data_dir: Path | None, as_json: bool) -> None:
    """List the users, with their scopes and groups."""
    file = _users_file(data_dir)
    with refusals():
        users = file.users().values() if file.path.exists() else ()
        rows = [
            {"name": user.name, "scopes": scope_words(user.scopes), "groups": sorted(user.groups)} for user in users
        ]
    tables.show({name: name for name in ("name", "scopes", "groups")}, rows, as_json=as_json)


@users.command("remove")
@options.data_dir
@click.argument("name")
def remove_command(data_dir: Path | None, name: str) -> None:
    """Remove the user NAME. The password is refused from now on."""
    file = _users_file(data_dir)
    with refusals():
        file.remove(name)
    click.echo(f"Removed the user {name}.")


def _users_file(data_dir: Path | None) -> UsersFile:
    return users_of(start_without_media(data_dir))


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password

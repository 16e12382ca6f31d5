"""`tams tokens`: long-lived tokens for players and machines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tams.app import opened_store
from tams.commands import options, tables
from tams.commands.options import granted_scopes, scope_words
from tams.commands.startup import refusals, start_without_media
from tams.services.access import tokens as service
from tams.services.access.users import check_name

if TYPE_CHECKING:
    from tams.services.store import Store

_SECONDS_OF_A_DAY = 86400
_MICROSECONDS = 1_000_000


@click.group()
def tokens() -> None:
    """Manage long-lived tokens (`token` in TAMS_AUTH).

    A token is accepted as `access_token` in a URL, or as a bearer token. The store keeps only a hash of it.
    """


@tokens.command("create")
@options.data_dir
@options.scopes
@options.role
@options.groups
@click.option(
    "--days", type=click.IntRange(1, 36500), default=365, show_default=True, help="Days until the token expires."
)
@click.argument("name")
def create_command(
    data_dir: Path | None, scopes: tuple[str, ...], role: str | None, groups: tuple[str, ...], days: int, name: str
) -> None:
    """Create a token for the client NAME, and print it. It cannot be shown again."""
    granted = granted_scopes(scopes, role)
    with _opened_store(data_dir) as store:
        token, text = service.create(store, check_name(name), granted, groups, days * _SECONDS_OF_A_DAY)
        click.echo(f"Token {token.id} for {name} expires {_date(token.expires)}.", err=True)
        click.echo(text)


@tokens.command("list")
@options.data_dir
@tables.as_json
def list_command(data_dir: Path | None, as_json: bool) -> None:
    """List the tokens: id, name, scopes, groups, and date of expiry."""
    with _opened_store(data_dir) as store:
        rows = [_row(token, store.now()) for token in service.list_tokens(store)]
    columns = {name: name for name in ("id", "name", "scopes", "groups", "expires", "status")}
    tables.show(columns, rows, as_json=as_json)


@tokens.command("revoke")
@options.data_dir
@click.argument("token_id", metavar="ID")
def revoke_command(data_dir: Path | None, token_id: str) -> None:
    """Revoke the token with this ID. Running servers accept it for at most ten more seconds."""
    with _opened_store(data_dir) as store:
        service.revoke(store, token_id)
    click.echo(f"Revoked the token {token_id}.")


@contextmanager
def _opened_store(data_dir: Path | None) -> Iterator[Store]:
    with opened_store(start_without_media(data_dir), storages={}) as store, refusals():
        yield store


def _date(microseconds: int | None) -> str:
    return "never" if microseconds is None else f"{datetime.fromtimestamp(microseconds / _MICROSECONDS, UTC):%Y-%m-%d}"


def _row(token: service.Token, now: int) -> dict[str, object]:
    return {
        "id": token.id,
        "name": token.name,
        "scopes": scope_words(token.scopes),
        "groups": sorted(token.groups),
        "created": _date(token.created),
        "expires": _date(token.expires),
        "status": "expired" if token.has_expired(now) else "valid",
    }

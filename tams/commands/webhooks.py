"""`tams webhooks`: listing and testing webhooks, and sending again after an error."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tams.app import opened_store
from tams.commands import options, tables
from tams.commands.startup import refusals, start_without_media
from tams.domain.clock import format_time
from tams.domain.errors import NotFound
from tams.services.webhooks import webhooks as service
from tams.services.webhooks.attempts import load_attempt
from tams.services.webhooks.queue import waiting
from tams.worker.posting import Poster, PostFailed

if TYPE_CHECKING:
    from tams.config import Settings
    from tams.domain.webhooks import Webhook
    from tams.repository.port import Read
    from tams.services.store import Store


_COLUMNS = {
    "id": "id",
    "status": "status",
    "waiting": "waiting",
    "next_attempt": "next attempt",
    "url": "url",
    "last_error": "last error",
}


@click.group()
def webhooks() -> None:
    """Manage webhooks, the receivers of events."""


@webhooks.command("list")
@options.data_dir
@tables.as_json
def list_command(data_dir: Path | None, as_json: bool) -> None:
    """List the webhooks: status, waiting events, the last error and the next attempt if there is one, and URL."""
    sys.exit(show(start_without_media(data_dir), as_json=as_json))


@webhooks.command("show")
@options.data_dir
@tables.as_json
@click.argument("webhook_id", metavar="ID")
def show_command(data_dir: Path | None, as_json: bool, webhook_id: str) -> None:
    """Show all that is known about the webhook with this ID, except its secret."""
    sys.exit(show_one(start_without_media(data_dir), webhook_id, as_json=as_json))


@webhooks.command("test")
@options.data_dir
@click.argument("webhook_id", metavar="ID")
def test_command(data_dir: Path | None, webhook_id: str) -> None:
    """Send an event of the type `webhooks/test` to the webhook with this ID, and print the answer.

    It is signed and sent as any event, from this machine, past the queue: events that wait go on waiting, and the
    status of the webhook stays as it is. Exits with code 1 unless the receiver accepts it.
    """
    sys.exit(test(start_without_media(data_dir), webhook_id))


@webhooks.command("replay")
@options.data_dir
@click.option("--all", "every", is_flag=True, help="Replay all webhooks in error, in place of those with an ID.")
@click.argument("webhook_ids", nargs=-1, metavar="[ID]...")
def replay_command(data_dir: Path | None, every: bool, webhook_ids: tuple[str, ...]) -> None:
    """Resume webhooks in error: send the waiting events first, in order, then new ones.

    Has the same effect as a PUT by their owner with the status `created`. Webhooks that are not in error stay as they
    are.
    """
    if bool(webhook_ids) == every:
        raise click.UsageError("Name the webhooks, or write --all.")
    sys.exit(replay(start_without_media(data_dir), webhook_ids, every=every))


def show(settings: Settings, *, as_json: bool) -> int:
    """Print a line for each webhook; return the exit code."""
    with opened_store(settings, storages={}) as store, store.repository.read() as read:
        rows = [_row(read, webhook) for webhook in service.load_all(read)]
    tables.show(_COLUMNS, rows, as_json=as_json)
    return 0


def show_one(settings: Settings, webhook_id: str, *, as_json: bool) -> int:
    """Print one webhook; return the exit code."""
    with opened_store(settings, storages={}) as store, refusals(), store.repository.read() as read:
        webhook = _existing(read, webhook_id)
        row = _row(read, webhook) | {"owner": webhook.owner, "groups": list(webhook.groups), **webhook.document}
    if as_json:
        tables.show({}, [row], as_json=True)
        return 0
    rows = [{"name": name, "value": value} for name, value in row.items() if value is not None]
    tables.show({"name": "property", "value": "value"}, rows, as_json=False)
    return 0


def test(settings: Settings, webhook_id: str) -> int:
    """Send a test event to a webhook, and print the answer; return the exit code."""
    with opened_store(settings, storages={}) as store, refusals():
        with store.repository.read() as read:
            webhook = _existing(read, webhook_id)
        try:
            answer = Poster(settings, store.now).post_test_event(webhook)
        except PostFailed as error:
            click.echo(f"{webhook.url}: FAILED: {error}")
            return 1
    click.echo(f"{webhook.url}: {'ok' if answer.refusal is None else 'FAILED'}: the receiver answered {answer.status}")
    return int(answer.refusal is not None)


def replay(settings: Settings, webhook_ids: Sequence[str], *, every: bool) -> int:
    """Take webhooks out of the status `error`, the named ones or all; return the exit code."""
    failed = False
    with opened_store(settings, storages={}) as store:
        counts = {webhook.id: count for webhook, count in _with_counts(store) if not every or webhook.status == "error"}
        for webhook_id in counts if every else webhook_ids:
            try:
                if service.replay(store, webhook_id):
                    click.echo(f"{webhook_id}: {counts.get(webhook_id, 0)} waiting event(s) are sent from now on")
                else:
                    click.echo(f"{webhook_id}: not in error, nothing to do")
            except NotFound as error:
                failed = True
                click.echo(f"{webhook_id}: FAILED: {error}")
    return int(failed)


def _with_counts(store: Store) -> list[tuple[Webhook, int]]:
    """Return all webhooks, each with the number of events that wait for it."""
    with store.repository.read() as read:
        return [(webhook, waiting(read, webhook.id)) for webhook in service.load_all(read)]


def _row(read: Read, webhook: Webhook) -> dict[str, object]:
    attempt = load_attempt(read, webhook.id) if webhook.sends else None
    error = webhook.error
    return {
        "id": webhook.id,
        "status": webhook.status,
        "waiting": waiting(read, webhook.id),
        "failures": attempt.failures if attempt else None,
        "last_error": error["summary"] if error else attempt.reason if attempt else None,
        "last_error_at": error["time"] if error else format_time(attempt.time) if attempt else None,
        "next_attempt": format_time(attempt.next) if attempt else None,
        "url": webhook.url,
    }


def _existing(read: Read, webhook_id: str) -> Webhook:
    webhook = service.load(read, webhook_id)
    if webhook is None:
        raise NotFound(f"there is no webhook {webhook_id}")
    return webhook

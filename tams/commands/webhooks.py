"""`tams webhooks`: listing webhooks, and sending again after an error."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tams.app import opened_store
from tams.commands import options
from tams.commands.startup import start_without_media
from tams.domain.errors import NotFound
from tams.services.webhooks import webhooks as service
from tams.services.webhooks.queue import waiting

if TYPE_CHECKING:
    from tams.config import Settings
    from tams.domain.webhooks import Webhook
    from tams.services.store import Store


@click.group()
def webhooks() -> None:
    """Manage webhooks, the receivers of events."""


@webhooks.command("list")
@options.data_dir
def list_command(data_dir: Path | None) -> None:
    """List the webhooks: id, status, number of waiting events, URL, and the error if there is one."""
    sys.exit(show(start_without_media(data_dir)))


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


def show(settings: Settings) -> int:
    """Print a line for each webhook; return the exit code."""
    with opened_store(settings, storages={}) as store:
        for webhook, count in _with_counts(store):
            click.echo(f"{webhook.id}  {webhook.status:8}  {count:7} waiting  {webhook.url}")
            if webhook.error is not None:
                click.echo(f"    since {webhook.error['time']}: {webhook.error['summary']}")
    return 0


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

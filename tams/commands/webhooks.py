"""What `tams webhooks` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tams.app import opened_store
from tams.domain.errors import NotFound
from tams.services.webhooks import webhooks
from tams.services.webhooks.queue import waiting

if TYPE_CHECKING:
    from tams.config import Settings
    from tams.domain.webhooks import Webhook
    from tams.services.store import Store


def show(settings: Settings) -> int:
    """Print a line for each webhook; the exit code."""
    with opened_store(settings) as store:
        for webhook, count in _every(store):
            click.echo(f"{webhook.id}  {webhook.status:8}  {count:7} waiting  {webhook.url}")
            if webhook.error is not None:
                click.echo(f"    since {webhook.error['time']}: {webhook.error['summary']}")
    return 0


def replay(settings: Settings, wanted: Sequence[str], *, every: bool) -> int:
    """Take webhooks out of the state `error`, those that are named or all; the exit code."""
    failed = False
    with opened_store(settings) as store:
        counts = {webhook.id: count for webhook, count in _every(store) if not every or webhook.status == "error"}
        for webhook_id in counts if every else wanted:
            try:
                if webhooks.replay(store, webhook_id):
                    click.echo(f"{webhook_id}: {counts.get(webhook_id, 0)} waiting event(s) are sent from now on")
                else:
                    click.echo(f"{webhook_id}: not in error, nothing to do")
            except NotFound as error:
                failed = True
                click.echo(f"{webhook_id}: FAILED: {error}")
    return int(failed)


def _every(store: Store) -> list[tuple[Webhook, int]]:
    """All webhooks, and how many events wait for each."""
    with store.repository.read() as read:
        return [(webhook, waiting(read, webhook.id)) for webhook in webhooks.load_all(read)]

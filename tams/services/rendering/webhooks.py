"""Webhooks as JSON."""

from __future__ import annotations

from typing import Any

from tams.domain.webhooks import Webhook


def webhook_json(webhook: Webhook) -> dict[str, Any]:
    """Return the webhook as `webhook-get.json` describes it, without the value of its key, which is secret."""
    body = {"id": webhook.id, **webhook.document, "status": webhook.status}
    return body if webhook.error is None else {**body, "error": webhook.error}

"""Events as JSON: the bodies that are sent to webhooks."""

from __future__ import annotations

from typing import Any

import orjson

from tams.domain.clock import format_time
from tams.domain.events import Event
from tams.domain.get_urls import UrlFilter
from tams.domain.segments import object_ids
from tams.domain.webhooks import Webhook
from tams.services.outbox import added_segments
from tams.services.rendering.fast_segments import json_array, segment_texts
from tams.services.rendering.get_urls import UrlPlan
from tams.services.store import Store


def event_json(store: Store, event: Event, webhook: Webhook) -> bytes:
    """Return the body that is sent to the webhook (specification, `webhooks`), filtered as the webhook asks for.

    Presigned URLs are made anew at each call.
    """
    body = {
        "event_timestamp": format_time(event.created),
        "event_type": event.type,
        "event": _event(store, event, webhook),
    }
    return orjson.dumps(body)


def _event(store: Store, event: Event, webhook: Webhook) -> dict[str, Any]:
    if event.type == "flows/segments_added":
        return {"flow_id": event.flow_id, "segments": _segments(store, event, webhook)}
    if event.type == "flows/segments_deleted":
        return {"flow_id": event.flow_id, **event.body}
    return event.body


def _segments(store: Store, event: Event, webhook: Webhook) -> orjson.Fragment:
    options = webhook.document
    labels = options.get("accept_get_urls")
    plan = UrlPlan(
        store,
        UrlFilter(
            labels=None if labels is None else frozenset(labels),
            storage_ids=frozenset(options.get("accept_storage_ids", ())) or None,
            presigned=options.get("presigned"),
            verbose=options.get("verbose_storage", False),
        ),
        store.settings.public_url or webhook.base_url,
        store.access_of(webhook.groups, admin=webhook.admin),
    )
    segments = added_segments(event)
    instances = {}
    if not plan.shows_nothing:
        with store.repository.read() as read:
            instances = read.instances(object_ids(segments))
    texts = segment_texts(
        segments, instances, plan, include_object_timerange=options.get("include_object_timerange", False)
    )
    return orjson.Fragment(json_array(texts))

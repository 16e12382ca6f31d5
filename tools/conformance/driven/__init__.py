"""The driven session: every operation of the document with its documented statuses, from creation to deletion."""

from __future__ import annotations

from collections.abc import Callable

from tools.conformance.driven import (
    deletion,
    flows,
    objects,
    profiles,
    properties,
    segments,
    service,
    sources,
    webhooks,
)
from tools.conformance.session import Session

STEPS: tuple[Callable[[Session], None], ...] = (
    service.service,
    service.storage_backends,
    webhooks.webhooks,
    profiles.profiles,
    profiles.profiled_flows,
    flows.flows,
    flows.refused_flows,
    flows.listed_flows,
    sources.sources,
    properties.source_properties,
    properties.flow_properties,
    properties.read_only,
    properties.flow_collection,
    segments.storage,
    segments.segments,
    segments.reused_objects,
    objects.objects,
    objects.external_objects,
    objects.init_objects,
    objects.instances,
    deletion.delete_requests,
)

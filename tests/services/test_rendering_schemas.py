"""Each resource is written with exactly the keys that its response schema in the API document lists.

For each resource there are fully populated values, which together have every documented key, and minimal ones, which
have every required key. No value has a key that is not documented.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from flask.testing import FlaskClient

from tams.config import Settings
from tams.domain.access import EVERYTHING
from tams.domain.deletion import Counts, DeleteRequest
from tams.domain.errors import Invalid
from tams.domain.flow_rules import MULTI, VIDEO
from tams.domain.flows import Flow, Source
from tams.domain.get_urls import UrlFilter
from tams.domain.objects import Instance, Object
from tams.domain.registration import FailedSegment
from tams.domain.segment_requests import SegmentRequest
from tams.domain.segments import Segment
from tams.domain.timerange import TimeRange
from tams.domain.webhooks import Webhook
from tams.repository.sql import SqlRepository
from tams.services.objects.allocations import Allocation
from tams.services.rendering.allocations import allocations_json
from tams.services.rendering.deletions import accepted_json, delete_request_json, deleted_json
from tams.services.rendering.fast_segments import json_array, segment_texts
from tams.services.rendering.flows import flow_json, flow_json_with_timerange
from tams.services.rendering.get_urls import UrlPlan
from tams.services.rendering.objects import object_json
from tams.services.rendering.profiles import profile_json
from tams.services.rendering.segments import failed_segments_json, segment_json
from tams.services.rendering.service import service_json
from tams.services.rendering.sources import source_json
from tams.services.rendering.storage_backends import storage_backend_json
from tams.services.rendering.webhooks import webhook_json
from tams.services.store import Store
from tams.storage.local.storage import LocalStorage
from tams.storage.port import Backend

Json = Any

ID = "00000000-0000-4000-8000-000000000001"
TAGS = {"name": "value"}
RANGE = TimeRange(0, 10)
NOW = 1_700_000_000_000_000
BACKEND = Backend(ID, "local", "provider", "product", "region", "zone", TAGS, default=True)
MINIMAL_BACKEND = Backend(ID, "local", "provider", "product")
COPIES = (
    Instance(storage_id=ID, storage_key="1/abc"),
    Instance(url="https://example.com/object", label="elsewhere"),
)
FRACTION = {"numerator": 2, "denominator": 1}
MAPPING = {
    "track_index": 0,
    "format_track_index": 0,
    "audio_track": {"channel_numbers": [0], "channel_range": "0_1"},
    "mp2ts_container": {"pid": 1},
    "mxf_container": {"package_uid": f"urn:uuid:{ID}", "track_id": 1},
    "isobmff_container": {"track_id": 1},
}
FLOW_METADATA = {
    "id": ID,
    "source_id": ID,
    "label": "label",
    "description": "description",
    "created_by": "user",
    "updated_by": "user",
    "tags": TAGS,
    "metadata_version": "1",
    "generation": 0,
    "status": "ingesting",
    "read_only": False,
    "max_bit_rate": 1,
    "flow_collection": [{"id": ID, "role": "role", "container_mapping": MAPPING}],
    "profile_id": ID,
    "format": VIDEO,
    "codec": "video/h264",
    "container": "video/mp2t",
    "avg_bit_rate": 1,
    "segment_duration": FRACTION,
    "container_mapping": MAPPING,
    "essence_parameters": {"frame_width": 1, "frame_height": 1},
}
SOURCE_METADATA = {
    "id": ID,
    "format": VIDEO,
    "label": "label",
    "description": "description",
    "created_by": "user",
    "updated_by": "user",
    "tags": TAGS,
}
WEBHOOK_DOCUMENT = {
    "url": "https://example.com/hook",
    "api_key_name": "X-Key",
    "events": ["flows/created"],
    "flow_ids": [ID],
    "source_ids": [ID],
    "flow_collected_by_ids": [ID],
    "source_collected_by_ids": [ID],
    "accept_get_urls": ["label"],
    "accept_storage_ids": [ID],
    "presigned": True,
    "verbose_storage": True,
    "include_object_timerange": True,
    "tags": TAGS,
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    settings = Settings.from_env({"ENVIRONMENT": "development"}, data_dir=tmp_path)
    settings.prepare_data_dir()
    storage = LocalStorage(
        tmp_path / "media",
        BACKEND,
        b"k" * 32,
        url_lifetime=60,
        grace=5,
        max_upload=1,
        public_base="https://example.com",
    )
    return Store(SqlRepository(settings.database_url), {ID: storage}, settings, now=lambda: NOW)


@pytest.fixture
def plan(store: Store) -> UrlPlan:
    return UrlPlan(store, UrlFilter(verbose=True), "", EVERYTHING)


def service(names: Mapping[str, str], store: Store) -> Json:
    return service_json(names, store.settings, api_version="8.2", service_version="1", docs_url="https://example.com")


def delete_request(**more: Any) -> Json:
    request = DeleteRequest(ID, ID, 1, RANGE, RANGE, True, False, NOW, NOW, "user", NOW)
    return delete_request_json(replace(request, **more))


def segment(*, init: str | None, number: int | None) -> Segment:
    return Segment(0, 10, False, "one", number, number, number, number, 0, 10, False, number, init, NOW)


def segments(page: list[Segment], plan: UrlPlan, *, full: bool) -> Json:
    """Write the page twice, fast and plainly, and return it."""
    instances = {"one": COPIES, "init": COPIES} if full else {}
    plain = [segment_json(row, instances, plan, include_object_timerange=full) for row in page]
    fast = json_array(segment_texts(page, instances, plan, include_object_timerange=full))
    assert orjson.loads(fast) == plain
    return plain


class Resource(NamedTuple):
    """An operation and status whose response schema describes a resource, and values of it as they are written."""

    operation: tuple[str, str, str]
    full: Callable[[Store, UrlPlan], list[Json]]
    minimal: Callable[[Store, UrlPlan], Json]


RESOURCES = {
    "service": Resource(
        ("/service", "get", "200"),
        lambda store, _: [service({"name": "TAMS", "description": "description"}, store)],
        lambda store, _: service({"name": "TAMS"}, store),
    ),
    "storage backends": Resource(
        ("/service/storage-backends", "get", "200"),
        lambda *_: [[storage_backend_json(BACKEND)]],
        lambda *_: [storage_backend_json(MINIMAL_BACKEND)],
    ),
    "flow": Resource(
        ("/flows/{flow_id}", "get", "200"),
        lambda *_: [
            flow_json_with_timerange(Flow(ID, 1, ID, FLOW_METADATA, NOW, NOW, (ID,), NOW), RANGE),
        ],
        lambda *_: flow_json(Flow(ID, 1, ID, {"id": ID, "source_id": ID, "format": MULTI}, NOW, NOW)),
    ),
    "source": Resource(
        ("/sources/{source_id}", "get", "200"),
        lambda *_: [
            source_json(
                Source(ID, SOURCE_METADATA, NOW, NOW, implicit=False, collection=({"id": ID},), collected_by=(ID,))
            )
        ],
        lambda *_: source_json(Source(ID, {"id": ID, "format": VIDEO}, NOW, NOW, implicit=True)),
    ),
    "profile": Resource(
        ("/service/profiles/{profile_id}", "get", "200"),
        lambda *_: [
            profile_json(
                {
                    "id": ID,
                    "label": "label",
                    "description": "description",
                    "created": NOW,
                    "created_by": "user",
                    "tags": TAGS,
                    "flow_metadata": {"format": VIDEO},
                }
            )
        ],
        lambda *_: profile_json({"id": ID, "created": NOW, "created_by": "user", "flow_metadata": {"format": VIDEO}}),
    ),
    "webhook": Resource(
        ("/service/webhooks/{webhook_id}", "get", "200"),
        lambda *_: [
            webhook_json(
                Webhook(ID, WEBHOOK_DOCUMENT, "started", "secret", "user", "").failed("DeliveryFailed", "reason", NOW)
            )
        ],
        lambda *_: webhook_json(Webhook(ID, {"url": "https://example.com", "events": []}, "created", None, "user", "")),
    ),
    "delete request": Resource(
        ("/flow-delete-requests/{request_id}", "get", "200"),
        lambda *_: [delete_request(expiry=NOW, error={"type": "Conflict"})],
        lambda *_: delete_request(),
    ),
    "delete request of a deletion": Resource(
        ("/flows/{flow_id}", "delete", "202"),
        lambda *_: [delete_request(expiry=NOW, error={"type": "Conflict"})],
        lambda *_: delete_request(),
    ),
    "delete requests of a deletion": Resource(
        ("/sources/{source_id}", "delete", "202"),
        lambda *_: [accepted_json([DeleteRequest(ID, ID, 1, RANGE, RANGE, True, False, NOW, NOW, "user", NOW)])],
        lambda *_: accepted_json([]),
    ),
    "counts of a deletion": Resource(
        ("/flows/{flow_id}", "delete", "200"),
        lambda *_: [deleted_json(Counts(1, 1, 1, 1))],
        lambda *_: deleted_json(Counts()),
    ),
    "object": Resource(
        ("/objects/{object_id}", "get", "200"),
        lambda _, plan: [
            object_json(
                Object("one", NOW, COPIES, kind="media", timerange=RANGE, key_frame_count=1, first_flow_id=ID),
                Object("init", NOW, COPIES, kind="init"),
                [ID],
                plan,
            )
        ],
        lambda _, plan: object_json(Object("one", NOW, (), kind="init"), None, [], plan),
    ),
    "segments": Resource(
        ("/flows/{flow_id}/segments", "get", "200"),
        lambda _, plan: [segments([segment(init="init", number=1)], plan, full=True)],
        lambda _, plan: segments([segment(init=None, number=None)], plan, full=False),
    ),
    "refused segments": Resource(
        ("/flows/{flow_id}/segments", "post", "200"),
        lambda *_: [
            failed_segments_json([FailedSegment(SegmentRequest("one", RANGE), Invalid.field("path", "reason"))], NOW)
        ],
        lambda *_: failed_segments_json([], NOW),
    ),
    "allocated storage": Resource(
        ("/flows/{flow_id}/storage", "post", "201"),
        lambda *_: [allocations_json([Allocation("one", "/put", "video/mp2t", presigned=True)], "")],
        lambda *_: allocations_json([Allocation("one", "/put", "video/mp2t", presigned=False)], ""),
    ),
}


class Document:
    """The API document: its response schemas, and the paths of keys in them and in values."""

    def __init__(self, content: Mapping[str, Json]) -> None:
        self._content = content

    def response_schema(self, operation: tuple[str, str, str]) -> Json:
        """Return the JSON schema of a response, given its path, method and status."""
        path, method, status = operation
        return self._content["paths"][path][method]["responses"][status]["content"]["application/json"]["schema"]

    def documented(self, schema: Json, prefix: str = "") -> Iterator[str]:
        """Yield the path of each key that the schema lists, however deep; an object without a list is a leaf."""
        schema = self._resolved(schema)
        if "items" in schema:
            yield from self.documented(schema["items"], f"{prefix}[]")
            return
        for name, part in schema.get("properties", {}).items():
            yield f"{prefix}.{name}"
            yield from self.documented(part, f"{prefix}.{name}")

    def written(self, value: Json, schema: Json, prefix: str = "") -> Iterator[str]:
        """Yield the path of each key in the value, however deep, down to the leaves of the schema."""
        schema = self._resolved(schema)
        if "items" in schema:
            for item in value:
                yield from self.written(item, schema["items"], f"{prefix}[]")
        elif "properties" in schema:
            for name, part in value.items():
                yield f"{prefix}.{name}"
                yield from self.written(part, schema["properties"].get(name, {}), f"{prefix}.{name}")

    def missing(self, value: Json, schema: Json, prefix: str = "") -> Iterator[str]:
        """Yield the path of each required key that the value does not have."""
        schema = self._resolved(schema)
        if "items" in schema:
            for item in value:
                yield from self.missing(item, schema["items"], f"{prefix}[]")
            return
        yield from (f"{prefix}.{name}" for name in schema.get("required", ()) if name not in value)
        for name, part in schema.get("properties", {}).items():
            if name in value:
                yield from self.missing(value[name], part, f"{prefix}.{name}")

    def _resolved(self, schema: Json) -> Json:
        while "$ref" in schema:
            part: Json = self._content
            for name in schema["$ref"].removeprefix("#/").split("/"):
                part = part[name]
            schema = part
        return schema


@pytest.fixture
def document(client: FlaskClient) -> Document:
    content = client.get("/openapi.json").json
    assert content is not None
    return Document(content)


@pytest.mark.parametrize("name", RESOURCES)
def test_full_values_have_every_documented_key_and_no_other(
    name: str, document: Document, store: Store, plan: UrlPlan
) -> None:
    resource = RESOURCES[name]
    schema = document.response_schema(resource.operation)
    values = resource.full(store, plan)

    assert {path for value in values for path in document.written(value, schema)} == set(document.documented(schema))
    assert [path for value in values for path in document.missing(value, schema)] == []


@pytest.mark.parametrize("name", RESOURCES)
def test_minimal_values_have_every_required_key_and_no_undocumented_one(
    name: str, document: Document, store: Store, plan: UrlPlan
) -> None:
    resource = RESOURCES[name]
    schema = document.response_schema(resource.operation)
    value = resource.minimal(store, plan)

    assert set(document.written(value, schema)) <= set(document.documented(schema))
    assert list(document.missing(value, schema)) == []


def test_a_key_that_only_one_side_has_is_found(document: Document) -> None:
    schema = document.response_schema(RESOURCES["counts of a deletion"].operation)
    deleted = {**asdict(Counts()), "webhooks": 1}
    del deleted["flows"]

    assert set(document.written({"deleted": deleted}, schema)) ^ set(document.documented(schema)) == {
        ".deleted.flows",
        ".deleted.webhooks",
    }
    assert list(document.missing({"deleted": deleted}, schema)) == [".deleted.flows"]

"""`/flows/{flowId}/…`: tags, description, label, read_only, flow_collection, max_bit_rate, avg_bit_rate."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import fields

from tams.api.blueprint import Blueprint
from tams.api.resources.properties import Property, Resource, add_property, add_tags
from tams.api.schemas.fields import LABEL_BYTES, Boolean, NaturalNumber, Text
from tams.api.schemas.technical import CollectionItem
from tams.domain.flows import Metadata
from tams.domain.principals import Principal
from tams.services.flows import flows, properties
from tams.services.store import Store

blp = Blueprint("flow_properties", __name__, description="Properties of a Flow, one by one")

_TEXT_SCHEMA: Final[dict[str, Any]] = {"type": "string"}
_BIT_RATE_SCHEMA: Final[dict[str, Any]] = {"type": "integer", "minimum": 0}
_COLLECTION_SCHEMA: Final[dict[str, Any]] = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["id"],
        "properties": {"id": {"type": "string"}, "role": _TEXT_SCHEMA, "container_mapping": {"type": "object"}},
    },
}


def _metadata(store: Store, flow_id: str, principal: Principal) -> Metadata:
    return flows.get(store, flow_id, principal).metadata


FLOW: Final = Resource(
    noun="Flow",
    path="/flows/<id:flow_id>",
    argument="flow_id",
    operation="flows-flowId",
    editor=properties,
    metadata=_metadata,
    check_writable=flows.check_writable,
    check_settable=flows.check_settable,
)

PROPERTIES: Final = (
    Property(
        name="description",
        title="Description",
        description="The description of the Flow for human readers.",
        field=Text(),
        schema=_TEXT_SCHEMA,
    ),
    Property(
        name="label",
        title="Label",
        description="A short name for listings.",
        field=Text(max_bytes=LABEL_BYTES),
        schema=_TEXT_SCHEMA,
    ),
    Property(
        name="read_only",
        title="Read-Only",
        description="Whether the service refuses changes of the Flow: its metadata (except this property), its "
        "Segments, its storage, and its deletion.",
        field=Boolean(),
        schema={"type": "boolean"},
        unset=False,
        deletable=False,
        always_settable=True,
    ),
    Property(
        name="flow_collection",
        title="Collection",
        description="The Flows that are collected by this one, in order.",
        field=fields.List(fields.Nested(CollectionItem)),
        schema=_COLLECTION_SCHEMA,
        unset=[],
    ),
    Property(
        name="max_bit_rate",
        title="Maximum Bit Rate",
        description="In 1000 bits/second.",
        field=NaturalNumber(),
        schema=_BIT_RATE_SCHEMA,
    ),
    Property(
        name="avg_bit_rate",
        title="Average Bit Rate",
        description="In 1000 bits/second.",
        field=NaturalNumber(),
        schema=_BIT_RATE_SCHEMA,
    ),
)

add_tags(blp, FLOW)
for _property in PROPERTIES:
    add_property(blp, FLOW, _property)

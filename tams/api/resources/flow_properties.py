"""`/flows/{flowId}/…`: tags, description, label, read_only, flow_collection, max_bit_rate, avg_bit_rate."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import fields

from tams.api.blueprint import Blueprint
from tams.api.resources.properties import Property, Resource, add_property, add_tags
from tams.api.schemas.fields import LABEL_BYTES, Boolean, NaturalNumber, Text
from tams.api.schemas.flows import CollectionItem
from tams.domain.flows import Metadata
from tams.domain.principals import Principal
from tams.services.flows import flows
from tams.services.store import Store

blp = Blueprint("flow_properties", __name__, description="Properties of a Flow, one by one")

_TEXT: Final[dict[str, Any]] = {"type": "string"}
_BIT_RATE: Final[dict[str, Any]] = {"type": "integer", "minimum": 0}
_COLLECTION: Final[dict[str, Any]] = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["id"],
        "properties": {"id": {"type": "string"}, "role": _TEXT, "container_mapping": {"type": "object"}},
    },
}


def _document(store: Store, flow_id: str, principal: Principal) -> Metadata:
    return flows.get(store, flow_id, principal).metadata


FLOW: Final = Resource(
    "Flow",
    "/flows/<id:flow_id>",
    "flow_id",
    "flows-flowId",
    flows,
    _document,
    flows.check_writable,
    flows.check_settable,
)

PROPERTIES: Final = (
    Property("description", "Description", "What the Flow is, to be read by people.", Text(), _TEXT),
    Property("label", "Label", "A short name for listings.", Text(max_bytes=LABEL_BYTES), _TEXT),
    Property(
        "read_only",
        "Read-Only",
        "Whether metadata (this property aside), Segments, storage and deletion of the Flow are refused.",
        Boolean(),
        {"type": "boolean"},
        unset=False,
        deletable=False,
        always_settable=True,
    ),
    Property(
        "flow_collection",
        "Collection",
        "The Flows that are collected by this one, in order.",
        fields.List(fields.Nested(CollectionItem)),
        _COLLECTION,
        unset=[],
    ),
    Property("max_bit_rate", "Maximum Bit Rate", "In 1000 bits/second.", NaturalNumber(), _BIT_RATE),
    Property("avg_bit_rate", "Average Bit Rate", "In 1000 bits/second.", NaturalNumber(), _BIT_RATE),
)

add_tags(blp, FLOW)
for _property in PROPERTIES:
    add_property(blp, FLOW, _property)

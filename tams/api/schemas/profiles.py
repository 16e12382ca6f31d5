"""Profiles (`profile.json`), and the query of their listing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from marshmallow import ValidationError, fields
from typing_extensions import override

from tams.api.schemas.base import Body
from tams.api.schemas.fields import LABEL_BYTES, Field, Format, MimeType, Tags, Text, Uuid
from tams.api.schemas.queries import PagedQuery
from tams.api.schemas.technical import TECHNICAL_BY_FORMAT

if TYPE_CHECKING:
    from collections.abc import Mapping


class FlowMetadata(Field[dict[str, Any]]):
    """The technical metadata of a single essence, loaded with the schema of its `format`."""

    @override
    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValidationError("expected an object")
        content_format = value.get("format")
        schema = TECHNICAL_BY_FORMAT.get(content_format) if isinstance(content_format, str) else None
        if schema is None:
            expected = "expected one of " + ", ".join(TECHNICAL_BY_FORMAT)
            raise ValidationError({"format": [expected]})
        loaded: dict[str, Any] = schema.load(value)
        return loaded


class ProfileBody(Body):
    """A Profile as a client sends it."""

    read_only: ClassVar[tuple[str, ...]] = ("created",)

    id = Uuid(required=True, metadata={"description": "Profile identifier."})
    label = Text(max_bytes=LABEL_BYTES, metadata={"description": "Freeform string label for the Profile."})
    description = Text(metadata={"description": "Freeform text describing the Profile."})
    created_by = Text(
        max_bytes=LABEL_BYTES, metadata={"description": "The principal that created the Profile, if not you."}
    )
    created = fields.DateTime(dump_only=True)
    tags = Tags(metadata={"description": "They describe the Profile itself and are no part of its Flows."})
    flow_metadata = FlowMetadata(
        required=True, metadata={"description": "The technical characteristics that all Flows of the Profile have."}
    )


class ProfilesQuery(PagedQuery):
    """Query of `GET /service/profiles`."""

    format = Format(metadata={"description": "Filter on Profile format."})
    codec = MimeType(metadata={"description": "Filter on Profile codec."})
    label = Text(metadata={"description": "Filter on Profiles that have the given label."})

"""The query strings of the DELETE operations that remove media: Flows, Segments, Sources, Objects."""

from __future__ import annotations

from marshmallow import RAISE

from tams.api.schemas.base import Query
from tams.api.schemas.fields import Boolean, Text, Timerange
from tams.domain.timerange import ETERNITY


class DeleteQuery(Query):
    """Query of every deletion."""

    cascade = Boolean(
        load_default=None,
        metadata={
            "description": "`true`: delete what depends on it as well, and return the counts. `false`: refuse with 409 "
            "if something else would be lost. Not given: do what the specification says."
        },
    )


class DeleteSegmentsQuery(DeleteQuery):
    """Query of `DELETE /flows/{flowId}/segments`. Refuses unknown parameters: a misspelt filter deletes everything."""

    error_messages = {  # noqa: RUF012 - declared by marshmallow
        "unknown": "not a parameter of this deletion, which has cascade, object_id, timerange"
    }

    timerange = Timerange(
        load_default=ETERNITY, metadata={"description": "Only Segments that lie wholly inside the timerange."}
    )
    object_id = Text(load_default=None, metadata={"description": "Only Segments of this Object."})

    class Meta:
        """Unknown parameters are errors."""

        unknown = RAISE

"""Query strings.

A parameter that is known has to be well formed (400 naming it); one that is not known is ignored, because proxies and
players add their own. A parameter that is given again with the same value counts once (clients that follow `Link` and
repeat their parameters do that); with another value it is 400, as no filter may be dropped. Tag filters are the
exception: each of them has to hold.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from tams.api.context import current_request
from tams.domain.errors import Invalid
from tams.domain.filters import TagFilter
from tams.domain.identifiers import UUID_PATTERN, is_uuid
from tams.domain.timerange import MAX_NS, MIN_NS, TimeRange, parse_query

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMATS = (
    "urn:x-nmos:format:video",
    "urn:x-tam:format:image",
    "urn:x-nmos:format:audio",
    "urn:x-nmos:format:data",
    "urn:x-nmos:format:multi",
)
"""`content-format.json`."""

MIME_TYPE_PATTERN = (
    r"(application|audio|font|example|image|message|model|multipart|text|video|x-(?:[0-9A-Za-z!#$%&'*+.^_`|~-]+))"
    r"/([0-9A-Za-z!#$%&'*+.^_`|~-]+)"
)
"""`mime-type.json`."""

_MIME_TYPE = re.compile(MIME_TYPE_PATTERN, re.ASCII)
_INTEGER = re.compile(r"-?[0-9]+", re.ASCII)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_MOST_DIGITS_READ = 1000
_PAIRS = "tams.query_pairs"
_NOT_UUID = "expected a UUID in lower case, version 1 to 5"

_TIMERANGE_PATTERN = (
    r"^(\[|\()?(-?(0|[1-9][0-9]*):(0|[1-9][0-9]{0,8}))?(_(-?(0|[1-9][0-9]*):(0|[1-9][0-9]{0,8}))?)?(\]|\))?$"
)
_LIST_PATTERN = "^([^,]+(,[^,]+)*)?$"


def query_pairs() -> list[tuple[str, str]]:
    """The parameters of the request, in order, decoded. Bytes that are not UTF-8 become lone surrogates."""
    environ = current_request().environ
    raw = environ.get("QUERY_STRING", "")
    if not raw:
        return []
    pairs: list[tuple[str, str]] | None = environ.get(_PAIRS)
    if pairs is None:
        text = raw.encode("latin-1").decode("utf-8", "surrogateescape")
        # Filters, paging and links look at them one after the other.
        pairs = environ[_PAIRS] = parse_qsl(text, keep_blank_values=True, errors="surrogateescape")
    return pairs


def query_arguments(schema: Schema) -> dict[str, str]:
    """The parameters as `schema` may load them; `Invalid` where one that it knows cannot be read."""
    arguments: dict[str, str] = {}
    errors: dict[str, list[str]] = {}
    for name, value in query_pairs():
        if name in schema.load_fields:
            if _UNSTORABLE.search(value):
                errors[name] = ["expected UTF-8 without U+0000"]
            elif arguments.get(name, value) != value:
                errors[name] = ["given more than once, with different values"]
        arguments[name] = value
    if errors:
        raise Invalid("; ".join(f"{name}: {messages[0]}" for name, messages in errors.items()), errors)
    return arguments


class Query(Schema):
    """The base of all query schemas."""

    class Meta:
        """Unknown parameters are ignored."""

        unknown = EXCLUDE


class TextParameter(fields.String):
    """Any text."""


class TimerangeParameter(fields.Field[TimeRange]):
    """A timerange as queries may write it: open, exclusive and empty ones included."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"type": "string", "pattern": _TIMERANGE_PATTERN} | dict(kwargs.pop("metadata", {}))
        super().__init__(metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> TimeRange:
        try:
            return parse_query(value)
        except ValueError as error:
            raise ValidationError(str(error)) from error

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        """For a default in the API document."""
        return None if value is None else str(value)


class FlagParameter(fields.Boolean):
    """`true` or `false`, in any case."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        return _flag(value)


class IntegerParameter(fields.Integer):
    """A whole number of at most 64 bits, not below `minimum`. With `clamp`, larger ones are not an error."""

    def __init__(self, *, minimum: int | None = None, clamp: bool = False, **kwargs: Any) -> None:
        metadata = dict(kwargs.pop("metadata", {}))
        if minimum is not None:
            metadata.setdefault("minimum", minimum)
        super().__init__(metadata=metadata, **kwargs)
        self.minimum = minimum
        self.clamp = clamp

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        # Python refuses to convert very long numbers.
        if len(value) > _MOST_DIGITS_READ or not _INTEGER.fullmatch(value):
            raise ValidationError("expected a whole number")
        number = int(value)
        if self.minimum is not None and number < self.minimum:
            raise ValidationError(f"expected a whole number, {self.minimum} or more")
        if not MIN_NS <= number <= MAX_NS:
            if self.clamp:
                return MAX_NS if number > 0 else MIN_NS
            raise ValidationError("expected a whole number of at most 64 bits")
        return number


class UuidParameter(fields.String):
    """One id, as `uuid.json` has it."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"pattern": f"^{UUID_PATTERN}$"} | dict(kwargs.pop("metadata", {}))
        super().__init__(metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not is_uuid(value):
            raise ValidationError(_NOT_UUID)
        return str(value)


class UuidListParameter(fields.Field[tuple[str, ...]]):
    """Ids separated by commas. The empty text is the empty list with `empty_allowed`, else an error."""

    def __init__(self, *, empty_allowed: bool = False, **kwargs: Any) -> None:
        listed = f"{UUID_PATTERN}(,{UUID_PATTERN})*"
        pattern = f"^({listed})?$" if empty_allowed else f"^{listed}$"
        metadata = {"type": "string", "pattern": pattern} | dict(kwargs.pop("metadata", {}))
        super().__init__(metadata=metadata, **kwargs)
        self.empty_allowed = empty_allowed

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> tuple[str, ...]:
        if value == "" and self.empty_allowed:
            return ()
        ids = tuple(value.split(","))
        if not all(is_uuid(item) for item in ids):
            raise ValidationError(f"expected a comma-separated list; of each item: {_NOT_UUID}")
        return ids

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        """For a default in the API document."""
        return None if value is None else ",".join(value)


class LabelListParameter(fields.Field[tuple[str, ...]]):
    """Texts separated by commas (`url-label-list.json`). The empty text is the empty list."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"type": "string", "pattern": _LIST_PATTERN} | dict(kwargs.pop("metadata", {}))
        super().__init__(metadata=metadata, **kwargs)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> tuple[str, ...]:
        return _texts(value)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        """For a default in the API document."""
        return None if value is None else ",".join(value)


class FormatParameter(fields.String):
    """A content format, as `content-format.json` has it."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"enum": list(FORMATS)} | dict(kwargs.pop("metadata", {}))
        super().__init__(metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if value not in FORMATS:
            raise ValidationError("expected one of " + ", ".join(FORMATS))
        return str(value)


class MimeTypeParameter(fields.String):
    """A MIME type without parameters, as `mime-type.json` has it."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"pattern": f"^{MIME_TYPE_PATTERN}$"} | dict(kwargs.pop("metadata", {}))
        super().__init__(metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not _MIME_TYPE.fullmatch(value):
            raise ValidationError("expected a MIME type without parameters, such as video/h264")
        return str(value)


class PagedQuery(Query):
    """The parameters of every listing: `limit` (clamped, see `tams.api.paging`) and `page`."""

    limit = IntegerParameter(
        minimum=1,
        clamp=True,
        metadata={"description": "How many items a page holds at most: 100 where it is not given, never above 1000."},
    )
    page = TextParameter(metadata={"description": "Where to go on: the X-Paging-NextKey of the page before."})


class ListingQuery(PagedQuery):
    """The parameters of a listing that can be turned round."""

    reverse_order = FlagParameter(load_default=False, metadata={"description": "Turn the order round."})


class TaggedListingQuery(ListingQuery):
    """Names the tag filters for the API document; `tag_filter` reads them, whatever the name."""

    tag_values = TextParameter(
        data_key="tag.{name}",
        metadata={"description": "A tag named {name} holds one of the comma-separated values.", "type": "string"},
    )
    tag_exists = TextParameter(
        data_key="tag_exists.{name}",
        metadata={"description": "`true`: there is a tag named {name}; `false`: there is none.", "type": "boolean"},
    )


def tag_filter(prefix: str = "tag") -> TagFilter:
    """The tag filters of the request: `tag.{name}=a,b` and `tag_exists.{name}=true`, for another `prefix` alike.

    A name may hold any character. An empty list of values selects nothing: no tag holds one of no values.
    """
    any_of: list[tuple[str, tuple[str, ...]]] = []
    exists: list[tuple[str, bool]] = []
    values_of, existence_of = f"{prefix}.", f"{prefix}_exists."
    for parameter, value in query_pairs():
        if not parameter.startswith((values_of, existence_of)):
            continue
        try:
            if _UNSTORABLE.search(parameter) or _UNSTORABLE.search(value):
                raise ValidationError("expected UTF-8 without U+0000")
            if parameter.startswith(values_of):
                any_of.append((parameter[len(values_of) :], _texts(value)))
            else:
                exists.append((parameter[len(existence_of) :], _flag(value)))
        except ValidationError as error:
            raise Invalid.field(_printable(parameter), str(error.messages[0])) from error
    return TagFilter(tuple(any_of), tuple(exists))


def _flag(value: str) -> bool:
    lowered = value.lower()
    if lowered not in {"true", "false"}:
        raise ValidationError("expected true or false")
    return lowered == "true"


def _texts(value: str) -> tuple[str, ...]:
    if not value:
        return ()
    texts = tuple(value.split(","))
    if "" in texts:
        raise ValidationError("expected a comma-separated list without empty items")
    return texts


def _printable(parameter: str) -> str:
    return parameter.encode("utf-8", "replace").decode()

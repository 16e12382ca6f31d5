"""Fields that are as strict as the specification's schemas: no text for a number, no number for a text.

A message says what is expected. Every object schema derives from `Body`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load

from tams.api.schemas.queries import FORMATS, MIME_TYPE_PATTERN
from tams.domain.identifiers import UUID_PATTERN, is_uuid
from tams.domain.limits import DOCUMENT_BYTES
from tams.domain.timerange import MAX_NS, MIN_NS, TimeRange, parse_bounded

if TYPE_CHECKING:
    from collections.abc import Mapping

LABEL_BYTES = 1024
"""The longest label, tag name, tag value and object id, in bytes of UTF-8."""

TECHNICAL_TYPE_PATTERN = r"[^\s/]+/[^\s/]+"
"""What `flow-technical.json` wants of `codec` and `container`: less than `mime-type.json`."""

TIMESTAMP_PATTERN = "-?(0|[1-9][0-9]*):(0|[1-9][0-9]{0,8})"
"""`timestamp.json`."""

_MIME_TYPE = re.compile(MIME_TYPE_PATTERN, re.ASCII)
_TECHNICAL_TYPE = re.compile(TECHNICAL_TYPE_PATTERN)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*", re.ASCII)
_NO_URL = re.compile(r'[\x00-\x20\x7f<>"{}|\\^`]')


class Body(Schema):
    """An object that a client sends.

    Properties that it does not know are dropped. Those named in `read_only` are dropped before anything is checked,
    whatever they hold: tools send back what they were given.
    """

    read_only: ClassVar[tuple[str, ...]] = ()

    class Meta:
        """Unknown properties are no error."""

        unknown = EXCLUDE

    @pre_load
    def drop_read_only(self, data: Any, **_: Any) -> Any:
        """The object without what only the store can say."""
        if not self.read_only or not isinstance(data, dict) or not any(name in data for name in self.read_only):
            return data
        return {name: value for name, value in data.items() if name not in self.read_only}


class Text(fields.Field[str]):
    """A text of `min_bytes` to `max_bytes` bytes of UTF-8."""

    def __init__(self, *, max_bytes: int = DOCUMENT_BYTES, min_bytes: int = 0, **kwargs: Any) -> None:
        super().__init__(metadata={"type": "string"} | dict(kwargs.pop("metadata", {})), **kwargs)
        self.max_bytes = max_bytes
        self.min_bytes = min_bytes

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("expected a text")
        # A character takes one byte at least and four at most, so that most texts need no encoding.
        if 4 * len(value) > self.max_bytes and len(value.encode()) > self.max_bytes:
            raise ValidationError(f"expected at most {self.max_bytes} bytes of UTF-8")
        if len(value) < self.min_bytes and len(value.encode()) < self.min_bytes:
            raise ValidationError("expected a text that is not empty")
        return value


class Integer(fields.Field[int]):
    """A whole number of at most 64 bits, `5.0` as well as `5`; not below `minimum`."""

    def __init__(self, *, minimum: int = MIN_NS, **kwargs: Any) -> None:
        metadata: dict[str, Any] = {"type": "integer"}
        if minimum != MIN_NS:
            metadata["minimum"] = minimum
        super().__init__(metadata=metadata | dict(kwargs.pop("metadata", {})), **kwargs)
        self.minimum = minimum

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValidationError("expected a whole number")
        if value < self.minimum:
            raise ValidationError(f"expected a whole number, {self.minimum} or more")
        if value > MAX_NS:
            raise ValidationError("expected a whole number of at most 64 bits")
        return value


class PositiveInteger(Integer):
    """A whole number, 1 or more."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(minimum=1, **kwargs)


class NaturalNumber(Integer):
    """A whole number, 0 or more."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(minimum=0, **kwargs)


class Boolean(fields.Field[bool]):
    """`true` or `false`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(metadata={"type": "boolean"} | dict(kwargs.pop("metadata", {})), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("expected true or false")
        return value


class Uuid(fields.Field[str]):
    """An id, as `uuid.json` has it."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"type": "string", "pattern": f"^{UUID_PATTERN}$"} | dict(kwargs.pop("metadata", {}))
        super().__init__(metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str) or not is_uuid(value):
            raise ValidationError("expected a UUID in lower case, version 1 to 5")
        return value


class MimeType(fields.Field[str]):
    """A MIME type without parameters, as `mime-type.json` has it."""

    pattern: ClassVar[re.Pattern[str]] = _MIME_TYPE

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"type": "string", "pattern": f"^{self.pattern.pattern}$"} | dict(kwargs.pop("metadata", {}))
        super().__init__(metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str) or len(value) > LABEL_BYTES or not self.pattern.fullmatch(value):
            raise ValidationError("expected a MIME type without parameters, such as video/mp2t")
        return value


class TechnicalType(MimeType):
    """A codec or a container, as `flow-technical.json` has it."""

    pattern: ClassVar[re.Pattern[str]] = _TECHNICAL_TYPE


class Format(fields.Field[str]):
    """One of the content formats of `content-format.json`, or of those given."""

    def __init__(self, formats: tuple[str, ...] = FORMATS, **kwargs: Any) -> None:
        metadata = {"type": "string", "enum": list(formats)} | dict(kwargs.pop("metadata", {}))
        super().__init__(metadata=metadata, **kwargs)
        self.formats = formats

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str) or value not in self.formats:
            raise ValidationError("expected one of " + ", ".join(self.formats))
        return value


class Timerange(fields.Field[TimeRange]):
    """A bounded timerange that begins inclusively and is not empty, as Segments and Objects have."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(metadata={"type": "string"} | dict(kwargs.pop("metadata", {})), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> TimeRange:
        try:
            return parse_bounded(value)
        except (ValueError, TypeError) as error:
            raise ValidationError(_reason(error, "a timerange")) from error


class Tags(fields.Field[dict[str, str | list[str]]]):
    """Tags (`tags.json`): an object of texts and lists of texts."""

    def __init__(self, **kwargs: Any) -> None:
        text = {"type": "string"}
        metadata = {
            "type": "object",
            "additionalProperties": {"anyOf": [text, {"type": "array", "items": text}]},
        } | dict(kwargs.pop("metadata", {}))
        super().__init__(metadata=metadata, **kwargs)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> dict[str, str | list[str]]:
        if not isinstance(value, dict):
            raise ValidationError("expected an object of texts and lists of texts")
        errors: dict[str, list[str]] = {}
        for name, tag in value.items():
            try:
                check_tag(name, tag)
            except ValidationError as error:
                errors[name] = [str(message) for message in error.messages]
        if errors:
            raise ValidationError(errors)
        return value


class Url(fields.Field[str]):
    """An absolute URL."""

    def __init__(self, *, max_bytes: int = 8192, **kwargs: Any) -> None:
        metadata = {"type": "string", "format": "uri"} | dict(kwargs.pop("metadata", {}))
        super().__init__(metadata=metadata, **kwargs)
        self.max_bytes = max_bytes

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        expected = "expected an absolute URL, such as https://example.com/object"
        if not isinstance(value, str) or _NO_URL.search(value) or len(value.encode()) > self.max_bytes:
            raise ValidationError(expected)
        try:
            parts = urlsplit(value)
            _ = parts.port  # raises where it is none
        except ValueError as error:
            raise ValidationError(expected) from error
        if not _SCHEME.fullmatch(parts.scheme) or not parts.hostname:
            raise ValidationError(expected)
        return value


def check_tag(name: str, tag: Any) -> None:
    """Raise `ValidationError` unless `tag` is a text or a list of texts, within the limits."""
    if len(name.encode()) > LABEL_BYTES:
        raise ValidationError(f"expected a name of at most {LABEL_BYTES} bytes of UTF-8")
    values = tag if isinstance(tag, list) else [tag]
    for value in values:
        if not isinstance(value, str):
            raise ValidationError("expected a text or a list of texts")
        if 4 * len(value) > LABEL_BYTES and len(value.encode()) > LABEL_BYTES:
            raise ValidationError(f"expected at most {LABEL_BYTES} bytes of UTF-8 in each text")


def _reason(error: Exception, expected: str) -> str:
    return str(error) if isinstance(error, ValueError) else f"expected {expected} as a text"

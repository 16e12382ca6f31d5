"""The fields of bodies and query strings, as strict as the specification's schemas.

A body is JSON: no text is taken for a number, no number for a text. In a `Query` all values are text, from which
`Integer` and `Boolean` read theirs. An error message says what is expected.

`tams.api.openapi_fields` documents the fields: the type of each class, and the `constraints` of each field.
"""

from __future__ import annotations

import re
from copy import deepcopy
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar
from urllib.parse import urlsplit

from marshmallow import ValidationError, fields
from typing_extensions import override
from webargs.fields import DelimitedList

from tams.api.schemas.base import Query
from tams.domain.identifiers import UUID_PATTERN, is_uuid
from tams.domain.limits import DOCUMENT_BYTES
from tams.domain.timerange import MAX_NS, MIN_NS, TimeRange, parse_query

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

LABEL_BYTES: Final = 1024
"""The longest label, tag name, tag value and object id, in bytes of UTF-8."""

FORMATS: Final = (
    "urn:x-nmos:format:video",
    "urn:x-tam:format:image",
    "urn:x-nmos:format:audio",
    "urn:x-nmos:format:data",
    "urn:x-nmos:format:multi",
)
"""`content-format.json`."""

MIME_TYPE_PATTERN: Final = (
    r"(application|audio|font|example|image|message|model|multipart|text|video|x-(?:[0-9A-Za-z!#$%&'*+.^_`|~-]+))"
    r"/([0-9A-Za-z!#$%&'*+.^_`|~-]+)"
)
"""`mime-type.json`."""

TECHNICAL_TYPE_PATTERN: Final = r"[^\s/]+/[^\s/]+"
"""`codec` and `container` in `flow-technical.json`, which asks for less than `mime-type.json`."""

CONTAINER_PATTERN: Final = "[!-.0-~]+/[!-.0-~]+"
"""A container that the header `Content-Type` can carry. `flow-technical.json` asks for less."""

TIMESTAMP_PATTERN: Final = "-?(0|[1-9][0-9]*):(0|[1-9][0-9]{0,8})"
"""`timestamp.json`."""

TIMERANGE_PATTERN: Final = rf"(\[|\()?({TIMESTAMP_PATTERN})?(_({TIMESTAMP_PATTERN})?)?(\]|\))?"
"""`timerange.json`."""

_MAX_DIGITS: Final = 1000
_INTEGER: Final = re.compile(r"-?[0-9]+", re.ASCII)
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*", re.ASCII)
_NOT_IN_URLS: Final = re.compile(r'[\x00-\x20\x7f<>"{}|\\^`]')
_EXPECTED_URL: Final = "expected an absolute URL, such as https://example.com/object"


class Field(fields.Field[T]):
    """A field that knows its constraints."""

    def constraints(self) -> dict[str, Any]:
        """Return the JSON Schema keywords that limit the field's values."""
        return {}

    def is_text(self) -> bool:
        """Return whether the field belongs to a query string, whose values are all text."""
        return isinstance(self.root, Query)


class Text(Field[str]):
    """A text of `min_bytes` to `max_bytes` bytes of UTF-8."""

    def __init__(self, *, max_bytes: int = DOCUMENT_BYTES, min_bytes: int = 0, **options: Any) -> None:
        super().__init__(**options)
        self.max_bytes = max_bytes
        self.min_bytes = min_bytes

    @override
    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("expected a text")
        # A character takes one to four bytes, so most texts need no encoding.
        if 4 * len(value) > self.max_bytes and len(value.encode()) > self.max_bytes:
            raise ValidationError(f"expected at most {self.max_bytes} bytes of UTF-8")
        if len(value) < self.min_bytes and len(value.encode()) < self.min_bytes:
            raise ValidationError("expected a text that is not empty")
        return value


class PatternText(Text):
    """Text that matches a pattern as a whole."""

    def __init__(self, pattern: str, expected: str, **options: Any) -> None:
        super().__init__(**options)
        self.pattern = re.compile(pattern)
        self.expected = expected

    @override
    def constraints(self) -> dict[str, Any]:
        return {"pattern": f"^({self.pattern.pattern})$"}

    @override
    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not self.pattern.fullmatch(text):
            raise ValidationError(f"expected {self.expected}")
        return text


class Checked(Text):
    """A text that `check`, a rule of the domain, accepts. The rule raises `ValueError` for any other text."""

    def __init__(self, check: Callable[[str], str], **options: Any) -> None:
        super().__init__(**options)
        self.check = check

    @override
    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            return self.check(text)
        except ValueError as error:
            raise ValidationError(str(error)) from error


class Choice(Field[str]):
    """One of several words."""

    def __init__(self, words: tuple[str, ...], **options: Any) -> None:
        super().__init__(**options)
        self.words = words

    @override
    def constraints(self) -> dict[str, Any]:
        return {"enum": list(self.words)}

    @override
    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise ValidationError("expected one of " + ", ".join(self.words))
        return value


class Format(Choice):
    """A content format (`content-format.json`)."""

    def __init__(self, **options: Any) -> None:
        super().__init__(FORMATS, **options)


class Integer(Field[int]):
    """A whole number of at most 64 bits, not below `minimum`. JSON may write it as `5.0` as well as `5`.

    With `clamp`, a larger number stands for the largest.
    """

    def __init__(self, *, minimum: int = MIN_NS, clamp: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.minimum = minimum
        self.clamp = clamp

    @override
    def constraints(self) -> dict[str, Any]:
        return {} if self.minimum == MIN_NS else {"minimum": self.minimum}

    @override
    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        number = _integer_from_text(value) if self.is_text() else _integer_from_json(value)
        if number < self.minimum and self.minimum > MIN_NS:
            raise ValidationError(f"expected a whole number, {self.minimum} or more")
        if self.clamp:
            return min(number, MAX_NS)
        if not MIN_NS <= number <= MAX_NS:
            raise ValidationError("expected a whole number of at most 64 bits")
        return number


class PositiveInteger(Integer):
    """A whole number, 1 or more."""

    def __init__(self, **options: Any) -> None:
        super().__init__(minimum=1, **options)


class NaturalNumber(Integer):
    """A whole number, 0 or more."""

    def __init__(self, **options: Any) -> None:
        super().__init__(minimum=0, **options)


class Boolean(Field[bool]):
    """`true` or `false`; in a query string in any case."""

    @override
    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if self.is_text():
            value = {"true": True, "false": False}.get(value.lower())
        if not isinstance(value, bool):
            raise ValidationError("expected true or false")
        return value


class Uuid(Field[str]):
    """An id (`uuid.json`)."""

    @override
    def constraints(self) -> dict[str, Any]:
        return {"pattern": f"^{UUID_PATTERN}$"}

    @override
    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str) or not is_uuid(value):
            raise ValidationError("expected a UUID in lower case, version 1 to 5")
        return value


class MimeType(Field[str]):
    """A MIME type without parameters (`mime-type.json`)."""

    pattern: ClassVar[re.Pattern[str]] = re.compile(MIME_TYPE_PATTERN, re.ASCII)

    @override
    def constraints(self) -> dict[str, Any]:
        return {"pattern": f"^{self.pattern.pattern}$"}

    @override
    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str) or len(value) > LABEL_BYTES or not self.pattern.fullmatch(value):
            raise ValidationError("expected a MIME type without parameters, such as video/mp2t")
        return value


class TechnicalType(MimeType):
    """A codec or a container (`flow-technical.json`)."""

    pattern: ClassVar[re.Pattern[str]] = re.compile(TECHNICAL_TYPE_PATTERN)


class ContainerType(TechnicalType):
    """The container of a Flow, which is the content type of its media."""

    pattern: ClassVar[re.Pattern[str]] = re.compile(CONTAINER_PATTERN, re.ASCII)

    @override
    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        try:
            return super()._deserialize(value, attr, data, **kwargs)
        except ValidationError as error:
            if isinstance(value, str) and re.fullmatch(TECHNICAL_TYPE_PATTERN, value):
                raise ValidationError(
                    "expected at most 1024 ASCII characters that the header Content-Type can carry, such as video/mp2t"
                ) from error
            raise


class Timerange(Field[TimeRange]):
    """A timerange that selects Segments (`timerange.json`): open, exclusive and empty ones included."""

    @override
    def constraints(self) -> dict[str, Any]:
        return {"pattern": f"^{TIMERANGE_PATTERN}$"}

    @override
    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> TimeRange:
        if not isinstance(value, str):
            raise ValidationError("expected a timerange as a text")
        try:
            return parse_query(value)
        except ValueError as error:
            raise ValidationError(str(error)) from error

    # The API document shows defaults.
    @override
    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else str(value)


class Tags(Field[dict[str, str | list[str]]]):
    """Tags (`tags.json`): an object of texts and lists of texts."""

    @override
    def constraints(self) -> dict[str, Any]:
        text = {"type": "string"}
        return {"additionalProperties": {"anyOf": [text, {"type": "array", "items": text}]}}

    @override
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


class Url(Field[str]):
    """An absolute URL."""

    def __init__(self, *, max_bytes: int = 8192, **options: Any) -> None:
        super().__init__(**options)
        self.max_bytes = max_bytes

    @override
    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str) or _NOT_IN_URLS.search(value) or len(value.encode()) > self.max_bytes:
            raise ValidationError(_EXPECTED_URL)
        try:
            parts = urlsplit(value)
            _ = parts.port  # raises for a port that is not a number
        except ValueError as error:
            raise ValidationError(_EXPECTED_URL) from error
        if not _SCHEME.fullmatch(parts.scheme) or not parts.hostname:
            raise ValidationError(_EXPECTED_URL)
        return value


class List(fields.List[T]):
    """A list of values of one field."""

    default_error_messages = {"invalid": "expected a list"}  # noqa: RUF012 - declared by marshmallow


class CommaSeparated(DelimitedList):
    """Values separated by commas in one text; loads to a tuple. The empty text is the empty list."""

    default_error_messages = {  # noqa: RUF012 - declared by marshmallow
        "invalid": "expected a comma-separated list",
        "empty_item": "expected a comma-separated list without empty items",
        "item": "expected a comma-separated list; of each item: {reason}",
    }

    def constraints(self) -> dict[str, Any]:
        """Return the JSON Schema keywords that limit the text."""
        constraints = self.inner.constraints() if isinstance(self.inner, Field) else {}
        item = constraints.get("pattern", "^[^,]+$").removeprefix("^").removesuffix("$")
        return {"pattern": f"^({item}(,{item})*)?$"}

    # A tuple in place of marshmallow's list, because filters are immutable.
    @override
    def _deserialize(  # type: ignore[override]
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> tuple[Any, ...]:
        if value and "" in value.split(self.delimiter):
            raise self.make_error("empty_item")
        try:
            return tuple(super()._deserialize(value, attr, data, **kwargs))  # type: ignore[no-untyped-call]
        except ValidationError as error:
            # Marshmallow names items by their index; a parameter is reported as a whole.
            _, messages = next(iter(error.messages_dict.items()))
            raise self.make_error("item", reason=messages[0]) from error

    # The API document shows defaults.
    @override
    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:  # type: ignore[override]
        return None if value is None else self.delimiter.join(value)


class ByName(Field[tuple[tuple[str, T], ...]]):
    """Parameters of a query string that end in a name of the client's choice, such as `tag.{name}`.

    `data_key` documents them, with `{name}` in the place of the client's name, which may hold any character. Loads the
    pairs of name and text that `tams.api.query_string` collects to pairs of name and value, in the order of the query
    string. Two parameters of one name are two pairs.
    """

    def __init__(self, value: fields.Field[T], *, data_key: str, **options: Any) -> None:
        super().__init__(data_key=data_key, **options)
        self.value = value
        self.prefix = data_key.removesuffix("{name}")

    @override
    def _bind_to_schema(self, field_name: str, parent: Any) -> None:
        super()._bind_to_schema(field_name, parent)
        # As in `fields.List`: schemas share the fields that they declare, and each binds a copy.
        self.value = deepcopy(self.value)
        self.value._bind_to_schema(field_name, self)

    @override
    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> tuple[tuple[str, T], ...]:
        pairs: list[tuple[str, T]] = []
        errors: dict[str, list[str]] = {}
        for name, text in value:
            try:
                pairs.append((name, self.value.deserialize(text)))
            except ValidationError as error:
                errors[f"{self.prefix}{name}"] = [str(message) for message in error.messages]
        if errors:
            raise ValidationError(errors)
        return tuple(pairs)


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


def _integer_from_json(value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValidationError("expected a whole number")
    return value


def _integer_from_text(value: str) -> int:
    # Python refuses to convert very long numbers.
    if len(value) > _MAX_DIGITS or not _INTEGER.fullmatch(value):
        raise ValidationError("expected a whole number")
    return int(value)

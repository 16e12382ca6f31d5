"""The base classes of schemas that clients fill in: bodies and query strings."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import EXCLUDE, Schema, ValidationError, pre_load


class Body(Schema):
    """An object that a client sends.

    Unknown properties are dropped. Properties named in `read_only` are dropped before anything is checked, whatever
    they hold: tools send back what they received.
    """

    read_only: ClassVar[tuple[str, ...]] = ()

    class Meta:
        """Unknown properties are no error."""

        unknown = EXCLUDE

    @pre_load
    def drop_read_only(self, data: Any, **_: Any) -> Any:
        """Return the object without the properties that only the store sets."""
        if not self.read_only or not isinstance(data, dict) or not any(name in data for name in self.read_only):
            return data
        return {name: value for name, value in data.items() if name not in self.read_only}


class Query(Schema):
    """The query string of an operation. Its fields read text where those of a `Body` read JSON.

    A known parameter has to be well formed (400 naming it). An unknown one is ignored, because proxies and players add
    their own.
    """

    class Meta:
        """Unknown parameters are ignored."""

        unknown = EXCLUDE

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.parameters = frozenset(field.data_key or name for name, field in self.load_fields.items())
        """The parameters as the API document names them: `limit`, `tag.{name}`."""

    def handle_error(self, error: ValidationError, data: Any, **_: Any) -> None:
        """Report the errors of a `ByName` field under the names that the client sent: `tag.colour`, not `tag.{name}`.

        Marshmallow raises `error` when this returns.
        """
        if isinstance(error.messages, dict):
            for parameter, messages in list(error.messages.items()):
                if isinstance(messages, dict):
                    del error.messages[parameter]
                    error.messages.update(messages)

"""The domain's `Invalid` error, made from the messages of fields and schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tams.domain.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from marshmallow import ValidationError

BODY: Final = "body"
"""The name of the request body as a whole in `Invalid.errors`."""


def invalid(errors: Mapping[str, list[str]]) -> Invalid:
    """Return the error for the fields at fault; its summary names the first of them."""
    path, messages = next(iter(errors.items()))
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Invalid(f"{path}: {messages[0]}{more}", errors)


def from_validation(error: ValidationError) -> Invalid:
    """Return the domain's error for marshmallow's; each field at fault is named by its JSON path."""
    errors: dict[str, list[str]] = {}
    for path, messages in _paths(error.messages, ""):
        errors.setdefault(path, []).extend(messages)
    return invalid(errors)


def _paths(messages: Any, path: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the messages of each field with its JSON path; marshmallow nests them like the value at fault."""
    if isinstance(messages, dict):
        for name, nested in messages.items():
            if name == "_schema":
                yield from _paths(nested, path)
            elif isinstance(name, int):
                yield from _paths(nested, f"{path}[{name}]")
            else:
                yield from _paths(nested, f"{path}.{name}" if path else str(name))
    elif isinstance(messages, list) and any(isinstance(item, dict) for item in messages):
        for item in messages:
            yield from _paths(item, path)
    else:
        yield path or BODY, [str(item) for item in (messages if isinstance(messages, list) else [messages])]

"""Errors of the store. `tams.api.errors` has the table that maps them to status codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


class TamsError(Exception):
    """The base of all errors that a client sees. `str(error)` is the sentence that it is shown."""


class Invalid(TamsError):
    """The request breaks a rule (400).

    `errors` maps the JSON path of each field at fault (`essence_parameters.frame_rate`, `[3].timerange`), or the name
    of a query parameter, to messages that say what was expected.
    """

    def __init__(self, summary: str, errors: Mapping[str, Sequence[str]] | None = None) -> None:
        super().__init__(summary)
        self.errors: dict[str, list[str]] = {path: list(messages) for path, messages in (errors or {}).items()}

    @classmethod
    def field(cls, path: str, message: str) -> Invalid:
        """Return the error for one field."""
        return cls(f"{path}: {message}", {path: [message]})

    @classmethod
    def fields(cls, errors: Mapping[str, Sequence[str]]) -> Invalid:
        """Return the error for one or more fields; the summary names the first."""
        path, messages = next(iter(errors.items()))
        return cls(f"{path}: {messages[0]}", errors)


class NotFound(TamsError):
    """The resource does not exist (404)."""


class Forbidden(TamsError):
    """The operation is not permitted: a Flow is read-only, or a permission is missing (403)."""


@dataclass(frozen=True, slots=True)
class Blockers:
    """Items that prevent a deletion: counts (capped, see `Repository`), and at most ten ids as examples."""

    flows: int = 0
    segments: int = 0
    collections: int = 0
    objects: int = 0
    examples: tuple[str, ...] = field(default=())

    def __bool__(self) -> bool:
        return bool(self.flows or self.segments or self.collections or self.objects)


class PreconditionFailed(TamsError):
    """The stored resource is not in the state that the client made the condition of its request (412)."""


class Conflict(TamsError):
    """The state of the store prevents the operation (409). `blocked_by` lists what prevents a deletion."""

    def __init__(self, summary: str, blocked_by: Blockers | None = None) -> None:
        super().__init__(summary)
        self.blocked_by = blocked_by


class Unavailable(TamsError):
    """A part that the store needs does not answer (503). Nothing has changed. `retry_after` is in seconds."""

    def __init__(self, summary: str, retry_after: int = 1) -> None:
        super().__init__(summary)
        self.retry_after = retry_after


class Contended(Unavailable):
    """A transaction lost against others too many times (503). Nothing has changed."""


class Unusable(Unavailable):
    """The database refuses what the store needs, until an operator changes something (503). Nothing has changed.

    `reason` and `remedy` are sentences for the operator; clients see the `summary` alone.
    """

    def __init__(self, summary: str, reason: str, remedy: str) -> None:
        super().__init__(summary, retry_after=60)
        self.reason = reason
        self.remedy = remedy

    @property
    def advice(self) -> str:
        """Return what is wrong, and what to do."""
        return f"{self} {self.reason} {self.remedy}"


class IntegrityBroken(TamsError):
    """A write would break an invariant (an orphan, an overlap, a duplicate), because of a bug in the caller (500)."""

"""What can go wrong, in the store's own terms. `tams.api.errors` has the one table that maps these to status codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


class TamsError(Exception):
    """The root of every refusal. `str(error)` is the sentence shown to the client."""


class Invalid(TamsError):
    """The request breaks a rule (400).

    `errors` maps the JSON path of each field at fault (`essence_parameters.frame_rate`, `[3].timerange`, or a query
    parameter's name) to what was expected there.
    """

    def __init__(self, summary: str, errors: Mapping[str, Sequence[str]] | None = None) -> None:
        super().__init__(summary)
        self.errors: dict[str, list[str]] = {path: list(messages) for path, messages in (errors or {}).items()}

    @classmethod
    def field(cls, path: str, message: str) -> Invalid:
        """One field at fault."""
        return cls(f"{path}: {message}", {path: [message]})

    @classmethod
    def fields(cls, errors: Mapping[str, Sequence[str]]) -> Invalid:
        """One field at fault or more; the summary names the first."""
        path, messages = next(iter(errors.items()))
        return cls(f"{path}: {messages[0]}", errors)


class NotFound(TamsError):
    """The resource does not exist (404)."""


class Forbidden(TamsError):
    """The resource may not be changed: a read-only Flow, or a permission that is missing (403)."""


@dataclass(frozen=True, slots=True)
class Blockers:
    """What stands in the way of a deletion: counts (capped, see `Repository`), and at most ten ids to look at."""

    flows: int = 0
    segments: int = 0
    collections: int = 0
    objects: int = 0
    examples: tuple[str, ...] = field(default=())

    def __bool__(self) -> bool:
        return bool(self.flows or self.segments or self.collections or self.objects)


class Conflict(TamsError):
    """The state of the store forbids it (409). For a refused deletion `blocked_by` says what stands in the way."""

    def __init__(self, summary: str, blocked_by: Blockers | None = None) -> None:
        super().__init__(summary)
        self.blocked_by = blocked_by


class Unavailable(TamsError):
    """A part that the store needs does not answer (503). Nothing was changed. `retry_after` is in seconds."""

    def __init__(self, summary: str, retry_after: int = 1) -> None:
        super().__init__(summary)
        self.retry_after = retry_after


class Contended(Unavailable):
    """A transaction lost against others too many times (503). Nothing was changed."""


class IntegrityBroken(TamsError):
    """A repository was asked to break a promise (an orphan, an overlap, a duplicate): a fault of the caller (500)."""

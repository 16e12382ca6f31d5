"""Objects: the immutable pieces of media (or initialisation data) that Segments refer to, and their instances.

They are named tuples, because a request makes a thousand of them, and a frozen dataclass takes three times as long.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from tams.domain.timerange import TimeRange

Kind = Literal["media", "init"]


class Instance(NamedTuple):
    """One copy of an Object's bytes.

    A controlled instance is in the Storage Backend `storage_id` under `storage_key`, a name that is never used twice.
    An uncontrolled one is at `url`, with a `label` that a client chose. `put_until` (microseconds) is when the last PUT
    URL for `storage_key` ends. An instance that is not `ready` (a copy in progress) is never shown.
    """

    storage_id: str | None = None
    storage_key: str | None = None
    put_until: int = 0
    url: str | None = None
    label: str | None = None
    ready: bool = True

    @property
    def controlled(self) -> bool:
        """True if the bytes are in a Storage Backend of the store."""
        return self.storage_id is not None


class Object(NamedTuple):
    """An Object. Until its first registration `kind` is None and it belongs to the Flow `allocated_to` (a Flow key).

    `created` and `registered` are in microseconds. `timerange` (media only) lies on the Object's own timeline. An
    external Object was never allocated here and has uncontrolled instances only.
    """

    id: str
    created: int
    instances: tuple[Instance, ...]
    allocated_to: int | None = None
    content_type: str | None = None
    kind: Kind | None = None
    registered: int | None = None
    timerange: TimeRange | None = None
    key_frame_count: int | None = None
    init_object_id: str | None = None
    first_flow_id: str | None = None

"""`get_urls`: rules for those that a client sends, and filters for those that it wants to see."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tams.domain.filters import NO_TAGS, TagFilter

LABEL_BYTES = 1024
"""The longest label, in bytes of UTF-8."""

URL_BYTES = 8192
"""The longest URL, in bytes of UTF-8."""

_URL = re.compile(
    r"""https?://                                # requests with GET are sent to it
        (?:[^\s/?#@]+@)?
        (?:[^\s/?#@:\[\]<>"{}|\\^`]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?
        (?:[/?#][^\s\x00-\x20\x7f<>"{}|\\^`]*)?
    """,
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class UrlFilter:
    """Filters of `get_urls`, all of which have to hold (specification, `GET /flows/{flowId}/segments`).

    `labels`: None is no filter, and an empty set lets nothing pass. `storage_ids`: None is no filter. `presigned` false
    selects URLs without a signature. `backend_tags` are compared with the Storage Backend's tags; an uncontrolled URL
    is in no Storage Backend and has no tags. With `verbose`, an entry describes its Storage Backend.
    """

    labels: frozenset[str] | None = None
    storage_ids: frozenset[str] | None = None
    presigned: bool | None = None
    backend_tags: TagFilter = NO_TAGS
    verbose: bool = False

    @property
    def shows_nothing(self) -> bool:
        """True if no URL of any Object passes."""
        return self.labels is not None and not self.labels

    def shows_backend(self, storage_id: str, label: str, tags: Mapping[str, str | list[str]]) -> bool:
        """Return True if URLs of the Storage Backend pass, signed or plain."""
        return (
            (self.labels is None or label in self.labels)
            and (self.storage_ids is None or storage_id in self.storage_ids)
            and self.backend_tags.matches(dict(tags))
        )

    def shows_uncontrolled(self, label: str | None) -> bool:
        """Return True if a URL outside the Storage Backends, with a label that a client gave it, passes."""
        return (
            (self.labels is None or label in self.labels)
            and self.storage_ids is None
            and self.presigned is not True
            and self.backend_tags.matches({})
        )


def check_text(value: object, most_bytes: int) -> str:
    """Return the value if it is a string of 1 to `most_bytes` bytes of UTF-8 without U+0000; else raise ValueError."""
    if type(value) is not str:
        raise ValueError("expected a string")
    if not value:
        raise ValueError("must not be empty")
    if "\x00" in value:
        raise ValueError("must not contain U+0000")
    # A character has at most four bytes.
    if len(value) * 4 > most_bytes and len(value.encode("utf-8", "surrogatepass")) > most_bytes:
        raise ValueError(f"must not be longer than {most_bytes} bytes of UTF-8")
    return value


LABEL_TAKEN: Final = "this label is taken; choose another"
"""The message for a label that another instance or a Storage Backend has.

It is the same for both: that a Storage Backend has the label may be hidden from the client.
"""


def check_label(value: object) -> str:
    """Return the label of an uncontrolled URL: 1 to 1024 bytes without comma, so that `accept_get_urls` can name it.

    The caller has to check that no Storage Backend has this label.

    Raises:
        ValueError: The value is not such a label.
    """
    label = check_text(value, LABEL_BYTES)
    if "," in label:
        raise ValueError("must not contain a comma")
    return label


def check_url(value: object) -> str:
    """Return the value if it is an absolute http or https URL; else raise ValueError."""
    url = check_text(value, URL_BYTES)
    if _URL.fullmatch(url) is None:
        raise ValueError("expected an absolute http or https URL")
    return url

"""`get_urls`: what a client may put there, and which of them it asked to see."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tams.domain.filters import NO_TAGS, TagFilter

LABEL_BYTES = 1024
"""The longest label, in bytes of UTF-8."""

URL_BYTES = 8192
"""The longest URL, in bytes of UTF-8."""

_URL = re.compile(
    r"""https?://                                # GET is made to it
        (?:[^\s/?#@]+@)?
        (?:[^\s/?#@:\[\]<>"{}|\\^`]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?
        (?:[/?#][^\s\x00-\x20\x7f<>"{}|\\^`]*)?
    """,
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class UrlFilter:
    """Which `get_urls` a client wants; all filters have to hold (specification, `GET /flows/{flowId}/segments`).

    `labels`: None is no filter, and an empty set leaves nothing. `storage_ids`: None is no filter. `presigned` false
    matches the URLs where it is unset. `backend_tags` are matched against the Storage Backend's tags; an uncontrolled
    URL is in no Storage Backend and has none. With `verbose` an entry tells about its Storage Backend.
    """

    labels: frozenset[str] | None = None
    storage_ids: frozenset[str] | None = None
    presigned: bool | None = None
    backend_tags: TagFilter = NO_TAGS
    verbose: bool = False

    @property
    def shows_nothing(self) -> bool:
        """True where no URL can pass, whatever the Object."""
        return self.labels is not None and not self.labels

    def shows_backend(self, storage_id: str, label: str, tags: Mapping[str, str | list[str]]) -> bool:
        """True where the URLs of a Storage Backend pass, signed or not."""
        return (
            (self.labels is None or label in self.labels)
            and (self.storage_ids is None or storage_id in self.storage_ids)
            and self.backend_tags.matches(dict(tags))
        )

    def shows_uncontrolled(self, label: str | None) -> bool:
        """True where a URL outside the Storage Backends, under a label of the client's, passes."""
        return (
            (self.labels is None or label in self.labels)
            and self.storage_ids is None
            and self.presigned is not True
            and self.backend_tags.matches({})
        )


def check_text(value: object, most_bytes: int) -> str:
    """A text of 1 to `most_bytes` bytes of UTF-8, without U+0000. `ValueError` otherwise."""
    if type(value) is not str:
        raise ValueError("expected a string")
    if not value:
        raise ValueError("must not be empty")
    if "\x00" in value:
        raise ValueError("must not contain U+0000")
    # No character takes more than four bytes.
    if len(value) * 4 > most_bytes and len(value.encode("utf-8", "surrogatepass")) > most_bytes:
        raise ValueError(f"must not be longer than {most_bytes} bytes of UTF-8")
    return value


def check_label(value: object) -> str:
    """The label of an uncontrolled URL: 1 to 1024 bytes without comma, so that `accept_get_urls` can name it.

    `ValueError` otherwise. That it is no Storage Backend's has to be asked of the store.
    """
    label = check_text(value, LABEL_BYTES)
    if "," in label:
        raise ValueError("must not contain a comma")
    return label


def check_url(value: object) -> str:
    """An absolute http or https URL. `ValueError` otherwise."""
    url = check_text(value, URL_BYTES)
    if _URL.fullmatch(url) is None:
        raise ValueError("expected an absolute http or https URL")
    return url

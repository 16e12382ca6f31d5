"""`If-Match` and `If-None-Match` of requests that change a Flow, a Source, or one of their properties (RFC 9110, 13).

The tag of a Flow or Source is `"version-bytes"`: the version of its metadata, and the digest of the answer. A condition
on a change is judged by the version alone. So each answer about a Flow, with or without its timerange, has a tag that
fits, and it fits until the metadata change: new Segments, or another Flow that collects this one, leave it valid.

A property has a tag of its own, the digest of its value. A change of a property may name that tag, or the tag of the
Flow or Source.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson
from marshmallow import missing

from tams.api.context import current_request
from tams.api.responses import content_tag
from tams.domain.errors import PreconditionFailed
from tams.domain.flows import Flow, Source

if TYPE_CHECKING:
    from werkzeug.datastructures import ETags

    from tams.domain.preconditions import Condition

FAILED: Final = "`If-Match` or `If-None-Match` does not hold. Nothing has changed."
"""The description of status 412."""

Stored = TypeVar("Stored", Flow, Source)


def version_of(resource: Flow | Source) -> str:
    """Return the first part of the tag of a Flow or Source: it changes with each change of the metadata.

    The time of the last change identifies the metadata, because the times of a resource's changes increase strictly.
    The Flow key, or the time of the Source's creation, tells a resource from an earlier one with the same id.
    """
    if isinstance(resource, Flow):
        text = f"flow {resource.flow_key} {resource.metadata_updated}"
    else:
        text = f"source {resource.created} {resource.updated}"
    return sha256(text.encode()).hexdigest()[:16]


def condition(noun: str, value: Callable[[Stored], Any] | None = None) -> Condition[Stored] | None:
    """Return the condition of the current request on a Flow or Source (the `noun`), or None if it has none.

    With `value` the condition is on a property: `value` returns it, or marshmallow's `missing` if it is not set.
    """
    request = current_request()
    if_match = request.if_match if "HTTP_IF_MATCH" in request.environ else None
    if_none_match = request.if_none_match if "HTTP_IF_NONE_MATCH" in request.environ else None
    if if_match is None and if_none_match is None:
        return None

    def check(resource: Stored | None) -> None:
        version = None if resource is None else version_of(resource)
        content = missing if value is None or resource is None else value(resource)
        tag = None if content is missing else content_tag(orjson.dumps(content))
        exists = version is not None if value is None else tag is not None
        if if_match is not None and not (
            exists if if_match.star_tag else _names(if_match, version, tag, include_weak=False)
        ):
            raise PreconditionFailed(
                f"The {noun} is not as If-Match requires: read it again, and decide by its present state."
            )
        if if_none_match is not None and (
            exists
            if if_none_match.star_tag
            else _names(if_none_match, version if value is None else None, tag, include_weak=True)
        ):
            raise PreconditionFailed(f"The {noun} is in the state that If-None-Match excludes: read it again.")

    return check


def _names(tags: ETags, version: str | None, tag: str | None, *, include_weak: bool) -> bool:
    """Return whether the tags name the version of a resource, or the tag of its property."""
    names = tags.as_set(include_weak=include_weak)
    return (tag is not None and tag in names) or any(name.partition("-")[0] == version for name in names)

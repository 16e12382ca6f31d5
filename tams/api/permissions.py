"""The scope and permission that each operation needs.

The gate, the API document, `docs/reference/permissions.md` and the tests read this one table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Final, Literal

from tams.domain.access import Permission
from tams.domain.principals import ADMIN, DELETE, READ, SCOPES, WRITE

_UNLESS: Final = {None: "", "signed": "; nothing with a signed URL", "development": "; nothing in development"}


@dataclass(frozen=True, slots=True)
class ByClass:
    """A permission that access classes grant, if access is limited by them (`TAMS_AUTH_CLASSES`).

    `permission` is needed on the resource `of`. None means that only its owner has access, whatever its classes. `at`
    says where the permission is needed: on an existing resource (`one`), on the classes of a resource that is created
    (`new`), or on each resource of a listing.
    """

    permission: Permission | None
    of: str
    at: Literal["one", "new", "listing"] = "one"

    def __str__(self) -> str:
        """Return the permission as the documentation describes it."""
        if self.permission is None:
            return f"none: the {self.of} is its owner's"
        if self.at == "listing":
            return f"lists each {self.of} with `{self.permission}`"
        return f"`{self.permission}` on the {self.of}" if self.at == "one" else f"`{self.permission}` on its classes"


@dataclass(frozen=True, slots=True)
class Requirement:
    """The requirement of an operation: one of `scopes`, or nothing if there are none.

    `unless` names what makes credentials unnecessary: a signed URL, or running in development. The services enforce
    `by_class`.
    """

    scopes: frozenset[str]
    unless: Literal["signed", "development"] | None = None
    by_class: ByClass | None = None

    def __str__(self) -> str:
        """Return the requirement as the documentation describes it."""
        if not self.scopes:
            return "nothing"
        scope = "any scope" if len(self.scopes) > 1 else f"`{next(iter(self.scopes))}`"
        return scope + _UNLESS[self.unless]


def _read(of: str, at: Literal["one", "listing"] = "one") -> Requirement:
    return Requirement(frozenset({READ}), by_class=ByClass("read", of, at))


def _write(of: str, at: Literal["one", "new"] = "one") -> Requirement:
    return Requirement(frozenset({WRITE}), by_class=ByClass("write", of, at))


def _delete(of: str) -> Requirement:
    return Requirement(frozenset({DELETE}), by_class=ByClass("delete", of))


def _property(of: str) -> dict[str, Requirement]:
    return {"GET": _read(of), "PUT": _write(of), "DELETE": _write(of)}


_NOTHING: Final = Requirement(frozenset())
_ANY: Final = Requirement(frozenset(SCOPES))
_ADMIN: Final = Requirement(frozenset({ADMIN}))
_DOCUMENT: Final = Requirement(frozenset(SCOPES), unless="development")
_OWNERS: Final = Requirement(frozenset({READ}), by_class=ByClass(None, "webhook"))

_OF_SOURCE: Final = _property("Source")
_OF_FLOW: Final = _property("Flow")

TABLE: Final[dict[str, dict[str, Requirement]]] = {
    "/": {"GET": _ANY},
    "/service": {"GET": _ANY, "POST": _ADMIN},
    "/service/storage-backends": {"GET": replace(_ANY, by_class=ByClass("read", "Storage Backend", "listing"))},
    "/service/profiles": {"GET": _ANY},
    "/service/profiles/{profile_id}": {"GET": _ANY, "POST": _ADMIN},
    "/service/webhooks": {"GET": _read("webhook", "listing"), "POST": _write("webhook", "new")},
    # Only its owner and admin change and delete a webhook.
    "/service/webhooks/{webhook_id}": {"GET": _read("webhook"), "PUT": _OWNERS, "DELETE": _OWNERS},
    "/sources": {"GET": _read("Source", "listing"), "POST": _write("Source", "new")},
    "/sources/{source_id}": {"GET": _read("Source"), "DELETE": _delete("Source")},
    "/sources/{source_id}/tags": {"GET": _read("Source")},
    "/sources/{source_id}/tags/{name}": _OF_SOURCE,
    "/sources/{source_id}/description": _OF_SOURCE,
    "/sources/{source_id}/label": _OF_SOURCE,
    "/flows": {"GET": _read("Flow", "listing"), "POST": _write("Flow", "new")},
    "/flows/{flow_id}": {"GET": _read("Flow"), "PUT": _write("Flow"), "DELETE": _delete("Flow")},
    "/flows/{flow_id}/tags": {"GET": _read("Flow")},
    "/flows/{flow_id}/tags/{name}": _OF_FLOW,
    "/flows/{flow_id}/description": _OF_FLOW,
    "/flows/{flow_id}/label": _OF_FLOW,
    "/flows/{flow_id}/read_only": {"GET": _read("Flow"), "PUT": _write("Flow")},
    "/flows/{flow_id}/flow_collection": _OF_FLOW,
    "/flows/{flow_id}/max_bit_rate": _OF_FLOW,
    "/flows/{flow_id}/avg_bit_rate": _OF_FLOW,
    "/flows/{flow_id}/segments": {"GET": _read("Flow"), "POST": _write("Flow"), "DELETE": _delete("Flow")},
    "/flows/{flow_id}/storage": {"POST": _write("Flow")},
    "/objects/{object_id}": {"GET": _read("Object"), "DELETE": _delete("Object")},
    "/objects/{object_id}/instances": {"POST": _write("Object"), "DELETE": _write("Object")},
    "/flow-delete-requests": {"GET": _ADMIN},
    "/flow-delete-requests/{request_id}": {"GET": _delete("Flow as it was")},
    "/storage/{storage_id}/{key}": {
        "GET": replace(_read("Object"), unless="signed"),
        "PUT": replace(_write("Object"), unless="signed"),
    },
    "/health": {"GET": _NOTHING},
    "/health/live": {"GET": _NOTHING},
    "/health/ready": {"GET": _NOTHING},
    "/openapi.json": {"GET": _DOCUMENT},
    "/docs": {"GET": _DOCUMENT},
    "/docs/{name}": {"GET": _DOCUMENT},
}
"""Requirements by path (as the API document writes it) and method. HEAD needs what GET needs; OPTIONS needs nothing."""


@cache
def template(rule: str) -> str:
    """Return the path of a routing rule as the API document writes it: `/flows/{flow_id}`."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)


def requirement(path: str, method: str) -> Requirement:
    """Return the requirement of an operation. Raises `LookupError` if the table has no entry: it is refused to all."""
    requirement = TABLE.get(path, {}).get("GET" if method == "HEAD" else method)
    if requirement is None:
        raise LookupError(f"tams.api.permissions.TABLE has no entry for {method} {path}")
    return requirement

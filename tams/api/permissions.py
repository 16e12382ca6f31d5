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
    """What classes allow or refuse, where access is limited by them (`TAMS_AUTH_CLASSES`).

    `permission` is needed on `of`; None is for its owner only, whatever its classes. `at`: on one that is there, on the
    classes of one that is made, or on each of those that are listed.
    """

    permission: Permission | None
    of: str
    at: Literal["one", "new", "listing"] = "one"

    def __str__(self) -> str:
        """As the documentation says it."""
        if self.permission is None:
            return f"none: the {self.of} is its owner's"
        if self.at == "listing":
            return f"lists each {self.of} with `{self.permission}`"
        return f"`{self.permission}` on the {self.of}" if self.at == "one" else f"`{self.permission}` on its classes"


@dataclass(frozen=True, slots=True)
class Needed:
    """What an operation asks of whoever calls it: one of `scopes`, or nothing where there are none.

    `unless` names what makes credentials unnecessary: a signed URL, or running in development. The services see to what
    stands in `by_class`.
    """

    scopes: frozenset[str]
    unless: Literal["signed", "development"] | None = None
    by_class: ByClass | None = None

    def __str__(self) -> str:
        """As the documentation says it."""
        if not self.scopes:
            return "nothing"
        asked = "any scope" if len(self.scopes) > 1 else f"`{next(iter(self.scopes))}`"
        return asked + _UNLESS[self.unless]


def _read(of: str, at: Literal["one", "listing"] = "one") -> Needed:
    return Needed(frozenset({READ}), by_class=ByClass("read", of, at))


def _write(of: str, at: Literal["one", "new"] = "one") -> Needed:
    return Needed(frozenset({WRITE}), by_class=ByClass("write", of, at))


def _delete(of: str) -> Needed:
    return Needed(frozenset({DELETE}), by_class=ByClass("delete", of))


def _property(of: str) -> dict[str, Needed]:
    return {"GET": _read(of), "PUT": _write(of), "DELETE": _write(of)}


_NOTHING: Final = Needed(frozenset())
_ANY: Final = Needed(frozenset(SCOPES))
_ADMIN: Final = Needed(frozenset({ADMIN}))
_DOCUMENT: Final = Needed(frozenset(SCOPES), unless="development")
_OWNERS: Final = Needed(frozenset({READ}), by_class=ByClass(None, "webhook"))

_OF_SOURCE: Final = _property("Source")
_OF_FLOW: Final = _property("Flow")

TABLE: Final[dict[str, dict[str, Needed]]] = {
    "/": {"GET": _ANY},
    "/service": {"GET": _ANY, "POST": _ADMIN},
    "/service/storage-backends": {"GET": replace(_ANY, by_class=ByClass("read", "Storage Backend", "listing"))},
    "/service/profiles": {"GET": _ANY},
    "/service/profiles/{profile_id}": {"GET": _ANY, "POST": _ADMIN},
    "/service/webhooks": {"GET": _read("webhook", "listing"), "POST": _write("webhook", "new")},
    # Changed and deleted by its owner, and admin.
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
    "/health/live": {"GET": _NOTHING},
    "/health/ready": {"GET": _NOTHING},
    "/openapi.json": {"GET": _DOCUMENT},
    "/docs": {"GET": _DOCUMENT},
    "/docs/{name}": {"GET": _DOCUMENT},
}
"""By path (as the API document writes it) and method. A HEAD needs what its GET needs, and OPTIONS nothing."""


@cache
def template(rule: str) -> str:
    """The path of a routing rule as the API document writes it."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)


def needed(path: str, method: str) -> Needed:
    """What the operation asks for. `LookupError` where the table has no entry: then nobody may use it."""
    found = TABLE.get(path, {}).get("GET" if method == "HEAD" else method)
    if found is None:
        raise LookupError(f"tams.api.permissions.TABLE has no entry for {method} {path}")
    return found

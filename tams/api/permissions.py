"""What each operation needs: the one table that the gate, the API document, `docs/security.md` and the tests read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from tams.domain.access import ADMIN, DELETE, READ, SCOPES, WRITE

_UNLESS: Final = {None: "", "signed": "; nothing with a signed URL", "development": "; nothing in development"}


@dataclass(frozen=True, slots=True)
class Needed:
    """What an operation asks of whoever calls it: one of `scopes`, or nothing where there are none.

    `unless` names what makes credentials unnecessary: a signed URL, or running in development.
    """

    scopes: frozenset[str]
    unless: Literal["signed", "development"] | None = None

    def __str__(self) -> str:
        """As the documentation says it."""
        if not self.scopes:
            return "nothing"
        asked = "any scope" if len(self.scopes) > 1 else f"`{next(iter(self.scopes))}`"
        return asked + _UNLESS[self.unless]


_NOTHING: Final = Needed(frozenset())
_ANY: Final = Needed(frozenset(SCOPES))
_READ: Final = Needed(frozenset({READ}))
_WRITE: Final = Needed(frozenset({WRITE}))
_DELETE: Final = Needed(frozenset({DELETE}))
_ADMIN: Final = Needed(frozenset({ADMIN}))
_DOCUMENT: Final = Needed(frozenset(SCOPES), unless="development")

_PROPERTY: Final = {"GET": _READ, "PUT": _WRITE, "DELETE": _WRITE}

TABLE: Final[dict[str, dict[str, Needed]]] = {
    "/": {"GET": _ANY},
    "/service": {"GET": _ANY, "POST": _ADMIN},
    "/service/storage-backends": {"GET": _ANY},
    "/service/profiles": {"GET": _ANY},
    "/service/profiles/{profile_id}": {"GET": _ANY, "POST": _ADMIN},
    "/service/webhooks": {"GET": _READ, "POST": _WRITE},
    # Changed and deleted by whoever it is shown to: its owner, and admin.
    "/service/webhooks/{webhook_id}": {"GET": _READ, "PUT": _READ, "DELETE": _READ},
    "/sources": {"GET": _READ, "POST": _WRITE},
    "/sources/{source_id}": {"GET": _READ, "DELETE": _DELETE},
    "/sources/{source_id}/tags": {"GET": _READ},
    "/sources/{source_id}/tags/{name}": _PROPERTY,
    "/sources/{source_id}/description": _PROPERTY,
    "/sources/{source_id}/label": _PROPERTY,
    "/flows": {"GET": _READ, "POST": _WRITE},
    "/flows/{flow_id}": {"GET": _READ, "PUT": _WRITE, "DELETE": _DELETE},
    "/flows/{flow_id}/tags": {"GET": _READ},
    "/flows/{flow_id}/tags/{name}": _PROPERTY,
    "/flows/{flow_id}/description": _PROPERTY,
    "/flows/{flow_id}/label": _PROPERTY,
    "/flows/{flow_id}/read_only": {"GET": _READ, "PUT": _WRITE},
    "/flows/{flow_id}/flow_collection": _PROPERTY,
    "/flows/{flow_id}/max_bit_rate": _PROPERTY,
    "/flows/{flow_id}/avg_bit_rate": _PROPERTY,
    "/flows/{flow_id}/segments": {"GET": _READ, "POST": _WRITE, "DELETE": _DELETE},
    "/flows/{flow_id}/storage": {"POST": _WRITE},
    "/objects/{object_id}": {"GET": _READ, "DELETE": _DELETE},
    "/objects/{object_id}/instances": {"POST": _WRITE, "DELETE": _WRITE},
    "/flow-delete-requests": {"GET": _ADMIN},
    "/flow-delete-requests/{request_id}": {"GET": _DELETE},
    "/storage/{storage_id}/{key}": {
        "GET": Needed(frozenset({READ}), unless="signed"),
        "PUT": Needed(frozenset({WRITE}), unless="signed"),
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

"""Profiles: technical metadata that Flows share. A Profile is immutable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tams.domain.errors import Invalid, NotFound
from tams.domain.flow_rules import TECHNICAL, check_technical
from tams.domain.limits import check_document_size
from tams.domain.sort_keys import alphabetical
from tams.repository.port import Document, Page
from tams.services.unit_of_work import claim

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tams.domain.principals import Principal
    from tams.repository.port import Cursor, Write
    from tams.services.store import Store

KIND = "profile"
"""The kind of a Profile's document. Its body is the Profile, `created` in microseconds."""

_ORDER = "order"
_FILTERS = ("format", "codec")


def get(store: Store, profile_id: str) -> dict[str, Any]:
    """Return the Profile. Raise `NotFound` if it does not exist."""
    document = store.repository.ask(lambda read: read.document(KIND, profile_id))
    if document is None:
        raise NotFound(f"There is no Profile {profile_id}.")
    return document.body


def list_profiles(store: Store, *, where: Mapping[str, str], after: Cursor | None, limit: int) -> Page[dict[str, Any]]:
    """Return a page of Profiles by label, those without a label last.

    `where` may have `format`, `codec` and `label`.
    """
    with store.repository.read() as read:
        page = read.list_documents(KIND, order=_ORDER, where=where, reverse=False, after=after, limit=limit)
    return Page([document.body for document in page.items], page.next)


def create(store: Store, profile_id: str, profile: Mapping[str, Any], principal: Principal) -> dict[str, Any]:
    """Create the Profile and return it.

    Raises:
        Invalid: the Profile breaks a rule, or one with this id exists, for Profiles are immutable.
    """
    if profile["id"] != profile_id:
        raise Invalid.field("id", f"must be the id in the path, {profile_id}")
    # Flows take nothing but technical metadata from their Profile.
    metadata = {name: profile["flow_metadata"][name] for name in TECHNICAL if name in profile["flow_metadata"]}
    errors = {f"flow_metadata.{path}": messages for path, messages in check_technical(metadata).items()}
    if errors:
        raise Invalid("The Profile breaks rules for technical metadata.", errors)
    body = {"created_by": principal.name, **profile, "created": store.now(), "flow_metadata": metadata}
    check_document_size(body)
    document = Document(KIND, profile_id, body, _keys(body))

    def transact(tx: Write) -> None:
        claim(tx, [("profile", profile_id)])
        if tx.document(KIND, profile_id) is not None:
            raise Invalid.field("id", "it already exists, and Profiles are immutable; choose another id")
        tx.put_document(document)

    store.write(transact)
    return body


def _keys(profile: Mapping[str, Any]) -> dict[str, str]:
    keys = {_ORDER: alphabetical(profile.get("label"), profile["id"])}
    keys |= {name: profile["flow_metadata"][name] for name in _FILTERS if name in profile["flow_metadata"]}
    if "label" in profile:
        keys["label"] = profile["label"]
    return keys

"""Webhooks: registration, records and states. Waiting events are in `tams.services.webhooks.queue`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from tams.domain.access import Access, document_classes
from tams.domain.destinations import parse_allowed
from tams.domain.errors import Forbidden, Invalid, NotFound
from tams.domain.filters import TagFilter
from tams.domain.identifiers import new_id
from tams.domain.limits import check_document_size
from tams.domain.principals import ADMIN, Principal
from tams.domain.sort_keys import alphabetical
from tams.domain.webhooks import Webhook, check_change
from tams.repository.port import Cursor, Document, Job, Page, Read, Write, all_items
from tams.services.access.authorization import readable_flows, readable_sources, require
from tams.services.egress import DestinationRefused, Egress
from tams.services.outbox import WEBHOOK
from tams.services.store import Store
from tams.services.webhooks.queue import FAN_OUT, FORGET, close_queue, open_queue, stop_queue

ALL: tuple[Literal["document"], str] = ("document", "webhooks")
"""The key to claim in a transaction that adds or removes a webhook, or that has to see all of them."""

_ORDER = "url"
_OWNER = "owner"
_NAME = "webhook {}"
_NOTHING = Access(frozenset(), frozenset(), frozenset())
# A tag that lists who may see a webhook: its owner, and readers of any of its classes. One filter covers both. Clients
# cannot write or query it, because names of tags hold no U+0000. The value is stored and must not change.
_VISIBLE_TO = "\0shown to"
_FLOW_FILTERS = ("flow_ids", "flow_collected_by_ids")
_SOURCE_FILTERS = ("source_ids", "source_collected_by_ids")


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A webhook as a client sends it. `document` is as in `Webhook`; `api_key_value` is None if it was not sent."""

    document: dict[str, Any]
    api_key_value: str | None
    status: Literal["created", "disabled"]


def get(store: Store, webhook_id: str, principal: Principal) -> Webhook:
    """Return the webhook.

    Raises:
        NotFound: It does not exist, or the principal has no permission on its classes.
        Forbidden: The principal has a permission on its classes, but may not read it.
    """
    with store.repository.read() as read:
        webhook = load(read, webhook_id)
        if webhook is None:
            raise _unknown(webhook_id)
        if _is_owned(webhook, principal):
            return webhook
        access = _access_by_class(store, principal)
        require(access, "read", document_classes(webhook.document), _NAME.format(webhook_id))
        return _visible(store, read, access, [webhook])[0]


def check_owned(store: Store, webhook_id: str, principal: Principal) -> None:
    """Check that the principal may change the webhook.

    Raises:
        NotFound: It does not exist, or the principal may not see it.
        Forbidden: The principal may see it and is not its owner.
    """
    webhook = store.repository.ask(lambda read: load(read, webhook_id))
    _require_owned(store, webhook, webhook_id, principal)


def list_webhooks(
    store: Store, principal: Principal, tags: TagFilter, *, reverse: bool, after: Cursor | None, limit: int
) -> Page[Webhook]:
    """Return a page of webhooks by URL: the principal's own and those of readable classes; for admin, all."""
    access = store.access(principal)
    where = {}
    if access.is_limited:
        visible_to = [_owner_entry(principal.name), *map(_reader_entry, sorted(access.read or ()))]
        tags = replace(tags, any_of=(*tags.any_of, (_VISIBLE_TO, tuple(visible_to))))
    elif ADMIN not in principal.scopes:
        where = {_OWNER: principal.name}
    with store.repository.read() as read:
        page = read.list_documents(
            WEBHOOK, order=_ORDER, where=where, reverse=reverse, after=after, limit=limit, tags=tags
        )
        webhooks = [_from_document(document) for document in page.items]
        others = [webhook for webhook in webhooks if not _is_owned(webhook, principal)]
        visible = {webhook.id: webhook for webhook in _visible(store, read, access, others)}
    return Page([visible.get(webhook.id, webhook) for webhook in webhooks], page.next)


def register(store: Store, request: WebhookRequest, principal: Principal, base_url: str) -> Webhook:
    """Register a webhook (specification, `POST /service/webhooks`).

    Raises:
        Invalid: The store cannot do what is asked, or a filter names an id that the principal may not read.
        Forbidden: A class of the webhook may not be written by the principal.
    """
    _check(store, request, principal.name)
    access = store.access(principal)
    webhook = Webhook(
        new_id(),
        request.document,
        request.status,
        request.api_key_value,
        principal.name,
        base_url,
        groups=tuple(sorted(principal.groups)),
        admin=ADMIN in principal.scopes,
    )
    check_document_size(asdict(webhook))

    def transact(tx: Write) -> None:
        access.check_difference((), document_classes(webhook.document))
        _refuse_unreadable(store, tx, access, webhook.document)
        tx.claim(ALL, ("document", webhook.id))
        save(tx, webhook)
        # This creates the job of the fan-out. It may end a lease of that job early, which does no harm.
        tx.enqueue([Job(FAN_OUT, FAN_OUT, {}, due=store.now())])

    store.write(transact)
    return webhook


def replace_webhook(
    store: Store, webhook_id: str, id_in_body: str, request: WebhookRequest, principal: Principal, base_url: str
) -> Webhook:
    """Replace everything of a webhook but its id; the old `api_key_value` stays if none is sent.

    With the status `created`, waiting events are sent at once, after an error too. If the owner changes the webhook,
    its events are filtered by the groups that the owner has now.

    Raises:
        NotFound: It does not exist, or the principal may not see it.
        Forbidden: The principal is not its owner, or may not write a class that is added or removed.
        Invalid: The ids differ, the status may not be set, or as for `register`.
    """
    if id_in_body != webhook_id:
        raise Invalid.field("id", "it has to be the id in the path")
    _check(store, request, principal.name)
    access = store.access(principal)

    def transact(tx: Write) -> Webhook:
        tx.claim(("document", webhook_id))
        stored = _require_owned(store, load(tx, webhook_id), webhook_id, principal)
        access.check_difference(document_classes(stored.document), document_classes(request.document))
        _refuse_unreadable(store, tx, access, request.document)
        problem = check_change(stored.status, request.status)
        if problem is not None:
            raise Invalid.field("status", problem)
        changed = replace(
            stored,
            document=request.document,
            status=request.status,
            error=None,
            base_url=base_url,
            api_key_value=stored.api_key_value if request.api_key_value is None else request.api_key_value,
        )
        if principal.name == stored.owner:
            changed = replace(changed, groups=tuple(sorted(principal.groups)), admin=ADMIN in principal.scopes)
        check_document_size(asdict(changed))
        save(tx, changed)
        if changed.sends:
            open_queue(tx, webhook_id, store.now())
        else:
            stop_queue(tx, webhook_id)
        return changed

    return store.write(transact)


def delete(store: Store, webhook_id: str, principal: Principal) -> None:
    """Delete the webhook and its waiting events.

    Raises:
        NotFound: It does not exist, or the principal may not see it.
        Forbidden: The principal is not its owner.
    """

    def transact(tx: Write) -> None:
        tx.claim(ALL, ("document", webhook_id))
        _require_owned(store, load(tx, webhook_id), webhook_id, principal)
        tx.delete_document(WEBHOOK, webhook_id)
        close_queue(tx, webhook_id)
        tx.enqueue([Job(FORGET, webhook_id, {}, due=store.now())])

    store.write(transact)


def replay(store: Store, webhook_id: str) -> bool:
    """Take a webhook out of the status `error`, so that its waiting events are sent; return False in another status.

    Raises:
        NotFound: It does not exist.
    """

    def transact(tx: Write) -> bool:
        tx.claim(("document", webhook_id))
        stored = load(tx, webhook_id)
        if stored is None:
            raise _unknown(webhook_id)
        if stored.status != "error":
            return False
        save(tx, replace(stored, status="created", error=None))
        open_queue(tx, webhook_id, store.now())
        return True

    return store.write(transact)


def load(read: Read, webhook_id: str) -> Webhook | None:
    """Return the webhook, or None if it does not exist."""
    document = read.document(WEBHOOK, webhook_id)
    return None if document is None else _from_document(document)


def load_all(read: Read) -> list[Webhook]:
    """Return every webhook."""
    documents = all_items(
        lambda after: read.list_documents(WEBHOOK, order=_ORDER, where={}, reverse=False, after=after, limit=1000)
    )
    return [_from_document(document) for document in documents]


def save(tx: Write, webhook: Webhook) -> None:
    """Store the webhook; the caller has claimed it."""
    visible_to = [_owner_entry(webhook.owner), *map(_reader_entry, document_classes(webhook.document))]
    tx.put_document(
        Document(
            WEBHOOK,
            webhook.id,
            asdict(webhook),
            {_ORDER: alphabetical(webhook.url, webhook.id), _OWNER: webhook.owner},
            {**webhook.document.get("tags", {}), _VISIBLE_TO: visible_to},
        )
    )


def _is_owned(webhook: Webhook, principal: Principal) -> bool:
    return webhook.owner == principal.name or ADMIN in principal.scopes


def _require_owned(store: Store, webhook: Webhook | None, webhook_id: str, principal: Principal) -> Webhook:
    """Return the webhook if the principal may change it; else raise NotFound or Forbidden."""
    if webhook is None:
        raise _unknown(webhook_id)
    if not _is_owned(webhook, principal):
        if _access_by_class(store, principal).knows(document_classes(webhook.document)):
            raise Forbidden("only its owner and admin may change a webhook")
        raise _unknown(webhook_id)
    return webhook


def _access_by_class(store: Store, principal: Principal) -> Access:
    """Return the principal's access to the webhooks of others: none if classes are off."""
    access = store.access(principal)
    return access if access.is_limited else _NOTHING


def _visible(store: Store, read: Read, access: Access, webhooks: Sequence[Webhook]) -> list[Webhook]:
    """Return webhooks of others without the ids, and labels of Storage Backends, that the reader may not read."""
    if not access.is_limited or not webhooks:
        return list(webhooks)
    readable = _readable(store, read, access, [webhook.document for webhook in webhooks])
    readable_backends = readable["accept_storage_ids"]
    hidden_labels = {
        storage.backend.label for storage_id, storage in store.storages.items() if storage_id not in readable_backends
    }
    return [
        replace(webhook, document=_visible_document(webhook.document, readable, hidden_labels)) for webhook in webhooks
    ]


def _visible_document(
    document: dict[str, Any], readable: Mapping[str, Collection[str]], hidden_labels: Collection[str]
) -> dict[str, Any]:
    visible = {
        name: [resource_id for resource_id in value if resource_id in readable[name]] if name in readable else value
        for name, value in document.items()
    }
    if "accept_get_urls" in visible:
        visible["accept_get_urls"] = [label for label in visible["accept_get_urls"] if label not in hidden_labels]
    return visible


def _refuse_unreadable(store: Store, read: Read, access: Access, document: dict[str, Any]) -> None:
    """Refuse a filter by an id that the principal may not read. An id that does not exist gets the same message."""
    if not access.is_limited:
        return
    for name, readable_ids in _readable(store, read, access, [document]).items():
        for index, resource_id in enumerate(document.get(name, ())):
            if resource_id not in readable_ids:
                raise Invalid.field(f"{name}[{index}]", "nothing that you may read has this id")


def _readable(
    store: Store, read: Read, access: Access, documents: Sequence[dict[str, Any]]
) -> dict[str, Collection[str]]:
    """Return the readable ids of each filter by ids."""

    def named(*filters: str) -> set[str]:
        return {resource_id for document in documents for name in filters for resource_id in document.get(name, ())}

    flows = readable_flows(read, access, named(*_FLOW_FILTERS))
    sources = readable_sources(read, access, named(*_SOURCE_FILTERS))
    return {
        **dict.fromkeys(_FLOW_FILTERS, flows),
        **dict.fromkeys(_SOURCE_FILTERS, sources),
        "accept_storage_ids": set(store.shown_backends(access)),
    }


def _owner_entry(name: str) -> str:
    return f"owner {name}"


def _reader_entry(name: str) -> str:
    return f"class {name}"


def _check(store: Store, request: WebhookRequest, owner: str) -> None:
    document = request.document
    if request.api_key_value is not None and "api_key_name" not in document:
        raise Invalid.field("api_key_name", "required with api_key_value: the name of the header that it is sent in")
    try:
        Egress(parse_allowed(store.settings.outbound_allow)).check(document["url"], owner)
    except (ValueError, DestinationRefused) as error:
        raise Invalid.field("url", str(error)) from error


def _unknown(webhook_id: str) -> NotFound:
    return NotFound(f"there is no {_NAME.format(webhook_id)}")


def _from_document(document: Document) -> Webhook:
    body: Mapping[str, Any] = document.body
    return Webhook(**body)

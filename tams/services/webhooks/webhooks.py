"""Webhooks: their records and their states. What waits for them is `tams.services.webhooks.queue`'s."""

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
from tams.repository.port import Cursor, Document, Job, Page, Read, Write, every
from tams.services.access.authorization import readable_flows, readable_sources, require
from tams.services.egress import Outbound, Refused
from tams.services.outbox import WEBHOOK
from tams.services.store import Store
from tams.services.webhooks.queue import FAN_OUT, FORGET, close_queue, open_queue, stop_queue

ALL: tuple[Literal["document"], str] = ("document", "webhooks")
"""What is claimed by whoever adds or removes a webhook, and by whoever has to see all of them."""

_ORDER = "url"
_OWNER = "owner"
_NAME = "webhook {}"
_NOTHING = Access(frozenset(), frozenset(), frozenset())
# Whom a webhook is shown to, as a tag that no client can write or ask for: their names hold no U+0000. A webhook is
# shown to its owner or by any of its classes, and one filter has to say so.
_SHOWN_TO = "\0shown to"
_OF_FLOWS = ("flow_ids", "flow_collected_by_ids")
_OF_SOURCES = ("source_ids", "source_collected_by_ids")


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """What a client sends. `document` as in `Webhook`; `api_key_value` None where it is not given."""

    document: dict[str, Any]
    api_key_value: str | None
    status: Literal["created", "disabled"]


def get(store: Store, webhook_id: str, principal: Principal) -> Webhook:
    """The webhook. `NotFound`, also where it is not shown to the principal; `Forbidden` without read on its classes."""
    with store.repository.read() as read:
        webhook = load(read, webhook_id)
        if webhook is None:
            raise _unknown(webhook_id)
        if _is_owned(webhook, principal):
            return webhook
        access = _access_by_class(store, principal)
        require(access, "read", document_classes(webhook.document), _NAME.format(webhook_id))
        return _as_seen(store, read, access, [webhook])[0]


def check_owned(store: Store, webhook_id: str, principal: Principal) -> None:
    """`NotFound`, or `Forbidden` where the webhook is shown to the principal, but is not theirs to change."""
    webhook = store.repository.ask(lambda read: load(read, webhook_id))
    _owned(store, webhook, webhook_id, principal)


def list_webhooks(
    store: Store, principal: Principal, tags: TagFilter, *, reverse: bool, after: Cursor | None, limit: int
) -> Page[Webhook]:
    """A page of webhooks by URL: the principal's own, those of classes that they may read, or all of them for admin."""
    access = store.access(principal)
    where = {}
    if access.is_limited:
        shown_to = [_to_owner(principal.name), *map(_to_readers, sorted(access.read or ()))]
        tags = replace(tags, any_of=(*tags.any_of, (_SHOWN_TO, tuple(shown_to))))
    elif ADMIN not in principal.scopes:
        where = {_OWNER: principal.name}
    with store.repository.read() as read:
        page = read.list_documents(
            WEBHOOK, order=_ORDER, where=where, reverse=reverse, after=after, limit=limit, tags=tags
        )
        found = [_from_document(document) for document in page.items]
        others = [webhook for webhook in found if not _is_owned(webhook, principal)]
        seen = {webhook.id: webhook for webhook in _as_seen(store, read, access, others)}
    return Page([seen.get(webhook.id, webhook) for webhook in found], page.next)


def register(store: Store, wanted: WebhookRequest, principal: Principal, base_url: str) -> Webhook:
    """Register a webhook (specification, `POST /service/webhooks`). `Invalid` for what could not be honoured, also for
    filters by ids that the principal may not read; `Forbidden` for classes that they may not write."""
    _check(store, wanted)
    access = store.access(principal)
    webhook = Webhook(
        new_id(),
        wanted.document,
        wanted.status,
        wanted.api_key_value,
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
        # Whoever shares out events lends the job out from now on; that a lease ends early does no harm.
        tx.enqueue([Job(FAN_OUT, FAN_OUT, {}, due=store.now())])

    store.write(transact)
    return webhook


def replace_webhook(
    store: Store, webhook_id: str, id_in_body: str, wanted: WebhookRequest, principal: Principal, base_url: str
) -> Webhook:
    """Change everything about a webhook but its id; without a new `api_key_value` the old one stays.

    With the state `created` whatever waits is sent at once, after an error too. Where its owner does it, it is judged
    anew what it may be sent. `NotFound`, `Forbidden`, `Invalid`.
    """
    if id_in_body != webhook_id:
        raise Invalid.field("id", "it has to be the id in the path")
    _check(store, wanted)
    access = store.access(principal)

    def transact(tx: Write) -> Webhook:
        tx.claim(("document", webhook_id))
        stored = _owned(store, load(tx, webhook_id), webhook_id, principal)
        access.check_difference(document_classes(stored.document), document_classes(wanted.document))
        _refuse_unreadable(store, tx, access, wanted.document)
        wrong = check_change(stored.status, wanted.status)
        if wrong is not None:
            raise Invalid.field("status", wrong)
        changed = replace(
            stored,
            document=wanted.document,
            status=wanted.status,
            error=None,
            base_url=base_url,
            api_key_value=stored.api_key_value if wanted.api_key_value is None else wanted.api_key_value,
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
    """Delete the webhook and what waits for it. `NotFound`, `Forbidden`."""

    def transact(tx: Write) -> None:
        tx.claim(ALL, ("document", webhook_id))
        _owned(store, load(tx, webhook_id), webhook_id, principal)
        tx.delete_document(WEBHOOK, webhook_id)
        close_queue(tx, webhook_id)
        tx.enqueue([Job(FORGET, webhook_id, {}, due=store.now())])

    store.write(transact)


def replay(store: Store, webhook_id: str) -> bool:
    """Take a webhook out of the state `error`, so that what waits is sent; False where it is in another. `NotFound`."""

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
    """The webhook, None where there is none."""
    document = read.document(WEBHOOK, webhook_id)
    return None if document is None else _from_document(document)


def load_all(read: Read) -> list[Webhook]:
    """Every webhook."""
    documents = every(
        lambda after: read.list_documents(WEBHOOK, order=_ORDER, where={}, reverse=False, after=after, limit=1000)
    )
    return [_from_document(document) for document in documents]


def save(tx: Write, webhook: Webhook) -> None:
    """Store the webhook; the caller has claimed it."""
    shown_to = [_to_owner(webhook.owner), *map(_to_readers, document_classes(webhook.document))]
    tx.put_document(
        Document(
            WEBHOOK,
            webhook.id,
            asdict(webhook),
            {_ORDER: alphabetical(webhook.url, webhook.id), _OWNER: webhook.owner},
            {**webhook.document.get("tags", {}), _SHOWN_TO: shown_to},
        )
    )


def _is_owned(webhook: Webhook, principal: Principal) -> bool:
    return webhook.owner == principal.name or ADMIN in principal.scopes


def _owned(store: Store, webhook: Webhook | None, webhook_id: str, principal: Principal) -> Webhook:
    """The webhook, which the principal may change."""
    if webhook is None:
        raise _unknown(webhook_id)
    if not _is_owned(webhook, principal):
        if _access_by_class(store, principal).knows(document_classes(webhook.document)):
            raise Forbidden("only its owner and admin may change a webhook")
        raise _unknown(webhook_id)
    return webhook


def _access_by_class(store: Store, principal: Principal) -> Access:
    """What the principal may do with the webhooks of others: nothing where there are no classes."""
    access = store.access(principal)
    return access if access.is_limited else _NOTHING


def _as_seen(store: Store, read: Read, access: Access, found: Sequence[Webhook]) -> list[Webhook]:
    """Webhooks of others: without ids, and labels of Storage Backends, that the reader may not read."""
    if not access.is_limited or not found:
        return list(found)
    readable = _readable(store, read, access, [webhook.document for webhook in found])
    shown = readable["accept_storage_ids"]
    hidden = {storage.backend.label for each, storage in store.storages.items() if each not in shown}
    return [replace(webhook, document=_document_as_seen(webhook.document, readable, hidden)) for webhook in found]


def _document_as_seen(
    document: dict[str, Any], readable: Mapping[str, Collection[str]], hidden_labels: Collection[str]
) -> dict[str, Any]:
    seen = {
        name: [each for each in value if each in readable[name]] if name in readable else value
        for name, value in document.items()
    }
    if "accept_get_urls" in seen:
        seen["accept_get_urls"] = [label for label in seen["accept_get_urls"] if label not in hidden_labels]
    return seen


def _refuse_unreadable(store: Store, read: Read, access: Access, document: dict[str, Any]) -> None:
    """`Invalid` where a filter names what the principal may not read, as where it names nothing that there is."""
    if not access.is_limited:
        return
    for name, readable in _readable(store, read, access, [document]).items():
        for index, each in enumerate(document.get(name, ())):
            if each not in readable:
                raise Invalid.field(f"{name}[{index}]", "there is nothing with this id that you may read")


def _readable(
    store: Store, read: Read, access: Access, documents: Sequence[dict[str, Any]]
) -> dict[str, Collection[str]]:
    """For each filter by ids those of its ids that may be read."""

    def named(*filters: str) -> set[str]:
        return {each for document in documents for name in filters for each in document.get(name, ())}

    flows = readable_flows(read, access, named(*_OF_FLOWS))
    sources = readable_sources(read, access, named(*_OF_SOURCES))
    return {
        **dict.fromkeys(_OF_FLOWS, flows),
        **dict.fromkeys(_OF_SOURCES, sources),
        "accept_storage_ids": set(store.shown_backends(access)),
    }


def _to_owner(name: str) -> str:
    return f"owner {name}"


def _to_readers(name: str) -> str:
    return f"class {name}"


def _check(store: Store, wanted: WebhookRequest) -> None:
    document = wanted.document
    if wanted.api_key_value is not None and "api_key_name" not in document:
        raise Invalid.field("api_key_name", "without the name of a header api_key_value cannot be sent")
    try:
        Outbound(parse_allowed(store.settings.outbound_allow)).check(document["url"])
    except (ValueError, Refused) as error:
        raise Invalid.field("url", str(error)) from error


def _unknown(webhook_id: str) -> NotFound:
    return NotFound(f"there is no {_NAME.format(webhook_id)}")


def _from_document(document: Document) -> Webhook:
    body: Mapping[str, Any] = document.body
    return Webhook(**body)

"""Webhooks: their records and their states. What waits for them is `tams.services.deliveries`'s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from tams.domain.access import ADMIN, Principal
from tams.domain.destinations import parse_allowed
from tams.domain.errors import Invalid, NotFound
from tams.domain.filters import TagFilter
from tams.domain.identifiers import new_id
from tams.domain.limits import check_document_size
from tams.domain.ordering import alphabetical
from tams.domain.webhooks import Webhook, check_change
from tams.repository.port import Cursor, Document, Job, Page, Read, Write
from tams.services.deliveries import FAN_OUT, FORGET, close_queue, open_queue, stop_queue
from tams.services.events import WEBHOOK
from tams.services.outbound import Outbound, Refused
from tams.services.store import Store

ALL: tuple[Literal["document"], str] = ("document", "webhooks")
"""What is claimed by whoever adds or removes a webhook, and by whoever has to see all of them."""

_ORDER = "url"
_OWNER = "owner"


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """What a client sends. `document` as in `Webhook`; `api_key_value` None where it is not given."""

    document: dict[str, Any]
    api_key_value: str | None
    status: Literal["created", "disabled"]


def get(store: Store, webhook_id: str, principal: Principal) -> Webhook:
    """The webhook. `NotFound`, also where it is not shown to the principal."""
    with store.repository.read() as read:
        return _shown(load(read, webhook_id), webhook_id, principal)


def list_webhooks(
    store: Store, principal: Principal, tags: TagFilter, reverse: bool, after: Cursor | None, limit: int
) -> Page[Webhook]:
    """A page of webhooks by URL: the principal's own, or all of them for admin."""
    where = {} if ADMIN in principal.scopes else {_OWNER: principal.name}
    with store.repository.read() as read:
        page = read.list_documents(WEBHOOK, _ORDER, where, reverse, after, limit, tags)
    return Page([_from_document(document) for document in page.items], page.next)


def register(store: Store, wanted: WebhookRequest, principal: Principal, base_url: str) -> Webhook:
    """Register a webhook (specification, `POST /service/webhooks`). `Invalid` for what could not be honoured."""
    _check(store, wanted)
    webhook = Webhook(new_id(), wanted.document, wanted.status, wanted.api_key_value, principal.name, base_url)
    check_document_size(asdict(webhook))

    def body(tx: Write) -> None:
        tx.claim(ALL, ("document", webhook.id))
        save(tx, webhook)
        # Whoever shares out events lends the job out from now on; that a lease ends early does no harm.
        tx.enqueue([Job(FAN_OUT, FAN_OUT, {}, due=store.now())])

    store.write(body)
    return webhook


def replace_webhook(
    store: Store, webhook_id: str, id_in_body: str, wanted: WebhookRequest, principal: Principal, base_url: str
) -> Webhook:
    """Change everything about a webhook but its id; without a new `api_key_value` the old one stays.

    With the state `created` whatever waits is sent at once, after an error too. `NotFound`, `Invalid`.
    """
    if id_in_body != webhook_id:
        raise Invalid.field("id", "it has to be the id in the path")
    _check(store, wanted)

    def body(tx: Write) -> Webhook:
        tx.claim(("document", webhook_id))
        stored = _shown(load(tx, webhook_id), webhook_id, principal)
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
        check_document_size(asdict(changed))
        save(tx, changed)
        if changed.sends:
            open_queue(tx, webhook_id, store.now())
        else:
            stop_queue(tx, webhook_id)
        return changed

    return store.write(body)


def delete(store: Store, webhook_id: str, principal: Principal) -> None:
    """Delete the webhook and what waits for it. `NotFound`."""

    def body(tx: Write) -> None:
        tx.claim(ALL, ("document", webhook_id))
        _shown(load(tx, webhook_id), webhook_id, principal)
        tx.delete_document(WEBHOOK, webhook_id)
        close_queue(tx, webhook_id)
        tx.enqueue([Job(FORGET, webhook_id, {}, due=store.now())])

    store.write(body)


def replay(store: Store, webhook_id: str) -> bool:
    """Take a webhook out of the state `error`, so that what waits is sent; False where it is in another. `NotFound`."""

    def body(tx: Write) -> bool:
        tx.claim(("document", webhook_id))
        stored = load(tx, webhook_id)
        if stored is None:
            raise _unknown(webhook_id)
        if stored.status != "error":
            return False
        save(tx, replace(stored, status="created", error=None))
        open_queue(tx, webhook_id, store.now())
        return True

    return store.write(body)


def load(read: Read, webhook_id: str) -> Webhook | None:
    """The webhook, None where there is none."""
    document = read.document(WEBHOOK, webhook_id)
    return None if document is None else _from_document(document)


def load_all(read: Read) -> list[Webhook]:
    """Every webhook."""
    found: list[Webhook] = []
    after: Cursor | None = None
    while True:
        page = read.list_documents(WEBHOOK, _ORDER, {}, reverse=False, after=after, limit=1000)
        found += [_from_document(document) for document in page.items]
        after = page.next
        if after is None:
            return found


def save(tx: Write, webhook: Webhook) -> None:
    """Store the webhook; the caller has claimed it."""
    tx.put_document(
        Document(
            WEBHOOK,
            webhook.id,
            asdict(webhook),
            {_ORDER: alphabetical(webhook.url, webhook.id), _OWNER: webhook.owner},
            webhook.document.get("tags", {}),
        )
    )


def _shown(webhook: Webhook | None, webhook_id: str, principal: Principal) -> Webhook:
    if webhook is None or not (webhook.owner == principal.name or ADMIN in principal.scopes):
        raise _unknown(webhook_id)
    return webhook


def _check(store: Store, wanted: WebhookRequest) -> None:
    document = wanted.document
    if wanted.api_key_value is not None and "api_key_name" not in document:
        raise Invalid.field("api_key_name", "without the name of a header api_key_value cannot be sent")
    try:
        Outbound(parse_allowed(store.settings.outbound_allow)).check(document["url"])
    except (ValueError, Refused) as error:
        raise Invalid.field("url", str(error)) from error


def _unknown(webhook_id: str) -> NotFound:
    return NotFound(f"There is no webhook {webhook_id}.")


def _from_document(document: Document) -> Webhook:
    body: Mapping[str, Any] = document.body
    return Webhook(**body)

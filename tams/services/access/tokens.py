"""Long-lived tokens for players and machines: made and revoked by `tams tokens`, stored as hashes.

A token is `tams_` + its id + `_` + 256 random bits. A fast hash is enough, because the random bits cannot be guessed.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from tams.domain.clock import MICROSECONDS
from tams.domain.errors import NotFound
from tams.domain.sort_keys import newest_first
from tams.repository.port import Document, all_items

if TYPE_CHECKING:
    from tams.repository.port import Cursor, Page, Write
    from tams.services.store import Store

KIND: Final = "token"
"""The kind of a token's document."""

PREFIX: Final = "tams_"
"""The prefix of every token; no JWT begins with it."""

_TOKEN: Final = re.compile(r"tams_([0-9a-f]{16})_[0-9a-f]{64}", re.ASCII)
_ORDER: Final = "created"
_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Token:
    """The record of a token. Times are in microseconds; `expires` is None if it never expires."""

    id: str
    name: str
    scopes: frozenset[str]
    groups: frozenset[str]
    created: int
    expires: int | None
    hash: str

    def has_expired(self, now: int) -> bool:
        """Return True if the token has expired at `now` (microseconds)."""
        return self.expires is not None and self.expires <= now


def create(
    store: Store, name: str, scopes: Iterable[str], groups: Iterable[str], seconds: int | None
) -> tuple[Token, str]:
    """Make a token that expires after `seconds`, or never if that is None.

    Return its record, and its text, which is not stored: it has to be shown now and cannot be shown again.
    """
    token_id = secrets.token_hex(8)
    text = f"{PREFIX}{token_id}_{secrets.token_hex(32)}"
    now = store.now()
    expires = None if seconds is None else now + seconds * MICROSECONDS
    token = Token(token_id, name, frozenset(scopes), frozenset(groups), now, expires, _hash(text))

    def transact(tx: Write) -> None:
        tx.claim(("document", token_id))
        tx.put_document(_to_document(token))

    store.write(transact)
    return token, text


def find(store: Store, text: str) -> Token | None:
    """Return the record of the token with this text, expired or not, or None if it is unknown or revoked."""
    match = _TOKEN.fullmatch(text)
    if match is None:
        return None
    document = store.repository.ask(lambda read: read.document(KIND, match[1]))
    if document is None:
        return None
    token = _from_document(document)
    return token if hmac.compare_digest(token.hash, _hash(text)) else None


def list_tokens(store: Store) -> Iterator[Token]:
    """Yield all tokens, latest first."""

    def page_after(after: Cursor | None) -> Page[Document]:
        with store.repository.read() as read:
            return read.list_documents(KIND, order=_ORDER, where={}, reverse=False, after=after, limit=_PAGE)

    return map(_from_document, all_items(page_after))


def revoke(store: Store, token_id: str) -> None:
    """Revoke a token. Raises NotFound if it does not exist."""

    def transact(tx: Write) -> None:
        tx.claim(("document", token_id))
        if not tx.delete_document(KIND, token_id):
            raise NotFound(f"there is no token {token_id}")

    store.write(transact)


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _to_document(token: Token) -> Document:
    body = {
        "name": token.name,
        "scopes": sorted(token.scopes),
        "groups": sorted(token.groups),
        "created": token.created,
        "expires": token.expires,
        "hash": token.hash,
    }
    return Document(KIND, token.id, body, {_ORDER: newest_first(token.created, token.id)})


def _from_document(document: Document) -> Token:
    body: dict[str, Any] = document.body
    scopes, groups = (frozenset(body[name]) for name in ("scopes", "groups"))
    return Token(document.id, body["name"], scopes, groups, body["created"], body["expires"], body["hash"])

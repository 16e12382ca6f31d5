"""The last failed attempt of a webhook whose events are tried again, for operators (`tams webhooks list`)."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from tams.repository.port import Document, Read, Write

_KIND = "webhook-attempt"


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """Why an attempt failed, the number of failures in a row, and its time and that of the next (microseconds)."""

    reason: str
    failures: int
    time: int
    next: int


def load_attempt(read: Read, webhook_id: str) -> FailedAttempt | None:
    """Return the last failed attempt, or None if the webhook has none, or has succeeded or was given up since."""
    document = read.document(_KIND, webhook_id)
    return None if document is None else FailedAttempt(**document.body)


def save_attempt(tx: Write, webhook_id: str, attempt: FailedAttempt) -> None:
    """Store the attempt; the caller has claimed the webhook."""
    tx.put_document(Document(_KIND, webhook_id, asdict(attempt)))


def forget_attempt(tx: Write, webhook_id: str) -> None:
    """Remove the record of an attempt, if there is one; the caller has claimed the webhook."""
    tx.delete_document(_KIND, webhook_id)

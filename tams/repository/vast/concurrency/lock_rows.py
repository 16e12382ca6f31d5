"""Rows of the table of locks."""

from __future__ import annotations

from tams.domain.clock import now
from tams.repository.vast.concurrency.operation import Operation
from tams.repository.vast.tables import Row

LOCK_COLUMNS = ("key", "kind", "op", "txid")
STORED = "stored"


def lock_row(key: str, kind: str, op: str, txid: int | str) -> Row:
    """Return a row of the table of locks."""
    return {"key": key, "kind": kind, "op": op, "txid": str(txid), "at": now()}


def end_key(op: str, txid: str) -> str:
    """Return the key of the rows that say that a claim has ended, and that its transaction is stored."""
    return f"end {op} {txid}"


def stored_record(operation: Operation, txid: int) -> Row:
    """Return the record that a transaction D is stored."""
    return lock_row(end_key(operation.name, str(txid)), STORED, operation.name, txid)

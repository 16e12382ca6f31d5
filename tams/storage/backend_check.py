"""The check of a Storage Backend: everything that the store needs of it, step by step, with a probe."""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tams.storage.local.storage import LocalStorage
from tams.storage.port import BackendDown, MissingObject, StorageError

if TYPE_CHECKING:
    from tams.storage.port import Storage

_TYPE: Final = "video/mp2t"
# Seconds; no upload is that old, so that the check removes none.
_AGES: Final = 10**10


@dataclass(frozen=True, slots=True)
class Finding:
    """A step, and the sentence that says what is wrong with it; None if it works."""

    step: str
    problem: str | None = None


def check_backend(storage: Storage, origins: Sequence[str]) -> list[Finding]:
    """Try all steps, also after a failed one if possible. `origins` are the web origins that may use the media.

    Leaves nothing behind, unless it is the deletion that fails.
    """
    key, copied = storage.new_key("storage-check"), storage.new_key("storage-check")
    probe = secrets.token_bytes(1000)
    steps: list[tuple[str, Callable[[], None]]] = [
        ("writes", lambda: _write(storage, key, probe)),
        ("reads", lambda: _read(storage, key, probe)),
        ("lists", lambda: _list(storage, key)),
        ("copies", lambda: _copy(storage, key, copied, probe)),
        ("looks for unfinished uploads", lambda: _look_for_unfinished(storage)),
        *_url_steps(storage, key, probe, origins),
        ("deletes", lambda: _delete(storage, key, copied)),
    ]
    findings = []
    for step, attempt in steps:
        try:
            attempt()
            findings.append(Finding(step))
        except StorageError as error:
            findings.append(Finding(step, storage.diagnosis(error) if step == "writes" else str(error)))
            if step == "writes":
                break
    return findings


def _write(storage: Storage, key: str, probe: bytes) -> None:
    stored = storage.put(key, io.BytesIO(probe), _TYPE)
    if stored.content_type != _TYPE:
        raise BackendDown(f"the content type {_TYPE} became {stored.content_type}")


def _read(storage: Storage, key: str, probe: bytes) -> None:
    if b"".join(storage.open(key)) != probe:
        raise BackendDown("the bytes read differ from those written")
    if b"".join(storage.open(key, 10, 20)) != probe[10:30]:
        raise BackendDown("a request for a range of bytes is not answered with that range")


def _list(storage: Storage, key: str) -> None:
    if [item.key for item in storage.listing(after=key[:-1], limit=1)] != [key]:
        raise BackendDown("the key just written is not listed")


def _copy(storage: Storage, key: str, target: str, probe: bytes) -> None:
    storage.copy(key, target)
    _read(storage, target, probe)


def _look_for_unfinished(storage: Storage) -> None:
    storage.sweep(_AGES)


def _delete(storage: Storage, *keys: str) -> None:
    for key in keys:
        storage.delete(key)
        if storage.head(key) is not None:
            raise BackendDown("a deleted key is still there")
        try:
            storage.open(key)
        except MissingObject:
            continue
        raise BackendDown("a deleted key can still be read")


def _url_steps(
    storage: Storage, key: str, probe: bytes, origins: Sequence[str]
) -> list[tuple[str, Callable[[], None]]]:
    if isinstance(storage, LocalStorage):
        # Its URLs lead to this service, which need not be running now.
        return []
    from tams.storage.s3.url_check import url_steps

    return url_steps(storage, key, probe, origins)

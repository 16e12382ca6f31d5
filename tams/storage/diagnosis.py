"""Whether a Storage Backend does everything that the store needs of it, tried out step by step with a probe."""

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
# Seconds; what was begun so long ago was begun before there were computers.
_AGES: Final = 10**10


@dataclass(frozen=True, slots=True)
class Finding:
    """What was tried, and the sentence that says what is wrong with it; None where it works."""

    step: str
    problem: str | None = None


def diagnose(storage: Storage, origins: Sequence[str]) -> list[Finding]:
    """Try all steps, those after a failure too where they can be. `origins` are the web origins that media are for.

    Nothing is left behind unless the deletion is what fails.
    """
    key, copied = storage.new_key("storage-check"), storage.new_key("storage-check")
    probe = secrets.token_bytes(1000)
    steps: list[tuple[str, Callable[[], None]]] = [
        ("writes", lambda: _write(storage, key, probe)),
        ("reads", lambda: _read(storage, key, probe)),
        ("lists", lambda: _list(storage, key)),
        ("copies", lambda: _copy(storage, key, copied, probe)),
        ("looks for unfinished uploads", lambda: _look_for_unfinished(storage)),
        *_steps_of_urls(storage, key, probe, origins),
        ("deletes", lambda: _delete(storage, key, copied)),
    ]
    findings = []
    for step, attempt in steps:
        try:
            attempt()
            findings.append(Finding(step))
        except StorageError as error:
            findings.append(Finding(step, str(error)))
            if step == "writes":
                break
    return findings


def _write(storage: Storage, key: str, probe: bytes) -> None:
    stored = storage.put(key, io.BytesIO(probe), _TYPE)
    if stored.content_type != _TYPE:
        raise BackendDown(f"the content type {_TYPE} became {stored.content_type}")


def _read(storage: Storage, key: str, probe: bytes) -> None:
    if b"".join(storage.open(key)) != probe:
        raise BackendDown("other bytes were read than written")
    if b"".join(storage.open(key, 10, 20)) != probe[10:30]:
        raise BackendDown("a range of bytes is not answered with that range")


def _list(storage: Storage, key: str) -> None:
    if [item.key for item in storage.listing(after=key[:-1], limit=1)] != [key]:
        raise BackendDown("what was written is not listed")


def _copy(storage: Storage, key: str, target: str, probe: bytes) -> None:
    storage.copy(key, target)
    _read(storage, target, probe)


def _look_for_unfinished(storage: Storage) -> None:
    storage.sweep(_AGES)


def _delete(storage: Storage, *keys: str) -> None:
    for key in keys:
        storage.delete(key)
        if storage.head(key) is not None:
            raise BackendDown("what was deleted is still there")
        try:
            storage.open(key)
        except MissingObject:
            continue
        raise BackendDown("what was deleted can still be read")


def _steps_of_urls(
    storage: Storage, key: str, probe: bytes, origins: Sequence[str]
) -> list[tuple[str, Callable[[], None]]]:
    if isinstance(storage, LocalStorage):
        # This service answers its URLs itself, and need not be running now.
        return []
    from tams.storage.s3.probing import steps_of_urls

    return steps_of_urls(storage, key, probe, origins)

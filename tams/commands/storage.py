"""What `tams storage` does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

import click
import orjson

from tams.app import opened_store
from tams.config import ConfigurationError
from tams.services.objects.reconciliation import Discrepancy, Reconciliation
from tams.storage.diagnosis import diagnose
from tams.storage.factory import open_storages
from tams.storage.local.storage import LocalStorage
from tams.storage.port import Backend, Storage, StorageError

if TYPE_CHECKING:
    from tams.config import Settings

_NOT_COMPARED: Final = 2
"""The exit code where a backend did not answer."""


def init(settings: Settings, wanted: Sequence[str], *, create_bucket: bool) -> int:
    """Set up the buckets; the exit code. Raises ConfigurationError for a backend that is not configured."""
    failed = False
    for storage in _chosen(settings, wanted):
        click.echo(f"{storage.backend.label} ({storage.backend.id})")
        if isinstance(storage, LocalStorage):
            click.echo("  local: nothing to set up")
            continue
        from tams.storage.s3.setup import RulesLost

        try:
            _set_up(storage, settings.cors_origins, create_bucket=create_bucket)
        except StorageError as error:
            failed = True
            click.echo(f"  FAILED  {error}")
            if isinstance(error, RulesLost):
                click.echo("  The rules before, for you to restore:")
                click.echo(orjson.dumps(error.before, default=str, option=orjson.OPT_INDENT_2).decode())
    return int(failed)


def check(settings: Settings, wanted: Sequence[str]) -> int:
    """Try out the backends; the exit code. Raises ConfigurationError for a backend that is not configured."""
    failed = False
    for storage in _chosen(settings, wanted):
        click.echo(f"{storage.backend.label} ({storage.backend.id})")
        for finding in diagnose(storage, settings.cors_origins):
            if finding.problem is None:
                click.echo(f"  ok      {finding.step}")
            else:
                failed = True
                click.echo(f"  FAILED  {finding.step}: {finding.problem}")
    return int(failed)


def reconcile(settings: Settings, wanted: Sequence[str], *, repair: bool, as_json: bool) -> int:
    """Compare the database with the backends; the exit code. Raises ConfigurationError for a backend, or a database,
    that is not there."""
    code = 0
    with opened_store(settings) as store:
        for storage in _among(list(store.storages.values()), wanted):
            report: _Report = _Lines(storage.backend) if as_json else _Text(storage.backend)
            compared = Reconciliation(store, storage, repair=repair)
            found: Counter[str] = Counter()
            try:
                for discrepancy in compared.discrepancies():
                    found[discrepancy.finding] += 1
                    found["deleted"] += discrepancy.deleted
                    report.tell(discrepancy)
                report.end(compared, found)
                code = max(code, int(bool(found)))
            except StorageError as error:
                report.fail(error)
                code = _NOT_COMPARED
    return code


class _Report(Protocol):
    """Where a comparison is told as it goes on."""

    def __init__(self, backend: Backend) -> None: ...

    def tell(self, discrepancy: Discrepancy) -> None:
        """One key."""

    def end(self, compared: Reconciliation, found: Counter[str]) -> None:
        """All of it."""

    def fail(self, error: StorageError) -> None:
        """Why it came to no end."""


class _Text(_Report):
    """For people."""

    def __init__(self, backend: Backend) -> None:
        click.echo(f"{backend.label} ({backend.id})")

    def tell(self, discrepancy: Discrepancy) -> None:
        words = [f"  {discrepancy.finding:8}{discrepancy.key}"]
        if discrepancy.object_id is not None:
            words.append(f"object {discrepancy.object_id}")
        if discrepancy.modified is not None:
            at = datetime.fromtimestamp(discrepancy.modified, UTC)
            words.append(f"{discrepancy.size} bytes of {at:%Y-%m-%dT%H:%M:%SZ}")
        if discrepancy.deleted or discrepancy.problem:
            words.append(discrepancy.problem or "deleted")
        click.echo(", ".join(words))

    def end(self, compared: Reconciliation, found: Counter[str]) -> None:
        click.echo(
            f"  {compared.stored} keys with bytes, {compared.named} instances: {found['orphan']} orphaned "
            f"({found['deleted']} deleted), {found['missing']} missing"
        )

    def fail(self, error: StorageError) -> None:
        click.echo(f"  FAILED  {error}")


class _Lines(_Report):
    """For programs: a JSON object on each line, and one for each backend at its end."""

    def __init__(self, backend: Backend) -> None:
        self._backend = {"storage_id": backend.id, "label": backend.label}

    def tell(self, discrepancy: Discrepancy) -> None:
        self._write(asdict(discrepancy))

    def end(self, compared: Reconciliation, found: Counter[str]) -> None:
        counts = {"stored": compared.stored, "instances": compared.named}
        self._write(
            {"finding": "summary", **counts, **{name: found[name] for name in ("orphan", "missing", "deleted")}}
        )

    def fail(self, error: StorageError) -> None:
        self._write({"finding": "failed", "problem": str(error)})

    def _write(self, line: dict[str, object]) -> None:
        click.echo(orjson.dumps(self._backend | line))


def _chosen(settings: Settings, wanted: Sequence[str]) -> list[Storage]:
    return _among(list(open_storages(settings).values()), wanted)


def _among(storages: list[Storage], wanted: Sequence[str]) -> list[Storage]:
    known = {name: item for item in storages for name in (item.backend.id, item.backend.label)}
    for name in wanted:
        if name not in known:
            labels = ", ".join(item.backend.label for item in storages)
            raise ConfigurationError(f"There is no storage backend {name}: name one of {labels}, or its id.")
    return [known[name] for name in wanted] if wanted else storages


def _set_up(storage: Storage, origins: Sequence[str], *, create_bucket: bool) -> None:
    from tams.storage.s3 import setup
    from tams.storage.s3.storage import S3Storage

    if not isinstance(storage, S3Storage):
        raise TypeError(f"there is no way to set up {type(storage).__name__}")
    if create_bucket:
        click.echo(f"  bucket: {'made' if setup.create_bucket(storage) else 'is there'}")
    click.echo(f"  lifecycle: {'rule written' if setup.set_lifecycle(storage) else 'rule is there'}")
    if origins:
        click.echo(f"  CORS: {'rule written' if setup.set_cors(storage, origins) else 'rule is there'}")
    else:
        click.echo("  CORS: no rule, because TAMS_CORS_ORIGINS names no web origin")

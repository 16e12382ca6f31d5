"""`tams storage`: setting up and checking storage backends, and comparing them with the database."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import click
import orjson
from typing_extensions import override

from tams.app import opened_store
from tams.commands import options, tables
from tams.commands.startup import start
from tams.config import ConfigurationError
from tams.domain.errors import NotFound, Unavailable
from tams.domain.timerange import format_bounded
from tams.services.objects.missing_media import Comparison, keep, segments_without_media
from tams.services.objects.reconciliation import Discrepancy, Reconciliation
from tams.storage.backend_check import check_backend
from tams.storage.factory import open_storages
from tams.storage.local.storage import LocalStorage
from tams.storage.port import Backend, Storage, StorageError

if TYPE_CHECKING:
    from tams.config import Settings
    from tams.services.store import Store

_FEW: Final = 10  # orphans that a repair deletes in any case
_NOT_COMPARED: Final = 2
"""The exit code if a backend did not answer."""


@click.group()
def storage() -> None:
    """Manage the storage backends.

    They are configured by TAMS_S3_… and TAMS_STORAGE_… variables, or in the file that TAMS_STORAGE_CONFIG names.
    """


@storage.command("list")
@options.data_dir
@tables.as_json
def list_command(data_dir: Path | None, as_json: bool) -> None:
    """List the storage backends as they are configured; `tams storage check` tries whether they work."""
    rows = [
        {
            "id": backend.id,
            "label": backend.label,
            "default": backend.default,
            "provider": backend.provider,
            "product": backend.store_product,
            "region": backend.region,
            "tags": dict(backend.tags),
        }
        for backend in (opened.backend for opened in open_storages(start(data_dir=data_dir)).values())
    ]
    shown = [{**row, "default": "default" if row["default"] else None} for row in rows]
    columns = {name: name for name in ("id", "label", "provider", "product", "region")} | {"default": ""}
    tables.show(columns, rows if as_json else shown, as_json=as_json)


@storage.command("init", short_help="Set up the buckets of S3 backends.")
@options.data_dir
@click.option("--create-bucket", is_flag=True, help="Create the bucket if it does not exist.")
@options.backends
def init_command(data_dir: Path | None, create_bucket: bool, backends: tuple[str, ...]) -> None:
    """Set up the buckets of S3 backends: all, or those with the given ids or labels.

    Adds a lifecycle rule that aborts unfinished multipart uploads, and a CORS rule that lets pages of TAMS_CORS_ORIGINS
    read and write media. Existing rules stay as they are. Safe to repeat.
    """
    sys.exit(init(start(data_dir=data_dir), backends, create_bucket=create_bucket))


@storage.command("check", short_help="Try everything that the store needs of its backends.")
@options.data_dir
@options.backends
def check_command(data_dir: Path | None, backends: tuple[str, ...]) -> None:
    """Try everything that the store needs of its backends: all, or those with the given ids or labels.

    Writes a probe, reads, lists and copies it, uses presigned URLs as clients do, looks at the rules of the bucket,
    and deletes the probe. Prints whether each step works, and exits with code 1 if one does not.
    """
    sys.exit(check(start(data_dir=data_dir), backends))


@storage.command("reconcile", short_help="Compare the database with the backends.")
@options.data_dir
@click.option("--repair", is_flag=True, help="Delete orphaned bytes that are older than unregistered storage is kept.")
@click.option("--allow-most", is_flag=True, help="Repair even a backend of which more than half would be deleted.")
@click.option("--flow", "flow_id", metavar="ID", help="Report only the Segments of this Flow that have no media.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object on each line.")
@options.backends
def reconcile_command(
    data_dir: Path | None,
    repair: bool,
    allow_most: bool,
    flow_id: str | None,
    as_json: bool,
    backends: tuple[str, ...],
) -> None:
    """Compare the database with the backends: all, or those with the given ids or labels.

    Reports orphaned bytes, which the database does not reference, and missing bytes, which clients are offered. Exits
    with code 0 if there are none, 1 if there are, and 2 if a backend does not answer. Safe at any time.
    """
    if flow_id is not None:
        if repair or backends:
            raise click.UsageError("--flow looks in every backend and repairs nothing: leave --repair and BACKEND out.")
        sys.exit(report_flow(start(data_dir=data_dir), flow_id, as_json=as_json))
    settings = start(data_dir=data_dir)
    if repair and not allow_most:
        refuse_to_delete_most(settings, backends)
    sys.exit(reconcile(settings, backends, repair=repair, as_json=as_json))


def init(settings: Settings, names: Sequence[str], *, create_bucket: bool) -> int:
    """Set up the buckets of the named backends, or of all; return the exit code.

    Raises:
        ConfigurationError: there is no backend with that id or label.
    """
    failed = False
    for backend in _chosen(settings, names):
        click.echo(f"{backend.backend.label} ({backend.backend.id})")
        if isinstance(backend, LocalStorage):
            click.echo("  local: nothing to set up")
            continue
        from tams.storage.s3.setup import RulesLost

        try:
            _set_up(backend, settings.cors_origins, create_bucket=create_bucket)
        except StorageError as error:
            failed = True
            click.echo(f"  FAILED  {error}")
            if isinstance(error, RulesLost):
                click.echo("  The rules before, for you to restore:")
                click.echo(orjson.dumps(error.before, default=str, option=orjson.OPT_INDENT_2).decode())
    return int(failed)


def check(settings: Settings, names: Sequence[str]) -> int:
    """Try out the named backends, or all; return the exit code.

    Raises:
        ConfigurationError: there is no backend with that id or label.
    """
    failed = False
    for backend in _chosen(settings, names):
        click.echo(f"{backend.backend.label} ({backend.backend.id})")
        for finding in check_backend(backend, settings.cors_origins):
            if finding.problem is None:
                click.echo(f"  ok      {finding.step}")
            else:
                failed = True
                click.echo(f"  FAILED  {finding.step}: {finding.problem}")
    return int(failed)


def refuse_to_delete_most(settings: Settings, names: Sequence[str]) -> None:
    """Check that a repair would leave at least half of each named backend, or that it concerns ten items at most.

    That most of the media are unknown to the database is a sign of a database that was lost, restored from an old
    backup, or belongs to another store.

    Raises:
        ConfigurationError: it would delete most of a backend; the message says what to do.
    """
    with opened_store(settings) as store:
        for backend in _named(list(store.storages.values()), names):
            comparison = Reconciliation(store, backend, repair=False)
            try:
                orphans = sum(item.finding == "orphan" for item in comparison.discrepancies())
            except StorageError:
                # The repair itself reports what is wrong with the backend.
                continue
            if orphans > _FEW and orphans * 2 > comparison.stored:
                raise ConfigurationError(
                    f"{orphans} of {comparison.stored} items in {backend.backend.label} are unknown to the database "
                    f"{settings.shown_database_url()}; nothing was deleted. Check that it is the database of these "
                    "media and not empty or an old copy. To delete them nevertheless, add --allow-most."
                )


def reconcile(settings: Settings, names: Sequence[str], *, repair: bool, as_json: bool) -> int:
    """Compare the database with the named backends, or all; return the exit code.

    Raises:
        ConfigurationError: the database does not answer, or there is no backend with that id or label.
    """
    code = 0
    with opened_store(settings) as store:
        for backend in _named(list(store.storages.values()), names):
            report: _Report = _JsonReport(backend.backend) if as_json else _TextReport(backend.backend)
            comparison = Reconciliation(store, backend, repair=repair)
            counts: Counter[str] = Counter()
            try:
                for discrepancy in comparison.discrepancies():
                    counts[discrepancy.finding] += 1
                    counts["deleted"] += discrepancy.deleted
                    counts["segments"] += discrepancy.segments
                    report.add(discrepancy)
                report.finish(comparison, counts)
                _keep(store, comparison, backend.backend.id, counts)
                code = max(code, int(bool(counts["orphan"] or counts["missing"])))
            except StorageError as error:
                report.fail(error)
                code = _NOT_COMPARED
    return code


def report_flow(settings: Settings, flow_id: str, *, as_json: bool) -> int:
    """Print the Segments of the Flow that have no media; return the exit code.

    Raises:
        ConfigurationError: the database does not answer, or there is no such Flow.
    """
    count = 0
    with opened_store(settings) as store:
        try:
            for item in segments_without_media(store, flow_id):
                count += 1
                segment = item.segment
                timerange = format_bounded(segment.start, segment.end, segment.closed)
                if as_json:
                    line = {"finding": "segment", "flow_id": flow_id, "timerange": timerange}
                    click.echo(orjson.dumps(line | {"object_ids": item.object_ids}))
                else:
                    click.echo(f"  {timerange}, without bytes: object {', object '.join(item.object_ids)}")
        except NotFound as error:
            raise ConfigurationError(f"{error} Look the id up with GET /flows.") from error
        except StorageError as error:
            failure = {"finding": "failed", "flow_id": flow_id, "problem": str(error)}
            click.echo(orjson.dumps(failure) if as_json else f"  FAILED  {error}")
            return _NOT_COMPARED
    if as_json:
        click.echo(orjson.dumps({"finding": "summary", "flow_id": flow_id, "segments": count}))
    else:
        click.echo(f"  Flow {flow_id}: {count} segments without media")
    return int(count > 0)


def _keep(store: Store, comparison: Reconciliation, storage_id: str, counts: Counter[str]) -> None:
    """Keep the totals for the overview of the store, unless only the serving process may write to the database."""
    if store.settings.one_writer:
        return
    totals = Comparison(
        storage_id,
        store.now(),
        stored=comparison.stored,
        instances=comparison.named,
        orphans=counts["orphan"] - counts["deleted"],
        missing=counts["missing"],
        segments=counts["segments"],
    )
    try:
        keep(store, totals)
    except Unavailable as error:
        click.echo(f"The totals were not kept for the overview: {error}", err=True)


class _Report(Protocol):
    """Output of a comparison while it goes on."""

    def __init__(self, backend: Backend) -> None: ...

    def add(self, discrepancy: Discrepancy) -> None:
        """Print one discrepancy."""

    def finish(self, comparison: Reconciliation, counts: Counter[str]) -> None:
        """Print the totals. `counts` has the keys `orphan`, `missing`, `deleted` and `segments`."""

    def fail(self, error: StorageError) -> None:
        """Print why the comparison could not be finished."""


class _TextReport(_Report):
    """A report for people."""

    def __init__(self, backend: Backend) -> None:
        click.echo(f"{backend.label} ({backend.id})")

    @override
    def add(self, discrepancy: Discrepancy) -> None:
        words = [f"  {discrepancy.finding:8}{discrepancy.key}"]
        if discrepancy.object_id is not None:
            words.append(f"object {discrepancy.object_id}")
        if discrepancy.modified is not None:
            modified = datetime.fromtimestamp(discrepancy.modified, UTC)
            words.append(f"{discrepancy.size} bytes of {modified:%Y-%m-%dT%H:%M:%SZ}")
        if discrepancy.segments:
            words.append(f"{discrepancy.segments} segments without media")
        if discrepancy.deleted or discrepancy.problem:
            words.append(discrepancy.problem or "deleted")
        click.echo(", ".join(words))

    @override
    def finish(self, comparison: Reconciliation, counts: Counter[str]) -> None:
        click.echo(
            f"  {comparison.stored} keys with bytes, {comparison.named} instances: {counts['orphan']} orphaned "
            f"({counts['deleted']} deleted), {counts['missing']} missing, {counts['segments']} segments without media"
        )

    @override
    def fail(self, error: StorageError) -> None:
        click.echo(f"  FAILED  {error}")


class _JsonReport(_Report):
    """A report for programs: a JSON object per discrepancy, and one at the end of each backend, on a line each."""

    def __init__(self, backend: Backend) -> None:
        self._backend = {"storage_id": backend.id, "label": backend.label}

    @override
    def add(self, discrepancy: Discrepancy) -> None:
        self._write(asdict(discrepancy))

    @override
    def finish(self, comparison: Reconciliation, counts: Counter[str]) -> None:
        totals = {"stored": comparison.stored, "instances": comparison.named}
        names = ("orphan", "missing", "deleted", "segments")
        self._write({"finding": "summary", **totals, **{name: counts[name] for name in names}})

    @override
    def fail(self, error: StorageError) -> None:
        self._write({"finding": "failed", "problem": str(error)})

    def _write(self, line: dict[str, object]) -> None:
        click.echo(orjson.dumps(self._backend | line))


def _chosen(settings: Settings, names: Sequence[str]) -> list[Storage]:
    return _named(list(open_storages(settings).values()), names)


def _named(storages: list[Storage], names: Sequence[str]) -> list[Storage]:
    """Return the storages whose id or label is in `names`, or all if it is empty."""
    by_name = {name: storage for storage in storages for name in (storage.backend.id, storage.backend.label)}
    for name in names:
        if name not in by_name:
            labels = ", ".join(storage.backend.label for storage in storages)
            raise ConfigurationError(f"There is no storage backend {name}: name one of {labels}, or its id.")
    return [by_name[name] for name in names] if names else storages


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

"""The `tams` command. Whatever cannot be started says why in one sentence and ends with exit code 2."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tams import __version__
from tams.commands.access import tokens, users
from tams.domain.identifiers import is_uuid

if TYPE_CHECKING:
    from tams.config import Settings

logger = logging.getLogger(__name__)

_data_dir = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the database and the media lie; made where it does not exist.  [default: TAMS_DATA_DIR, or ./data]",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="tams")
def commands() -> None:
    """A Time-addressable Media Store.

    Everything else is set by environment variables: `tams settings` shows them.
    """


@commands.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="The port; 0 is any free one."
)
@_data_dir
@click.option("--workers", type=click.IntRange(1), help="How many processes answer.  [default: TAMS_WORKERS, or 2]")
@click.option(
    "--threads", type=click.IntRange(2), help="How many requests each answers at once.  [default: TAMS_THREADS, or 4]"
)
@click.option("--no-worker", is_flag=True, help="Leave the background work to `tams worker`.")
def serve(
    host: str, port: int, data_dir: Path | None, workers: int | None, threads: int | None, no_worker: bool
) -> None:
    """Serve the API, and do the background work beside it.

    Makes the data directory, brings the database up to date, and serves until it is stopped by Ctrl-C or SIGTERM.
    """
    from tams.services.access.configured_users import check_users
    from tams.serving import gunicorn_server

    settings = _start(data_dir=data_dir, workers=workers, threads=threads)
    if no_worker:
        _refuse_beside_one_writer(settings, "Leave --no-worker out.")
    check_users(settings)
    listener = gunicorn_server.listen(host, port)
    url = settings.public_url or gunicorn_server.base_url(listener)
    _in_a_child(lambda: _prepare(settings))

    def ready() -> None:
        click.echo(
            f"TAMS {__version__} serves {url}\n"
            f"  API document  {url}/openapi.json\n"
            f"  Swagger UI    {url}/docs\n"
            f"  data          {settings.data_dir}\n"
            f"  database      {settings.shown_database_url()}"
        )

    gunicorn_server.run(settings, listener, with_worker=not no_worker, ready=ready)


@commands.command()
@_data_dir
def worker(data_dir: Path | None) -> None:
    """Do the background work in a process of its own.

    Deletes what was asked to be deleted, collects storage that was given out and never used, copies objects between
    storage backends, and sends events to webhooks, until it is stopped by Ctrl-C or SIGTERM. Any number may run at the
    same time. Only needed beside `tams serve --no-worker` and other servers: `tams serve` has its own. The database has
    to be up to date.
    """
    from tams.serving import gunicorn_server

    settings = _start(data_dir=data_dir)
    _refuse_beside_one_writer(settings, "Start no `tams worker`.")
    gunicorn_server.run_worker(settings)


@commands.group()
def db() -> None:
    """Look after the database."""


@db.command()
@_data_dir
def upgrade(data_dir: Path | None) -> None:
    """Bring the database up to date, or make it; safe at any time, also twice at once.

    With another TAMS_VAST_CONCURRENCY than before: stop every server and worker first.
    """
    from tams import adapters

    settings = _start(data_dir=data_dir)
    adapters.upgrade(settings, change_concurrency=True)
    click.echo(f"The database {settings.shown_database_url()} is up to date.")


@db.command("check")
@_data_dir
def db_check(data_dir: Path | None) -> None:
    """Say whether the database answers, and what it lacks; ends with exit code 1 where that is anything."""
    from tams.commands import database as database_commands

    sys.exit(database_commands.check(_start(data_dir=data_dir)))


@commands.group()
def storage() -> None:
    """Look after the storage backends.

    They are configured by TAMS_S3_… and TAMS_STORAGE_… variables, or in the file that TAMS_STORAGE_CONFIG names.
    """


@storage.command("init")
@_data_dir
@click.option("--create-bucket", is_flag=True, help="Make the bucket where it does not exist.")
@click.argument("backends", nargs=-1, metavar="[BACKEND]...")
def storage_init(data_dir: Path | None, create_bucket: bool, backends: tuple[str, ...]) -> None:
    """Set up the buckets of S3 backends: all, or those whose id or label is given.

    Adds a lifecycle rule that ends uploads in parts which nobody finished, and a CORS rule that lets pages of
    TAMS_CORS_ORIGINS read and write media. Rules that are there stay as they are. Safe to be repeated.
    """
    from tams.commands import storage as storage_commands

    settings = _start(data_dir=data_dir)
    sys.exit(storage_commands.init(settings, backends, create_bucket=create_bucket))


@storage.command("check")
@_data_dir
@click.argument("backends", nargs=-1, metavar="[BACKEND]...")
def storage_check(data_dir: Path | None, backends: tuple[str, ...]) -> None:
    """Try out what the store needs of its backends: all, or those whose id or label is given.

    Writes a probe, reads, lists and copies it, uses presigned URLs as clients do, looks at the rules of the bucket,
    and deletes the probe. Says for each step whether it works, and ends with exit code 1 where one does not.
    """
    from tams.commands import storage as storage_commands

    settings = _start(data_dir=data_dir)
    sys.exit(storage_commands.check(settings, backends))


@storage.command("reconcile")
@_data_dir
@click.option("--repair", is_flag=True, help="Delete orphaned bytes that are older than unregistered storage is kept.")
@click.option("--json", "as_json", is_flag=True, help="Write a JSON object on each line.")
@click.argument("backends", nargs=-1, metavar="[BACKEND]...")
def storage_reconcile(data_dir: Path | None, repair: bool, as_json: bool, backends: tuple[str, ...]) -> None:
    """Compare the database with the backends: all, or those whose id or label is given.

    Tells of orphaned bytes, which nothing in the database names, and of missing bytes, which clients are shown. Ends
    with exit code 0 where there are none, 1 where there are, and 2 where a backend does not answer. Safe at any time.
    """
    from tams.commands import storage as storage_commands

    sys.exit(storage_commands.reconcile(_start(data_dir=data_dir), backends, repair=repair, as_json=as_json))


@commands.group("webhooks")
def webhooks_group() -> None:
    """Look after webhooks, the receivers of events."""


@webhooks_group.command("list")
@_data_dir
def webhooks_list(data_dir: Path | None) -> None:
    """Show every webhook: its id, its state, how many events wait for it, its URL, and why it is in error."""
    from tams.commands import webhooks as webhooks_commands

    sys.exit(webhooks_commands.show(_start(data_dir=data_dir)))


@webhooks_group.command("replay")
@_data_dir
@click.option("--all", "every", is_flag=True, help="All webhooks in error, instead of those that are named.")
@click.argument("webhooks", nargs=-1, metavar="[ID]...")
def webhooks_replay(data_dir: Path | None, every: bool, webhooks: tuple[str, ...]) -> None:
    """Have webhooks in error send again: first what waits for them, in order, then what comes.

    Does what their owner does by PUT with the status created, and changes nothing about other webhooks.
    """
    from tams.commands import webhooks as webhooks_commands

    if bool(webhooks) == every:
        raise click.UsageError("Name the webhooks, or write --all.")
    sys.exit(webhooks_commands.replay(_start(data_dir=data_dir), webhooks, every=every))


@commands.group("classes")
def classes_group() -> None:
    """Look after classes, by which media are shared with groups (TAMS_AUTH_CLASSES)."""


@classes_group.command("assign")
@_data_dir
@click.option("--dry-run", is_flag=True, help="Only say how many there are.")
@click.argument("names", nargs=-1, required=True, metavar="CLASS...")
def classes_assign(data_dir: Path | None, dry_run: bool, names: tuple[str, ...]) -> None:
    """Give the classes to every Source and Flow that has none, read-only ones too.

    For an archive that is older than its classes, whose media only admin can see. Works in small transactions, beside
    servers that run; webhooks are told. Where it is stopped, it goes on when it is called again.
    """
    from tams.commands import classes as classes_commands

    sys.exit(classes_commands.assign(_start(data_dir=data_dir), names, dry_run=dry_run))


@commands.group()
def vast() -> None:
    """Look after VAST Database."""


@vast.command("probe")
@_data_dir
@click.option(
    "--idle-seconds",
    type=click.FloatRange(0.1),
    default=3.0,
    show_default=True,
    help="How long a transaction is left idle to see what becomes of it.",
)
@click.option(
    "--json", "profile", type=click.Path(dir_okay=False, path_type=Path), help="Write the findings to this file."
)
def vast_probe(data_dir: Path | None, idle_seconds: float, profile: Path | None) -> None:
    """Find out what a cluster does, and which TAMS_VAST_CONCURRENCY that calls for.

    Works in a schema of its own with a random name, which it removes at the end, and touches nothing else. Needs the
    TAMS_VAST_… variables. The last line says what to set, and so does the exit code: 0 claims, 10 stripes, 20 single,
    30 where nothing suits, 2 where it could not be found out.
    """
    from tams.commands import vast as vast_commands

    settings = _start(data_dir=data_dir, repository="vast")
    sys.exit(vast_commands.probe(settings, idle_seconds, profile))


@commands.group()
def dev() -> None:
    """Try the store out."""


@dev.command("seed")
@_data_dir
@click.option("--flows", type=click.IntRange(1), default=1, show_default=True, help="How many Flows.")
@click.option("--segments", type=click.IntRange(0), default=0, show_default=True, help="How many Segments for each.")
@click.option("--flow", "flow_id", metavar="ID", help="Add the Segments to this Flow, made where it is not there.")
@click.option("--seed", "number", type=int, default=1, show_default=True, help="The same number: the same Flows.")
def dev_seed(data_dir: Path | None, flows: int, segments: int, flow_id: str | None, number: int) -> None:
    """Make an archive of any size, quickly.

    The Segments, each a second long, come behind the last one of their Flow. Their Objects have no bytes, so that their
    URLs lead to 404. Brings the database up to date first. Not for an archive that is in use: no event tells of it.
    """
    from tams import adapters
    from tams.commands import seed as seed_commands

    if flow_id is not None and (flows != 1 or not is_uuid(flow_id)):
        raise click.UsageError("--flow takes the UUID of one Flow, and no --flows.")
    settings = _start(data_dir=data_dir)
    adapters.upgrade(settings)
    sys.exit(seed_commands.seed(settings, flows, segments, flow_id, number))


commands.add_command(users)
commands.add_command(tokens)


@commands.command("settings")
def show_settings() -> None:
    """Show every environment variable that is a setting."""
    from tams.config import documentation

    for document in documentation():
        click.echo(f"{document.variable}  [{document.default or 'not set'}]")
        text = f"{document.explanation} Write {document.expects}."
        click.echo(click.wrap_text(text, width=100, initial_indent="    ", subsequent_indent="    ") + "\n")


def _start(**overrides: Any) -> Settings:
    """Settings with a data directory that can be written to, and logging set up. Raises ConfigurationError."""
    from tams import logs
    from tams.config import Settings
    from tams.config.classes import read_classes
    from tams.storage.configuration.backends import configured_backends

    settings = Settings.from_env(**{name: value for name, value in overrides.items() if value is not None})
    # Before anything is made or served: no process is to find out later.
    if settings.auth_classes is not None:
        read_classes(settings.auth_classes)
    configured_backends(settings)
    settings.prepare_data_dir()
    logs.configure(settings)
    return settings


def _refuse_beside_one_writer(settings: Settings, remedy: str) -> None:
    """Raise ConfigurationError where no process may do the background work apart from the one that serves."""
    from tams.config import ConfigurationError

    if settings.one_writer:
        raise ConfigurationError(
            "TAMS_VAST_CONCURRENCY is single, so the process of `tams serve` is the only one that writes, and does the "
            f"background work itself. {remedy}"
        )


def _prepare(settings: Settings) -> None:
    """Do what has to be done before anything is served. Raises ConfigurationError."""
    from tams import adapters

    adapters.upgrade(settings)
    adapters.check_only_writer(settings)


def _in_a_child(step: Callable[[], None]) -> None:
    """Do `step` in a process of its own; where that fails, end this one with its exit code.

    So neither Alembic's 10 MB nor a database connection is inherited by every process that the server forks.
    """
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = _exit_code(step)
        except Exception:
            logger.exception("A step of the start failed")
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if status != 0:
        sys.exit(os.waitstatus_to_exitcode(status))


def _exit_code(step: Callable[[], None]) -> int:
    """0, or 2 after the sentence that says what is configured wrongly."""
    from tams.config import ConfigurationError

    try:
        step()
    except ConfigurationError as error:
        click.echo(f"tams: {error}", err=True)
        return 2
    return 0


def main() -> None:
    """The console script."""
    sys.exit(_exit_code(lambda: commands(prog_name="tams")))


if __name__ == "__main__":
    main()

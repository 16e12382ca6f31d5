"""`tams serve` and `tams worker`: the processes of a store."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import click

from tams import __version__, adapters
from tams.commands import options
from tams.commands.new_database import new_database_option, upgrade_database
from tams.commands.startup import exit_code, start
from tams.config import PRODUCTION, ConfigurationError, Settings
from tams.config.state_files import access_of_others
from tams.logs import JsonFormatter
from tams.services.access.configured_users import check_users
from tams.serving.sockets import base_url, listen
from tams.serving.supervisor import run
from tams.serving.worker_process import run_worker

logger = logging.getLogger(__name__)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Port to listen on; 0 chooses a free one.",
)
@options.data_dir
@click.option("--workers", type=click.IntRange(1), help="Number of web processes.  [default: TAMS_WORKERS, or 2]")
@click.option(
    "--threads", type=click.IntRange(2), help="Concurrent requests per web process.  [default: TAMS_THREADS, or 4]"
)
@click.option("--no-worker", is_flag=True, help="Leave the background work to `tams worker`.")
@new_database_option
def serve(
    host: str,
    port: int,
    data_dir: Path | None,
    workers: int | None,
    threads: int | None,
    no_worker: bool,
    new_database: bool,
) -> None:
    """Serve the API, and run the background work beside it.

    Creates the data directory, brings the database up to date, and serves until Ctrl-C or SIGTERM.
    """
    settings = start(serving=True, data_dir=data_dir, workers=workers, threads=threads)
    if no_worker:
        _refuse_second_writer(settings, "Leave --no-worker out.")
    check_users(settings)
    _warn_of_access(settings.data_dir)
    listener = listen(host, port)
    url = settings.public_url or base_url(listener)
    _in_a_child(lambda: _prepare_database(settings, new=new_database))

    def ready() -> None:
        if settings.environment == PRODUCTION:
            click.echo(_announcement(settings, url))
            return
        click.echo(
            f"TAMS {__version__} serves {url}\n"
            f"  API document  {url}/openapi.json\n"
            f"  Swagger UI    {url}/docs\n"
            f"  data          {settings.data_dir}\n"
            f"  database      {settings.shown_database_url()}"
        )

    run(settings, listener, with_worker=not no_worker, ready=ready)


@click.command()
@options.data_dir
def worker(data_dir: Path | None) -> None:
    """Run the background work in a separate process.

    Carries out deletions, collects storage that was allocated and never used, copies Objects between storage backends,
    and sends events to webhooks, until Ctrl-C or SIGTERM. Any number of workers may run at the same time. `tams serve`
    has its own; others are needed beside `tams serve --no-worker` and other WSGI servers. The database has to be up to
    date.
    """
    settings = start(data_dir=data_dir)
    _refuse_second_writer(settings, "Start no `tams worker`.")
    _warn_of_access(settings.data_dir)
    run_worker(settings)


def _announcement(settings: Settings, url: str) -> str:
    """Return the line that says where the store serves, in the form of its log lines in production."""
    message = f"TAMS {__version__} serves {url}"
    record = logging.LogRecord(logger.name, logging.INFO, __file__, 0, "%s", (message,), None)
    vars(record).update(data=str(settings.data_dir), database=settings.shown_database_url())
    return JsonFormatter().format(record)


def _warn_of_access(directory: Path) -> None:
    """Warn if other users of this machine can enter the data directory, which holds the keys and the database."""
    mode = access_of_others(directory)
    if mode is not None:
        logger.warning(
            "the data directory %s has mode %s, so that other users may read keys, metadata and media: unless that is "
            "intended, run chmod 700 %s",
            directory,
            mode,
            directory,
        )


def _refuse_second_writer(settings: Settings, remedy: str) -> None:
    """Raise ConfigurationError if only the serving process may write, because the background work writes too."""
    if settings.one_writer:
        raise ConfigurationError(
            "TAMS_VAST_CONCURRENCY is single, so the process of `tams serve` is the only one that writes, and does the "
            f"background work itself. {remedy}"
        )


def _prepare_database(settings: Settings, *, new: bool) -> None:
    upgrade_database(settings, new=new)
    adapters.check_only_writer(settings)
    adapters.check_writable(settings)


def _in_a_child(step: Callable[[], None]) -> None:
    """Run `step` in a child process; if it fails, exit with the child's exit code.

    So neither Alembic's 10 MB nor a database connection is inherited by the processes that the server forks.
    """
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = exit_code(step)
        except Exception:
            logger.exception("Preparing the database failed")
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if status != 0:
        sys.exit(os.waitstatus_to_exitcode(status))

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
    from tams import server

    settings = _start(data_dir=data_dir, workers=workers, threads=threads)
    listener = server.listen(host, port)
    url = settings.public_url or server.base_url(listener)
    _in_a_child(lambda: _upgrade(settings))

    def ready() -> None:
        click.echo(
            f"TAMS {__version__} serves {url}\n"
            f"  API document  {url}/openapi.json\n"
            f"  Swagger UI    {url}/docs\n"
            f"  data          {settings.data_dir}\n"
            f"  database      {settings.shown_database_url()}"
        )

    server.run(settings, listener, with_worker=not no_worker, ready=ready)


@commands.command()
@_data_dir
def worker(data_dir: Path | None) -> None:
    """Do the background work in a process of its own.

    Deletes what was asked to be deleted, and collects storage that was given out and never used, until it is stopped
    by Ctrl-C or SIGTERM. Any number may run at the same time. Only needed beside `tams serve --no-worker` and other
    servers: `tams serve` has its own. The database has to be up to date.
    """
    from tams import server

    server.run_worker(_start(data_dir=data_dir))


@commands.group()
def db() -> None:
    """Look after the database."""


@db.command()
@_data_dir
def upgrade(data_dir: Path | None) -> None:
    """Bring the database up to date, or make it; safe at any time, also twice at once."""
    settings = _start(data_dir=data_dir)
    _upgrade(settings)
    click.echo(f"The database {settings.shown_database_url()} is up to date.")


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

    settings = Settings.from_env(**{name: value for name, value in overrides.items() if value is not None})
    settings.prepare_data_dir()
    logs.configure(settings)
    return settings


def _upgrade(settings: Settings) -> None:
    """Bring the database up to date. Raises ConfigurationError where it cannot be, with what to do about it."""
    from alembic.util import CommandError
    from sqlalchemy.exc import DBAPIError

    from tams.config import ConfigurationError
    from tams.repository.sql import migrate

    database = settings.shown_database_url()
    try:
        migrate.upgrade(settings.database_url)
    except CommandError as error:
        raise ConfigurationError(
            f"The database {database} cannot be brought up to date ({error}): it was made by a newer version of the "
            "store; install that version, or name another database with TAMS_DATABASE_URL or --data-dir."
        ) from error
    except DBAPIError as error:
        raise ConfigurationError(
            f"The database {database} cannot be used ({error.orig}): mend that, or name another database with "
            "TAMS_DATABASE_URL or --data-dir."
        ) from error


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

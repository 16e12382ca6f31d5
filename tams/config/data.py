"""The settings of the data on this machine, of the database, and of limits."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tams.config.extras import installation
from tams.config.fields import (
    BOOLEAN_OR_AUTO,
    DIRECTORY,
    GIB,
    MIB,
    SECRET,
    SIZE,
    ConfigurationError,
    parsed,
    setting,
    whole,
)
from tams.config.parsers import parse_sql_url


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """The settings of the data directory, the database and the signing key."""

    data_dir: Path = setting(
        DIRECTORY,
        Path("data"),
        "Directory of everything that the store keeps on this machine: the SQLite database, the media, the signing key "
        "and the id of the storage backend. Created if missing. A relative path starts at the working directory.",
        shown="./data",
    )
    database_url: str = setting(
        parsed(
            "a database URL that starts with sqlite:/// or postgresql:// and names a database",
            "postgresql://tams@localhost/tams",
            parse_sql_url,
        ),
        "",
        "Database: a SQLite file, or PostgreSQL (which needs the extra `postgresql`: see docs/how-to/install.md).",
        shown="sqlite:///<TAMS_DATA_DIR>/tams.db",
        secret=True,
    )
    secret_key: str | None = setting(
        SECRET,
        None,
        "Key that signs upload and download URLs and page tokens. Has to be the same for every process of a store. By "
        "default, a random key is created once and kept in `secret.key` in the data directory.",
        secret=True,
    )


@dataclass(frozen=True, kw_only=True)
class LimitSettings:
    """The settings of time limits and size limits for Objects and requests."""

    min_object_timeout: int = setting(
        whole("seconds", 300, 600),
        600,
        "How long allocated storage waits for its Object to be registered before it is collected.",
    )
    min_presigned_url_timeout: int = setting(
        whole("seconds", 30, 300),
        300,
        "Minimum validity of a signed URL. At most `TAMS_MIN_OBJECT_TIMEOUT`.",
    )
    object_grace: int = setting(
        whole("seconds", 0, 60),
        60,
        "How much longer than `TAMS_MIN_OBJECT_TIMEOUT` unregistered storage is kept.",
    )
    max_body: int = setting(
        SIZE,
        16 * MIB,
        "Maximum size of a JSON request body; a larger one is answered with 413.",
        shown="16MiB",
    )
    max_upload: int = setting(
        SIZE, 5 * GIB, "Maximum size of a media object; a larger upload is answered with 413.", shown="5GiB"
    )
    delete_inline_limit: int = setting(
        whole("segments", 1, 1000),
        1000,
        "Maximum number of Segments that a request deletes before it answers. Larger deletions are answered with 202 "
        "and done in the background.",
    )
    verify_uploads: bool | Literal["auto"] = setting(
        BOOLEAN_OR_AUTO,
        False,
        "Whether to refuse the registration of a Segment whose Object or initialisation Object has no uploaded bytes. "
        "`auto` refuses it where that costs no request: in local storage, not in S3. By default Segments may be "
        "registered before their media are uploaded.",
        shown="false",
    )


def check_limits(settings: LimitSettings) -> None:
    """Raise ConfigurationError if a signed URL could outlive the wait for its Object."""
    if settings.min_presigned_url_timeout > settings.min_object_timeout:
        raise ConfigurationError(
            f"TAMS_MIN_PRESIGNED_URL_TIMEOUT ({settings.min_presigned_url_timeout}) is above TAMS_MIN_OBJECT_TIMEOUT "
            f"({settings.min_object_timeout}): write a number of seconds that is not above it."
        )


def check_driver(database_url: str) -> None:
    """Raise ConfigurationError if the database is PostgreSQL and its driver is not installed."""
    if database_url.startswith("postgresql") and importlib.util.find_spec("psycopg") is None:
        raise ConfigurationError(
            "TAMS_DATABASE_URL names a PostgreSQL database, but its driver is not installed: "
            f"{installation('postgresql')}; or write a URL that starts with sqlite:///."
        )

"""The settings of VAST Database, and the rules between them."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any, Final

from tams.config.extras import installation
from tams.config.fields import BOOLEAN, ConfigurationError, one_of, parsed, setting, text, whole
from tams.config.parsers import parse_endpoint

SQL: Final = "sql"
VAST: Final = "vast"

CLAIMS: Final = "claims"
STRIPES: Final = "stripes"
SINGLE: Final = "single"


@dataclass(frozen=True, kw_only=True)
class VastSettings:
    """The choice of the repository, and the settings of the one on VAST Database."""

    repository: str = setting(
        one_of(SQL, VAST),
        SQL,
        "Where the metadata is kept: in the database of `TAMS_DATABASE_URL`, or in VAST Database (see "
        "docs/how-to/keep-metadata-in-vast.md; it needs the extra `vast`).",
    )
    vast_endpoint: str | None = setting(
        parsed("the http or https URL of a VAST cluster, without path", "http://vip-pool.vast.example", parse_endpoint),
        None,
        "VAST cluster: a name that resolves to its virtual IP pool, or one of the addresses.",
    )
    vast_access_key: str | None = setting(
        text("the access key of a user", "AKIAEXAMPLE"),
        None,
        "Access key of a user who may create, read and write tables in the bucket.",
    )
    vast_secret_key: str | None = setting(
        text("the secret of the access key", "$(cat /run/secrets/vast)"),
        None,
        "Secret of `TAMS_VAST_ACCESS_KEY`.",
        secret=True,
    )
    vast_bucket: str | None = setting(
        text("the name of a bucket that is a database", "tams-db"), None, "Bucket, enabled as a VAST database."
    )
    vast_schema: str = setting(
        text("the name of a schema", "tams"), "tams", "Schema that holds the tables; `tams db upgrade` creates it."
    )
    vast_ssl_verify: bool = setting(BOOLEAN, True, "Whether to verify the certificate of the cluster.", shown="true")
    vast_request_timeout: int = setting(whole("seconds", 1, 5), 5, "Maximum duration of one request to the cluster.")
    vast_operation_timeout: int = setting(
        whole("seconds", 5, 30),
        30,
        "How long a change may wait for concurrent changes of the same Flows, Sources or Objects before it is refused "
        "with 503.",
    )
    vast_claim_timeout: int = setting(
        whole("seconds", 2, 10),
        10,
        "How long an unresponsive process's claim blocks others before it is taken over. Below "
        "`TAMS_VAST_OPERATION_TIMEOUT`.",
    )
    vast_concurrency: str = setting(
        one_of(CLAIMS, STRIPES, SINGLE),
        CLAIMS,
        "How concurrent changes are kept apart (see docs/explanation/vast-concurrency.md); `tams vast probe` "
        "recommends one for a cluster. "
        "`claims`: the cluster can end a transaction by its id; `stripes`: the cluster detects two changes of one row; "
        "`single`: only one process writes, which requires `TAMS_WORKERS=1`. Has to be the same for every server and "
        "worker.",
    )

    @property
    def one_writer(self) -> bool:
        """Return True if only one process may write to the database."""
        return self.repository == VAST and self.vast_concurrency == SINGLE

    def vast_address(self) -> dict[str, Any]:
        """Return the parameters that the adapter is opened with, by name."""
        return {
            "endpoint": self.vast_endpoint,
            "access_key": self.vast_access_key,
            "secret_key": self.vast_secret_key,
            "bucket": self.vast_bucket,
            "schema": self.vast_schema,
            "ssl_verify": self.vast_ssl_verify,
            "request_timeout": self.vast_request_timeout,
            "operation_timeout": self.vast_operation_timeout,
            "claim_timeout": self.vast_claim_timeout,
            "concurrency": self.vast_concurrency,
        }


def check_vast(settings: VastSettings) -> None:
    """Raise ConfigurationError for settings that are only wrong together."""
    if settings.vast_claim_timeout >= settings.vast_operation_timeout:
        raise ConfigurationError(
            f"TAMS_VAST_CLAIM_TIMEOUT ({settings.vast_claim_timeout}) is not below TAMS_VAST_OPERATION_TIMEOUT "
            f"({settings.vast_operation_timeout}): write a smaller number of seconds."
        )
    if settings.repository != VAST:
        return
    required = ("vast_endpoint", "vast_access_key", "vast_secret_key", "vast_bucket")
    missing = [f"TAMS_{name.upper()}" for name in required if getattr(settings, name) is None]
    if missing:
        raise ConfigurationError(
            f"TAMS_REPOSITORY is vast, which needs {', '.join(missing)}, too: see docs/how-to/keep-metadata-in-vast.md."
        )
    if importlib.util.find_spec("vastdb") is None:
        raise ConfigurationError(
            "TAMS_REPOSITORY is vast, but the SDK is not installed: "
            f"{installation('vast')}; or write TAMS_REPOSITORY=sql."
        )


def check_writers(settings: VastSettings, workers: int) -> None:
    """Raise ConfigurationError if more web processes (`workers`) would write than the database allows."""
    if settings.one_writer and workers != 1:
        raise ConfigurationError(
            f"TAMS_VAST_CONCURRENCY is single, so one process writes, and TAMS_WORKERS is {workers}: write "
            "TAMS_WORKERS=1, or another TAMS_VAST_CONCURRENCY if `tams vast probe` says that it suits the cluster."
        )

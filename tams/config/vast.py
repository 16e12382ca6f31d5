"""The settings of VAST Database: a part of `Settings`, and what is only wrong about them together."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any, Final

from tams.config.fields import BOOLEAN, ConfigurationError, one_of, parsed, read_endpoint, setting, text, whole

SQL: Final = "sql"
VAST: Final = "vast"

CLAIMS: Final = "claims"
STRIPES: Final = "stripes"
SINGLE: Final = "single"


# Without slots, because `Settings` has another base that has them.
@dataclass(frozen=True, kw_only=True)
class VastSettings:
    """Which repository there is, and what the one on VAST Database needs."""

    repository: str = setting(
        one_of(SQL, VAST),
        SQL,
        "Where the metadata are kept: in the database of `TAMS_DATABASE_URL`, or in VAST Database (see "
        "docs/how-to/keep-metadata-in-vast.md; "
        "it needs `pip install 'tams[vast]'`).",
    )
    vast_endpoint: str | None = setting(
        parsed("the http or https URL of a VAST cluster, without path", "http://vip-pool.vast.example", read_endpoint),
        None,
        "The VAST cluster: a name that leads to its virtual IP pool, or one of the addresses.",
    )
    vast_access_key: str | None = setting(
        text("the access key of a user", "AKIAEXAMPLE"),
        None,
        "The access key of a user who may make, read and write tables in the bucket.",
    )
    vast_secret_key: str | None = setting(
        text("the secret of the access key", "$(cat /run/secrets/vast)"),
        None,
        "The secret of `TAMS_VAST_ACCESS_KEY`.",
        secret=True,
    )
    vast_bucket: str | None = setting(
        text("the name of a bucket that is a database", "tams-db"), None, "The bucket, enabled as a VAST database."
    )
    vast_schema: str = setting(
        text("the name of a schema", "tams"), "tams", "The schema that holds the tables; `tams db upgrade` makes it."
    )
    vast_ssl_verify: bool = setting(BOOLEAN, True, "Whether the certificate of the cluster is verified.", shown="true")
    vast_request_timeout: int = setting(whole("seconds", 1, 5), 5, "How long one request to the cluster may take.")
    vast_operation_timeout: int = setting(
        whole("seconds", 5, 30),
        30,
        "How long a change may wait for others that change the same things before it is refused with 503.",
    )
    vast_claim_timeout: int = setting(
        whole("seconds", 2, 10),
        10,
        "How long the claim of a process that does not move stands in the way of others before they end it. Below "
        "`TAMS_VAST_OPERATION_TIMEOUT`.",
    )

    vast_concurrency: str = setting(
        one_of(CLAIMS, STRIPES, SINGLE),
        CLAIMS,
        "How changes that meet are kept apart (see docs/explanation/vast-concurrency.md): `tams vast probe` says "
        "which one suits a cluster. "
        "`claims`: where a transaction can be ended by its id; `stripes`: where two changes of one row are noticed; "
        "`single`: one process writes, which needs `TAMS_WORKERS=1`. The same for every server and worker.",
    )

    @property
    def one_writer(self) -> bool:
        """Whether only one process may write to the database."""
        return self.repository == VAST and self.vast_concurrency == SINGLE

    def vast_address(self) -> dict[str, Any]:
        """What the adapter is opened with, by the names of its parameters."""
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


def check_vast(settings: VastSettings, workers: int) -> None:
    """Refuse what is only wrong together. `workers`: how many processes answer requests."""
    if settings.vast_claim_timeout >= settings.vast_operation_timeout:
        raise ConfigurationError(
            f"TAMS_VAST_CLAIM_TIMEOUT ({settings.vast_claim_timeout}) is not below TAMS_VAST_OPERATION_TIMEOUT "
            f"({settings.vast_operation_timeout}): write a number of seconds that is."
        )
    if settings.repository != VAST:
        return
    needed = ("vast_endpoint", "vast_access_key", "vast_secret_key", "vast_bucket")
    missing = [f"TAMS_{name.upper()}" for name in needed if getattr(settings, name) is None]
    if missing:
        raise ConfigurationError(
            f"TAMS_REPOSITORY is vast, which needs {', '.join(missing)}, too: see docs/how-to/keep-metadata-in-vast.md."
        )
    if settings.one_writer and workers != 1:
        raise ConfigurationError(
            f"TAMS_VAST_CONCURRENCY is single, so one process writes, and TAMS_WORKERS is {workers}: write "
            "TAMS_WORKERS=1, or another TAMS_VAST_CONCURRENCY if `tams vast probe` says that it suits the cluster."
        )
    if importlib.util.find_spec("vastdb") is None:
        raise ConfigurationError(
            "TAMS_REPOSITORY is vast, but the SDK is not installed: run pip install 'tams[vast]', or write sql."
        )

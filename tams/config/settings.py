"""The settings of the store.

Each is declared once, as a field of `Settings`, with its default, what it accepts and what it means. A test compares
`docs/reference/configuration.md` with these declarations. A wrong value, or a `TAMS_` variable that is not known,
stops the start with one sentence that says what to write instead.
"""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, cast

from sqlalchemy import URL, make_url

from tams.config.authentication import METHODS, AuthenticationSettings, check_authentication, read_methods
from tams.config.fields import (
    BASE_URL,
    BOOLEAN,
    DIRECTORY,
    FILE,
    GIB,
    MIB,
    SHORTEST_SECRET,
    SIZE,
    TAGS,
    ConfigurationError,
    Kind,
    Tags,
    Variables,
    one_of,
    parsed,
    read_allowed,
    read_bucket,
    read_database_url,
    read_endpoint,
    read_label,
    read_origins,
    read_prefix,
    read_proxies,
    read_secret,
    read_uuid,
    read_waits,
    setting,
    text,
    whole,
)
from tams.config.state_files import kept_text, prepare_directory
from tams.config.vast import VAST, VastSettings, check_vast
from tams.domain.identifiers import is_uuid, new_id

DEVELOPMENT: Final = "development"
PRODUCTION: Final = "production"

# An orchestrator that runs a service called "tams" puts these into every container's environment, and the tests have
# variables of their own: none of them is a setting.
_NOT_SETTINGS: Final = re.compile(r"TAMS_(HOST|PORT|PORT_.*|SERVICE_.*|TEST_.*)")

_WEBHOOK_RETRIES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, *[3600] * 23)


@dataclass(frozen=True, slots=True)
class SettingDocument:
    """One setting as the documentation shows it."""

    variable: str
    default: str
    expects: str
    explanation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(VastSettings, AuthenticationSettings):
    """Everything that can be set. Made by `from_env`; immutable; safe to hand to any thread or process."""

    environment: str = setting(
        one_of(DEVELOPMENT, PRODUCTION),
        PRODUCTION,
        "Where the store runs. In production it refuses to start without authentication unless `TAMS_AUTH=none` is "
        "said outright, and logs are JSON, one object per line; in development logs are plain text.",
        variable="ENVIRONMENT",
    )
    log_level: str = setting(
        one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
        "INFO",
        "The least severe log messages that are written. Libraries never log below WARNING.",
        variable="LOG_LEVEL",
    )
    auth: tuple[str, ...] | None = setting(
        parsed("none, or a comma-separated list of " + ", ".join(METHODS), "basic,token", read_methods),
        None,
        "How clients prove who they are, in one or several ways (see docs/how-to/set-up-authentication.md). `none`: "
        "not at all, everybody "
        "may do everything. Must be set in production; in development it is `none` where it is not set.",
    )
    data_dir: Path = setting(
        DIRECTORY,
        Path("data"),
        "The directory of everything that the store keeps on this machine: the SQLite database, the media, the signing "
        "key and the id of the storage backend. Made where it does not exist. A relative path starts at the working "
        "directory.",
        shown="./data",
    )
    database_url: str = setting(
        parsed(
            "a database URL that starts with sqlite:/// or postgresql:// and names a database",
            "postgresql://tams@localhost/tams",
            read_database_url,
        ),
        "",
        "The database: a SQLite file, or PostgreSQL (which needs `pip install 'tams[postgresql]'`).",
        shown="sqlite:///<TAMS_DATA_DIR>/tams.db",
        secret=True,
    )
    secret_key: str | None = setting(
        parsed(f"a random text of {SHORTEST_SECRET} bytes or more", "$(openssl rand -hex 32)", read_secret),
        None,
        "The key that signs upload and download URLs and page keys. Every process of one store needs the same. Where "
        "it is not set, a random key is made once and kept in `secret.key` in the data directory.",
        secret=True,
    )
    public_url: str | None = setting(
        BASE_URL,
        None,
        "The absolute base URL under which clients reach the service, for the links that it answers with. Where it is "
        "not set, links begin with the URL that the client used.",
    )
    trusted_proxies: tuple[str, ...] = setting(
        parsed(
            "a comma-separated list of IP addresses or networks, or the word unix for a Unix socket",
            "127.0.0.1,10.0.0.0/8",
            read_proxies,
        ),
        (),
        "The proxies whose `Forwarded` and `X-Forwarded-*` headers are believed. Those of anybody else are ignored.",
    )
    cors_origins: tuple[str, ...] = setting(
        parsed("a comma-separated list of origins, or *", "https://player.example.com", read_origins),
        (),
        "The web origins whose pages may call the API from a browser; `*` is all of them.",
    )
    min_object_timeout: int = setting(
        whole("seconds", 300, 600),
        600,
        "How long storage that was given out waits for its object to be registered before it is collected.",
    )
    min_presigned_url_timeout: int = setting(
        whole("seconds", 30, 300),
        300,
        "How long a signed URL is valid at least. Not above `TAMS_MIN_OBJECT_TIMEOUT`.",
    )
    object_grace: int = setting(
        whole("seconds", 0, 60),
        60,
        "How much longer than `TAMS_MIN_OBJECT_TIMEOUT` unregistered storage is kept.",
    )
    max_body: int = setting(
        SIZE,
        16 * MIB,
        "The largest JSON request body; a larger one is answered with 413.",
        shown="16MiB",
    )
    max_upload: int = setting(
        SIZE, 5 * GIB, "The largest media object; a larger upload is answered with 413.", shown="5GiB"
    )
    delete_inline_limit: int = setting(
        whole("segments", 1, 1000),
        1000,
        "The most segments that a request deletes before it answers. Larger deletions are answered with 202 and done "
        "in the background.",
    )
    verify_uploads: bool = setting(
        BOOLEAN,
        False,
        "Whether registering a segment is refused where the bytes of its object were never uploaded.",
        shown="false",
    )
    storage_config: Path | None = setting(
        FILE,
        None,
        "The file that describes the storage backends, where there are several (see "
        "docs/how-to/use-several-backends.md). Together with it "
        "neither `TAMS_STORAGE_…` nor `TAMS_S3_…` settings are used, and to set one stops the start.",
    )
    store_id: str | None = setting(
        parsed("a UUID in lower case, version 1 to 5", "5d1b2a3c-4e5f-4a6b-8c7d-0123456789ab", read_uuid),
        None,
        "The id of this store in the keys of what it keeps in S3. Every process of one store needs the same, and two "
        "stores never have the same. Where it is not set, a random one is made once and kept in `store.id` in the data "
        "directory.",
    )
    storage_id: str | None = setting(
        parsed("a UUID in lower case, version 1 to 5", "a1a0a7a6-2b3c-4d5e-8f90-123456789abc", read_uuid),
        None,
        "The id of the storage backend, for ever. Required with `TAMS_S3_BUCKET`; where it is not set for local "
        "storage, a random one is made once and kept in `storage.id` in the data directory.",
    )
    storage_label: str | None = setting(
        parsed("a text without comma", "news", read_label),
        None,
        "The label of the storage backend.",
        shown="local; with TAMS_S3_BUCKET: s3",
    )
    storage_provider: str | None = setting(
        text("a text", "Example Cloud"),
        None,
        "The provider that `/service/storage-backends` names.",
        shown="local; with TAMS_S3_BUCKET: s3",
    )
    storage_region: str | None = setting(
        text("a text", "eu-west-1"),
        None,
        "The region that `/service/storage-backends` names. Required for AWS, where it is also the one that requests "
        "are signed for.",
    )
    storage_availability_zone: str | None = setting(
        text("a text", "eu-west-1a"), None, "The availability zone that `/service/storage-backends` names."
    )
    storage_product: str | None = setting(
        text("a text", "Object Store 9"),
        None,
        "The product that `/service/storage-backends` names.",
        shown="tams-local; with TAMS_S3_BUCKET: s3",
    )
    storage_tags: Tags = setting(
        TAGS,
        {},
        "The tags of the storage backend.",
        shown="{}",
    )
    storage_public_url: str | None = setting(
        BASE_URL,
        None,
        "The base of unsigned download URLs, where something else (a web server, a CDN) offers the media to everybody. "
        "Where it is not set, there are only signed URLs.",
    )
    s3_bucket: str | None = setting(
        parsed("the name of a bucket", "tams-media", read_bucket),
        None,
        "Keep the media in this S3 bucket instead of the data directory.",
    )
    s3_endpoint: str | None = setting(
        parsed("the http or https URL of an S3 server, without path", "https://s3.example.com", read_endpoint),
        None,
        "The S3 server, under the name that clients reach it by too. Where it is not set: AWS.",
    )
    s3_signing_region: str | None = setting(
        text("a region's name", "us-east-1"),
        None,
        "The region that requests are signed for, where the server wants another than `TAMS_STORAGE_REGION`.",
        shown="TAMS_STORAGE_REGION, or us-east-1",
    )
    s3_addressing: str | None = setting(
        one_of("path", "virtual"),
        None,
        "Whether the bucket stands in the path of a URL or in the name of the host.",
        shown="path; AWS: virtual",
    )
    s3_prefix: str = setting(
        parsed("at most 128 letters, digits, - _ . and / without an empty part", "tams/media", read_prefix),
        "",
        "What all keys in the bucket begin with.",
    )
    s3_access_key_id: str | None = setting(
        text("the id of an access key", "AKIAIOSFODNN7EXAMPLE"),
        None,
        "The access key. Where it is not set, credentials are looked for as AWS tools do: `AWS_…` variables, "
        "`~/.aws`, the role of the container or machine.",
    )
    s3_secret_access_key: str | None = setting(
        text("the secret of the access key", "$(cat /run/secrets/s3)"),
        None,
        "The secret of `TAMS_S3_ACCESS_KEY_ID`.",
        secret=True,
    )
    s3_verify_tls: bool = setting(BOOLEAN, True, "Whether the certificate of the S3 server is verified.", shown="true")
    s3_ca_file: Path | None = setting(
        FILE, None, "A file of certificates (PEM) that vouch for the S3 server, in place of the public ones."
    )
    name: str = setting(text("a text", "TAMS"), "TAMS", "The name that `/service` answers until it is changed there.")
    description: str | None = setting(
        text("a text", "The archive of the news desk"),
        None,
        "The description that `/service` answers until it is changed there.",
    )
    workers: int = setting(whole("processes", 1, 2), 2, "How many processes answer requests.")
    threads: int = setting(
        whole("threads", 2, 4),
        4,
        "How many requests each process answers at once. Uploads and downloads hold at most half of them.",
    )
    delete_request_retention: int = setting(
        whole("seconds", 0, 86400), 86400, "How long a Flow delete request can still be read after its end."
    )
    job_lease: int = setting(
        whole("seconds", 5, 60),
        60,
        "How long a background worker holds a job. If the worker dies, another one takes the job after this time.",
    )

    outbound_allow: tuple[str, ...] = setting(
        parsed(
            "a comma-separated list of host names, IP addresses or networks",
            "hooks.internal.example,10.1.0.0/16",
            read_allowed,
        ),
        (),
        "Where requests to URLs that clients choose may lead besides the internet: webhooks of receivers on this "
        "machine or in a private network, and uncontrolled instances that are copied to a storage backend. Whoever may "
        "register a webhook can have the store send requests there, and whoever may write objects can have it read "
        "what is there.",
    )
    webhook_key: str | None = setting(
        parsed(f"a random text of {SHORTEST_SECRET} bytes or more", "$(openssl rand -hex 32)", read_secret),
        None,
        "The key that signs what is sent to webhooks; receivers verify with it. Every process of one store needs the "
        "same. Where it is not set, a random key is made once and kept in `webhook.key` in the data directory.",
        secret=True,
    )
    webhook_timeout: int = setting(
        whole("seconds", 1, 10), 10, "How long a webhook's receiver has to take an event and answer."
    )
    webhook_retries: tuple[int, ...] = setting(
        parsed("a comma-separated list of whole numbers of seconds", "1,2,4,8,16,32,64", read_waits),
        _WEBHOOK_RETRIES,
        "The waits before an event is sent to a webhook again, each made up to a quarter shorter or longer by chance. "
        "When it fails after the last of them the webhook is in error.",
        shown=",".join(map(str, _WEBHOOK_RETRIES)),
    )
    webhook_backlog: int = setting(
        whole("events", 1, 100_000),
        100_000,
        "The most events that wait for one webhook, give or take a tenth. Beyond it the oldest are dropped, and the "
        "webhook is in error.",
    )
    webhook_threads: int = setting(
        whole("threads", 1, 8),
        8,
        "How many webhooks a background worker sends to at once; it sends to as many again whose receivers are slow or "
        "fail.",
    )

    def __post_init__(self) -> None:
        data_dir = self.data_dir.expanduser().absolute()
        self._complete("data_dir", data_dir)
        if not self.database_url:
            url = URL.create("sqlite", database=str(data_dir / "tams.db"))
            self._complete("database_url", url.render_as_string(hide_password=False))
        if self.auth is None and self.environment != PRODUCTION:
            self._complete("auth", ())
        if self.users_file is None:
            self._complete("users_file", data_dir / "users.json")
        self._check()

    def _complete(self, attribute: str, value: object) -> None:
        object.__setattr__(self, attribute, value)

    def _check(self) -> None:
        """Refuse what is only wrong together."""
        if self.auth is None:
            raise ConfigurationError(
                "TAMS_AUTH is not set, and in production the store does not start without authentication: write "
                "TAMS_AUTH=none to let everybody do everything, or ENVIRONMENT=development on your own machine."
            )
        check_authentication(self, self.auth, development=self.environment == DEVELOPMENT)
        check_vast(self, self.workers)
        if self.min_presigned_url_timeout > self.min_object_timeout:
            raise ConfigurationError(
                f"TAMS_MIN_PRESIGNED_URL_TIMEOUT ({self.min_presigned_url_timeout}) is above TAMS_MIN_OBJECT_TIMEOUT "
                f"({self.min_object_timeout}): write a number of seconds that is not above it."
            )
        if self.database_url.startswith("postgresql") and importlib.util.find_spec("psycopg") is None:
            raise ConfigurationError(
                "TAMS_DATABASE_URL names a PostgreSQL database, but its driver is not installed: "
                "run pip install 'tams[postgresql]', or write a URL that starts with sqlite:///."
            )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
        """Settings from `environ` (the process's environment where it is None); `overrides` win over it.

        A variable that is empty counts as not set. Overrides are attributes with values of their own types, which only
        the rules between settings are applied to. Raises ConfigurationError.
        """
        given = {name: value for name, value in (os.environ if environ is None else environ).items() if value.strip()}
        _refuse_unknown(given)
        variables = Variables(given)
        values: dict[str, Any] = {}
        for declared in fields(cls):
            name = _variable(declared.name, declared.metadata)
            if name in given and declared.name not in overrides:
                values[declared.name] = _read(variables, name, declared.metadata)
        return cls(**(values | overrides))

    def prepare_data_dir(self) -> None:
        """Make the data directory unless it is there. Raises ConfigurationError where it cannot be written to."""
        prepare_directory(self.data_dir)

    def shown_database_url(self) -> str:
        """The database for people to read, as a URL without password."""
        if self.repository == VAST:
            return f"{self.vast_endpoint}/{self.vast_bucket}/{self.vast_schema}"
        return make_url(self.database_url).render_as_string(hide_password=True)

    def signing_key(self) -> bytes:
        """The key that signs URLs and page keys: `secret_key`, or the one kept in the data directory.

        The same for every process, whichever comes first. Reads a file: ask once. Raises ConfigurationError.
        """
        if self.secret_key is not None:
            return self.secret_key.encode()
        key = kept_text(self.data_dir / "secret.key", lambda: secrets.token_hex(SHORTEST_SECRET))
        if len(key) < SHORTEST_SECRET:
            raise ConfigurationError(
                f"{self.data_dir / 'secret.key'} holds no signing key: remove the file to have a new key made (signed "
                "URLs given out before become invalid), or write the key into TAMS_SECRET_KEY."
            )
        return key.encode()

    def webhook_signing_key(self) -> bytes:
        """The key that signs what is sent to webhooks: `webhook_key`, or the one kept in the data directory.

        The same for every process, whichever comes first. Reads a file: ask once. Raises ConfigurationError.
        """
        if self.webhook_key is not None:
            return self.webhook_key.encode()
        key = kept_text(self.data_dir / "webhook.key", lambda: secrets.token_hex(SHORTEST_SECRET))
        if len(key) < SHORTEST_SECRET:
            raise ConfigurationError(
                f"{self.data_dir / 'webhook.key'} holds no key: remove the file to have a new one made (receivers have "
                "to be given it), or write the key into TAMS_WEBHOOK_KEY."
            )
        return key.encode()

    def local_storage_id(self) -> str:
        """The id of the local storage backend: `storage_id`, or the one kept in the data directory.

        The same for every process, whichever comes first. Reads a file: ask once. Raises ConfigurationError.
        """
        return self.storage_id or self._kept_id("storage.id", "the id of the storage backend", "TAMS_STORAGE_ID")

    def stable_store_id(self) -> str:
        """The id of this store in the names of what it keeps in shared places: `store_id`, or the one kept in the data
        directory.

        The same for every process, whichever comes first. Reads a file: ask once. Raises ConfigurationError.
        """
        return self.store_id or self._kept_id("store.id", "the id of the store", "TAMS_STORE_ID")

    def _kept_id(self, name: str, what: str, variable: str) -> str:
        kept = kept_text(self.data_dir / name, new_id)
        if not is_uuid(kept):
            raise ConfigurationError(
                f"{self.data_dir / name} does not hold a UUID: restore it, or write {what} into {variable}."
            )
        return kept


def documentation() -> Iterator[SettingDocument]:
    """Every setting, in the order of its declaration; those of authentication and of VAST Database come last."""
    of_bases = [{declared.name for declared in fields(base)} for base in (VastSettings, AuthenticationSettings)]
    for declared in sorted(fields(Settings), key=lambda declared: [declared.name in names for names in of_bases]):
        metadata = declared.metadata
        default = declared.default if metadata["shown"] == "" else metadata["shown"]
        yield SettingDocument(
            variable=_variable(declared.name, metadata),
            default="" if default in (None, ()) else str(default),
            expects=_kind(metadata).expects,
            explanation=metadata["explanation"],
        )


def _variable(attribute: str, metadata: Mapping[str, Any]) -> str:
    return cast("str", metadata["variable"]) or f"TAMS_{attribute.upper()}"


def _kind(metadata: Mapping[str, Any]) -> Kind[Any]:
    return cast("Kind[Any]", metadata["kind"])


def _read(variables: Variables, name: str, metadata: Mapping[str, Any]) -> Any:
    kind = _kind(metadata)
    try:
        return kind.read(variables, name)
    except ValueError as error:
        value = "has a value that" if metadata["secret"] else f"is {variables.str(name)!r}, which"
        raise ConfigurationError(
            f"{name} {value} is not accepted: write {kind.expects}, such as {name}={kind.example}."
        ) from error


def _refuse_unknown(given: Mapping[str, str]) -> None:
    known = [document.variable for document in documentation()]
    for name in given:
        if not name.startswith("TAMS_") or name in known or _NOT_SETTINGS.fullmatch(name):
            continue
        nearest = get_close_matches(name, known, n=1, cutoff=0.7)
        remedy = f"did you mean {nearest[0]}?" if nearest else "remove it; `tams settings` shows all that there are."
        raise ConfigurationError(f"{name} is not a setting: {remedy}")

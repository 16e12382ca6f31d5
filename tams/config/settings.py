"""The settings of the store, put together.

Each setting is declared once, as a field with its default, what it accepts and its explanation.
A test compares `docs/reference/configuration.md` with these declarations. A wrong value, or a `TAMS_` variable that is
not known, stops the start with one sentence that says what to write instead.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tams.config.authentication import AuthenticationSettings, check_authentication, check_keys_url
from tams.config.data import DataSettings, LimitSettings, check_driver, check_limits
from tams.config.database_url import DatabaseUrl, parse_database_url
from tams.config.deployment import (
    DEVELOPMENT,
    PRODUCTION,
    NetworkSettings,
    ProcessSettings,
    ServiceSettings,
    StartSettings,
)
from tams.config.environment import SettingDocument, describe, read_values
from tams.config.fields import ConfigurationError
from tams.config.parsers import SHORTEST_SECRET
from tams.config.state_files import persistent_text, prepare_directory
from tams.config.storage import S3Settings, StorageSettings
from tams.config.vast import VAST, VastSettings, check_vast, check_writers
from tams.config.webhooks import WebhookSettings
from tams.domain.identifiers import is_uuid, new_id

_SECTIONS: Final = (
    StartSettings,
    DataSettings,
    NetworkSettings,
    LimitSettings,
    StorageSettings,
    S3Settings,
    ServiceSettings,
    ProcessSettings,
    WebhookSettings,
    AuthenticationSettings,
    VastSettings,
)
"""The groups of settings, in the order of the documentation."""


@dataclass(frozen=True, kw_only=True)
class Settings(
    VastSettings,
    AuthenticationSettings,
    WebhookSettings,
    ProcessSettings,
    ServiceSettings,
    S3Settings,
    StorageSettings,
    LimitSettings,
    NetworkSettings,
    DataSettings,
    StartSettings,
):
    """All settings. Created by `from_env`; immutable; safe to share among threads and processes."""

    def __post_init__(self) -> None:
        data_dir = self.data_dir.expanduser().absolute()
        self._complete("data_dir", data_dir)
        if not self.database_url:
            self._complete("database_url", DatabaseUrl(driver="sqlite", database=str(data_dir / "tams.db")).render())
        if not self.log_level:
            self._complete("log_level", "DEBUG" if self.environment == DEVELOPMENT else "INFO")
        if self.auth is None and self.environment != PRODUCTION:
            self._complete("auth", ())
        if self.users_file is None:
            self._complete("users_file", data_dir / "users.json")
        self._check()

    def _complete(self, attribute: str, value: object) -> None:
        object.__setattr__(self, attribute, value)

    def _check(self) -> None:
        """Raise ConfigurationError for values that are only wrong together."""
        if self.auth is not None:
            check_authentication(self, self.auth)
        check_vast(self)
        check_limits(self)
        check_driver(self.database_url)

    def check_serving(self) -> None:
        """Check what has to be decided before requests are answered.

        No other command needs it: `tams webhooks list` works beside a running server without its whole environment.

        Raises:
            ConfigurationError: the authentication is not chosen or not safe, or the processes do not suit the database.
        """
        if self.auth is None:
            raise ConfigurationError(
                "TAMS_AUTH is not set, and in production the store does not start without authentication: write "
                "TAMS_AUTH=none to let every client do everything, or ENVIRONMENT=development on your own machine."
            )
        check_keys_url(self, self.auth, development=self.environment == DEVELOPMENT)
        check_writers(self, self.workers)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
        """Return the settings of `environ` (default: the process's environment) and of `overrides`, which win.

        A variable that is empty counts as not set. Overrides are attributes with values of their own types; only the
        rules between settings are applied to them.

        Raises:
            ConfigurationError: the message says which variable is wrong, and what to write.
        """
        values = read_values(_SECTIONS, os.environ if environ is None else environ, skip=overrides)
        return cls(**(values | overrides))

    def prepare_data_dir(self) -> None:
        """Create the data directory unless it exists.

        Raises:
            ConfigurationError: it cannot be created or written to.
        """
        prepare_directory(self.data_dir)

    def shown_database_url(self) -> str:
        """Return the database for people to read, as a URL without password."""
        if self.repository == VAST:
            return f"{self.vast_endpoint}/{self.vast_bucket}/{self.vast_schema}"
        return parse_database_url(self.database_url).render(hide_password=True)

    def signing_key(self) -> bytes:
        """Return the key that signs URLs and page tokens: `secret_key`, or the one kept in the data directory.

        It is the same for every process. Reads a file: call it once.

        Raises:
            ConfigurationError: the file cannot be read or written, or does not hold a key.
        """
        return self._key(
            self.secret_key,
            "secret.key",
            "holds no signing key: remove the file to have a new key made (signed URLs given out before become "
            "invalid), or write the key into TAMS_SECRET_KEY.",
        )

    def webhook_signing_key(self) -> bytes:
        """Return the key that signs requests to webhooks: `webhook_key`, or the one kept in the data directory.

        It is the same for every process. Reads a file: call it once.

        Raises:
            ConfigurationError: the file cannot be read or written, or does not hold a key.
        """
        return self._key(
            self.webhook_key,
            "webhook.key",
            "holds no key: remove the file to have a new one made (receivers have to be given it), or write the key "
            "into TAMS_WEBHOOK_KEY.",
        )

    def local_storage_id(self) -> str:
        """Return the id of the local storage backend: `storage_id`, or the one kept in the data directory.

        It is the same for every process. Reads a file: call it once.

        Raises:
            ConfigurationError: the file cannot be read or written, or does not hold a UUID.
        """
        return self.storage_id or self._persistent_id("storage.id", "the id of the storage backend", "TAMS_STORAGE_ID")

    def stable_store_id(self) -> str:
        """Return the id of this store in keys of shared buckets: `store_id`, or the one kept in the data directory.

        It is the same for every process. Reads a file: call it once.

        Raises:
            ConfigurationError: the file cannot be read or written, or does not hold a UUID.
        """
        return self.store_id or self._persistent_id("store.id", "the id of the store", "TAMS_STORE_ID")

    def _key(self, setting: str | None, file_name: str, problem: str) -> bytes:
        if setting is not None:
            return setting.encode()
        path = self.data_dir / file_name
        key = persistent_text(path, lambda: secrets.token_hex(SHORTEST_SECRET))
        if len(key) < SHORTEST_SECRET:
            raise ConfigurationError(f"{path} {problem}")
        return key.encode()

    def _persistent_id(self, file_name: str, meaning: str, variable: str) -> str:
        path = self.data_dir / file_name
        identifier = persistent_text(path, new_id)
        if not is_uuid(identifier):
            raise ConfigurationError(f"{path} does not hold a UUID: restore it, or write {meaning} into {variable}.")
        return identifier


def documentation() -> Iterator[SettingDocument]:
    """Yield the documentation of every setting, in the order of `docs/reference/configuration.md`."""
    return describe(_SECTIONS)

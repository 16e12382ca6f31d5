"""Opening the configured Storage Backends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tams.storage.configuration.backends import BackendConfiguration, LocalConfiguration
from tams.storage.configuration.configured import configured_backends
from tams.storage.local.storage import LocalStorage

if TYPE_CHECKING:
    from tams.config import Settings
    from tams.storage.port import Storage


def open_storages(settings: Settings, environ: Mapping[str, str] | None = None) -> dict[str, Storage]:
    """Return every configured Storage Backend by its id. Call it after a fork: backends hold connections.

    The backends file may refer to variables of `environ` (default: the process's environment).

    Raises:
        ConfigurationError: a backend is configured wrongly, or cannot be used as configured.
    """
    return {item.backend.id: open_storage(settings, item) for item in configured_backends(settings, environ)}


def open_storage(settings: Settings, configuration: BackendConfiguration) -> Storage:
    """Return one Storage Backend.

    Raises:
        ConfigurationError: it cannot be used as configured.
    """
    if isinstance(configuration, LocalConfiguration):
        return LocalStorage(
            configuration.directory,
            configuration.backend,
            settings.signing_key(),
            url_lifetime=settings.min_presigned_url_timeout,
            grace=settings.object_grace,
            max_upload=settings.max_upload,
            public_base=configuration.public_url,
        )
    # Imported here: the SDK takes 30 MB and half a second, which a store without S3 does not spend.
    from tams.storage.s3.storage import S3Storage

    return S3Storage(
        configuration,
        settings.stable_store_id(),
        url_lifetime=settings.min_presigned_url_timeout,
        longest_put=settings.min_object_timeout + settings.object_grace,
        max_upload=settings.max_upload,
    )

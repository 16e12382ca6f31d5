"""Storage Backends put to use, as they are configured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tams.storage.configuration.backends import BackendConfiguration, LocalConfiguration, configured_backends
from tams.storage.local.storage import LocalStorage

if TYPE_CHECKING:
    from tams.config import Settings
    from tams.storage.port import Storage


def open_storages(settings: Settings, environ: Mapping[str, str] | None = None) -> dict[str, Storage]:
    """Every configured Storage Backend by its id. After a fork: they hold connections. Raises ConfigurationError."""
    return {item.backend.id: _open(settings, item) for item in configured_backends(settings, environ)}


def _open(settings: Settings, configuration: BackendConfiguration) -> Storage:
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
    # Its SDK takes 30 MB and half a second, which a store without S3 does not spend.
    from tams.storage.s3.storage import S3Storage

    return S3Storage(
        configuration,
        settings.stable_store_id(),
        url_lifetime=settings.min_presigned_url_timeout,
        longest_put=settings.min_object_timeout + settings.object_grace,
        max_upload=settings.max_upload,
    )

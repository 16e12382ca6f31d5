"""The configured Storage Backends: the one that the settings describe, or those of the backends file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Final

from tams.config import ConfigurationError
from tams.domain.identifiers import new_id
from tams.storage.configuration.backends import (
    AWS_PROVIDER,
    BackendConfiguration,
    LocalConfiguration,
    S3Configuration,
    default_signing_region,
)
from tams.storage.configuration.backends_file import read_backends
from tams.storage.port import Backend

if TYPE_CHECKING:
    from tams.config import Settings

# X-Amz-Expires is a week at most, and a rounded signing date takes a third of it.
_LONGEST_URL_LIFETIME: Final = 604_800 * 2 // 3


def configured_backends(settings: Settings, environ: Mapping[str, str] | None = None) -> list[BackendConfiguration]:
    """Return the configuration of every Storage Backend, in the order of the file.

    The file may refer to variables of `environ` (default: the process's environment).

    Raises:
        ConfigurationError: the message names the setting, or the line of the file, and what to write.
    """
    if settings.storage_config is not None:
        _refuse_settings_beside_file(settings)
        backends = read_backends(settings.storage_config, environ)
    elif settings.s3_bucket is not None:
        backends = [_s3_backend(settings, settings.s3_bucket)]
    else:
        _refuse_settings_without_bucket(settings)
        backends = [_local_backend(settings)]
    if settings.min_presigned_url_timeout > _LONGEST_URL_LIFETIME and any(
        isinstance(backend, S3Configuration) for backend in backends
    ):
        raise ConfigurationError(
            f"TAMS_MIN_PRESIGNED_URL_TIMEOUT is {settings.min_presigned_url_timeout}, and URLs of S3 cannot be valid "
            f"that long: write a number of seconds that is not above {_LONGEST_URL_LIFETIME}."
        )
    return backends


def _local_backend(settings: Settings) -> LocalConfiguration:
    return LocalConfiguration(
        backend=_backend(settings, settings.local_storage_id(), "local", "local", "tams-local"),
        directory=settings.data_dir / "media",
        public_url=settings.storage_public_url,
    )


def _s3_backend(settings: Settings, bucket: str) -> S3Configuration:
    if settings.storage_id is None:
        raise ConfigurationError(
            "TAMS_S3_BUCKET is set, but TAMS_STORAGE_ID is not: give the storage backend a permanent id, such as "
            f"TAMS_STORAGE_ID={new_id()}."
        )
    signing_region = settings.s3_signing_region or default_signing_region(settings.s3_endpoint, settings.storage_region)
    if signing_region is None:
        raise ConfigurationError(
            "TAMS_S3_BUCKET is set for AWS, but TAMS_STORAGE_REGION is not: write the region of the bucket, such as "
            "TAMS_STORAGE_REGION=eu-west-1, or TAMS_S3_ENDPOINT for another S3 server."
        )
    if (settings.s3_access_key_id is None) != (settings.s3_secret_access_key is None):
        raise ConfigurationError(
            "Only one of TAMS_S3_ACCESS_KEY_ID and TAMS_S3_SECRET_ACCESS_KEY is set: write both, or neither to "
            "have credentials searched for as AWS tools do."
        )
    aws = settings.s3_endpoint is None
    return S3Configuration(
        backend=_backend(settings, settings.storage_id, "s3", AWS_PROVIDER if aws else "s3", "s3"),
        bucket=bucket,
        endpoint=settings.s3_endpoint,
        signing_region=signing_region,
        addressing=settings.s3_addressing,
        prefix=settings.s3_prefix,
        public_url=settings.storage_public_url,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=settings.s3_secret_access_key,
        verify_tls=settings.s3_verify_tls,
        ca_file=settings.s3_ca_file,
    )


def _backend(settings: Settings, storage_id: str, label: str, provider: str, product: str) -> Backend:
    return Backend(
        id=storage_id,
        label=settings.storage_label or label,
        provider=settings.storage_provider or provider,
        store_product=settings.storage_product or product,
        region=settings.storage_region,
        availability_zone=settings.storage_availability_zone,
        tags=settings.storage_tags,
        default=True,
    )


def _refuse_settings_beside_file(settings: Settings) -> None:
    names = [name for name in _changed(settings, "storage_", "s3_") if name != "storage_config"]
    if names:
        raise ConfigurationError(
            f"TAMS_STORAGE_CONFIG and TAMS_{names[0].upper()} are both set: move the value of the second into the file "
            "that the first names, and remove the variable."
        )


def _refuse_settings_without_bucket(settings: Settings) -> None:
    names = _changed(settings, "s3_")
    if names:
        raise ConfigurationError(
            f"TAMS_{names[0].upper()} is set, but TAMS_S3_BUCKET is not: write the name of the bucket, such as "
            "TAMS_S3_BUCKET=tams-media, or remove the variable."
        )


def _changed(settings: Settings, *prefixes: str) -> list[str]:
    """Return the attributes with one of these prefixes that differ from their defaults."""
    return [
        declared.name
        for declared in fields(settings)
        if declared.name.startswith(prefixes) and getattr(settings, declared.name) not in (declared.default, {})
    ]

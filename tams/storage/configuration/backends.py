"""The Storage Backends that the settings or the backends file (docs/reference/backends-file.md) describe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tams.config import ConfigurationError
from tams.domain.identifiers import new_id
from tams.storage.port import Backend

if TYPE_CHECKING:
    from tams.config import Settings

AWS_PROVIDER: Final = "AWS"

# X-Amz-Expires is a week at most, and a rounded signing date takes a third of it.
_LONGEST_URL_LIFETIME: Final = 604_800 * 2 // 3
_DEFAULT_SIGNING_REGION: Final = "us-east-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalConfiguration:
    """A Storage Backend in a directory of this machine."""

    backend: Backend
    directory: Path
    public_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Configuration:
    """A Storage Backend in an S3 bucket. `endpoint` None is AWS; timeouts are in seconds.

    Without `access_key_id` credentials come from where AWS tools look for them, by `profile` where that is given.
    `attempts` counts the first one; `connections` are those kept open to the server.
    """

    backend: Backend
    bucket: str
    endpoint: str | None = None
    signing_region: str = _DEFAULT_SIGNING_REGION
    addressing: str | None = None
    prefix: str = ""
    public_url: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    profile: str | None = None
    verify_tls: bool = True
    ca_file: Path | None = None
    connect_timeout: int = 5
    read_timeout: int = 30
    attempts: int = 3
    connections: int = 16

    @property
    def server(self) -> tuple[object, ...]:
        """What two backends have in common that one request, with one set of credentials, can copy between."""
        return (self.endpoint, self.signing_region, self.access_key_id, self.profile)


BackendConfiguration = LocalConfiguration | S3Configuration


def configured_backends(settings: Settings, environ: Mapping[str, str] | None = None) -> list[BackendConfiguration]:
    """Every Storage Backend, in the order of the file. `environ` is where the file's references to variables lead (the
    process's environment where it is None). Raises ConfigurationError.
    """
    if settings.storage_config is not None:
        _refuse_both(settings)
        from tams.storage.configuration.backends_file import read_backends

        found = read_backends(settings.storage_config, environ)
    elif settings.s3_bucket is not None:
        found = [_s3_backend(settings, settings.s3_bucket)]
    else:
        _refuse_without_bucket(settings)
        found = [_local_backend(settings)]
    if settings.min_presigned_url_timeout > _LONGEST_URL_LIFETIME and any(
        isinstance(item, S3Configuration) for item in found
    ):
        raise ConfigurationError(
            f"TAMS_MIN_PRESIGNED_URL_TIMEOUT is {settings.min_presigned_url_timeout}, and URLs of S3 cannot live that "
            f"long: write a number of seconds that is not above {_LONGEST_URL_LIFETIME}."
        )
    return found


def default_signing_region(endpoint: str | None, region: str | None) -> str | None:
    """The region that requests are signed for where that is not said; None where it has to be."""
    if region is not None:
        return region
    return None if endpoint is None else _DEFAULT_SIGNING_REGION


def _local_backend(settings: Settings) -> LocalConfiguration:
    return LocalConfiguration(
        backend=_backend(settings, settings.local_storage_id(), "local", "local", "tams-local"),
        directory=settings.data_dir / "media",
        public_url=settings.storage_public_url,
    )


def _s3_backend(settings: Settings, bucket: str) -> S3Configuration:
    if settings.storage_id is None:
        raise ConfigurationError(
            "TAMS_S3_BUCKET is set, but TAMS_STORAGE_ID is not: give the storage backend an id for ever, such as "
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
            "Only one of TAMS_S3_ACCESS_KEY_ID and TAMS_S3_SECRET_ACCESS_KEY is set: write both, or neither to have "
            "credentials looked for as AWS tools do."
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


def _refuse_both(settings: Settings) -> None:
    given = [name for name in _given(settings, "storage_", "s3_") if name != "storage_config"]
    if given:
        raise ConfigurationError(
            f"TAMS_STORAGE_CONFIG and TAMS_{given[0].upper()} are both set: write what the second says into the file "
            "that the first names, and remove the variable."
        )


def _refuse_without_bucket(settings: Settings) -> None:
    given = _given(settings, "s3_")
    if given:
        raise ConfigurationError(
            f"TAMS_{given[0].upper()} is set, but TAMS_S3_BUCKET is not: write the name of the bucket, such as "
            "TAMS_S3_BUCKET=tams-media, or remove the variable."
        )


def _given(settings: Settings, *prefixes: str) -> list[str]:
    return [
        declared.name
        for declared in fields(settings)
        if declared.name.startswith(prefixes) and getattr(settings, declared.name) not in (declared.default, {})
    ]

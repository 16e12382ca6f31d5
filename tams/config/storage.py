"""The settings of the storage backend, if there is only one; several are described in a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tams.config.fields import BASE_URL, BOOLEAN, FILE, TAGS, one_of, parsed, setting, text, uuid
from tams.config.parsers import Tags, parse_bucket, parse_endpoint, parse_label, parse_prefix


@dataclass(frozen=True, kw_only=True)
class StorageSettings:
    """The settings of the storage backend, wherever its bytes are."""

    storage_config: Path | None = setting(
        FILE,
        None,
        "File that describes several storage backends (see docs/how-to/use-several-backends.md). Excludes all "
        "`TAMS_STORAGE_…` and "
        "`TAMS_S3_…` settings: setting one of them too stops the start.",
    )
    store_id: str | None = setting(
        uuid("5d1b2a3c-4e5f-4a6b-8c7d-0123456789ab"),
        None,
        "Id of this store in its S3 keys. Has to be the same for every process of a store, and different for every "
        "store. By default, a random one is created once and kept in `store.id` in the data directory.",
    )
    storage_id: str | None = setting(
        uuid("a1a0a7a6-2b3c-4d5e-8f90-123456789abc"),
        None,
        "Permanent id of the storage backend. Required with `TAMS_S3_BUCKET`; for local storage, a random one is "
        "created once by default and kept in `storage.id` in the data directory.",
    )
    storage_label: str | None = setting(
        parsed("a text without comma", "news", parse_label),
        None,
        "Label of the storage backend.",
        shown="local; with TAMS_S3_BUCKET: s3",
    )
    storage_provider: str | None = setting(
        text("a text", "Example Cloud"),
        None,
        "Provider in `/service/storage-backends`.",
        shown="local; with TAMS_S3_BUCKET: s3",
    )
    storage_region: str | None = setting(
        text("a text", "eu-west-1"),
        None,
        "Region in `/service/storage-backends`. Required for AWS, where requests are signed for it too.",
    )
    storage_availability_zone: str | None = setting(
        text("a text", "eu-west-1a"), None, "Availability zone in `/service/storage-backends`."
    )
    storage_product: str | None = setting(
        text("a text", "Object Store 9"),
        None,
        "Product in `/service/storage-backends`.",
        shown="tams-local; with TAMS_S3_BUCKET: s3",
    )
    storage_tags: Tags = setting(
        TAGS,
        {},
        "Tags of the storage backend.",
        shown="{}",
    )
    storage_public_url: str | None = setting(
        BASE_URL,
        None,
        "Base of unsigned download URLs, if a web server or a CDN offers the media to the public. By default, there "
        "are only signed URLs.",
    )


@dataclass(frozen=True, kw_only=True)
class S3Settings:
    """The settings of the storage backend if it is an S3 bucket."""

    s3_bucket: str | None = setting(
        parsed("the name of a bucket", "tams-media", parse_bucket),
        None,
        "S3 bucket for the media, in place of the data directory.",
    )
    s3_endpoint: str | None = setting(
        parsed("the http or https URL of an S3 server, without path", "https://s3.example.com", parse_endpoint),
        None,
        "S3 server, by the name under which clients reach it too. The default is AWS.",
    )
    s3_signing_region: str | None = setting(
        text("a region's name", "us-east-1"),
        None,
        "Region that requests are signed for, if the server expects another than `TAMS_STORAGE_REGION`.",
        shown="TAMS_STORAGE_REGION, or us-east-1",
    )
    s3_addressing: str | None = setting(
        one_of("path", "virtual"),
        None,
        "Position of the bucket in a URL: in the path, or in the host name.",
        shown="path; AWS: virtual",
    )
    s3_prefix: str = setting(
        parsed("at most 128 letters, digits, - _ . and / without an empty part", "tams/media", parse_prefix),
        "",
        "Prefix of all keys in the bucket.",
    )
    s3_access_key_id: str | None = setting(
        text("the id of an access key", "AKIAIOSFODNN7EXAMPLE"),
        None,
        "Access key. By default, credentials are searched for as AWS tools do: `AWS_…` variables, `~/.aws`, the role "
        "of the container or machine.",
    )
    s3_secret_access_key: str | None = setting(
        text("the secret of the access key", "$(cat /run/secrets/s3)"),
        None,
        "Secret of `TAMS_S3_ACCESS_KEY_ID`.",
        secret=True,
    )
    s3_verify_tls: bool = setting(BOOLEAN, True, "Whether to verify the certificate of the S3 server.", shown="true")
    s3_ca_file: Path | None = setting(
        FILE, None, "File of certificates (PEM) to verify the S3 server with, in place of the public ones."
    )

"""The client of one bucket, which counts requests and turns failures into the store's own errors."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from urllib3.exceptions import HTTPError

from tams import __version__
from tams.config import ConfigurationError
from tams.storage.port import BackendDown, MissingObject
from tams.storage.s3.request_counts import REQUESTS

if TYPE_CHECKING:
    from boto3.session import Session
    from mypy_boto3_s3 import S3Client

    from tams.storage.configuration.backends import S3Configuration

logger = logging.getLogger(__name__)

_MISSING: Final = frozenset({"NoSuchKey", "404", "NotFound"})
# Refusals that answer a question and are not worth a warning.
_ANSWERS: Final = frozenset({"416", "InvalidRange", "NoSuchCORSConfiguration", "NoSuchLifecycleConfiguration"})
_SDK_LOGGERS: Final = ("boto3", "botocore", "urllib3")


def content_md5(data: bytes) -> str:
    """Return the value of a Content-MD5 header, the one checksum that every S3 server verifies."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


class Refused(BackendDown):
    """The backend answered with an error. `code` is S3's error code."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


def make_session(configuration: S3Configuration) -> Session:
    """Return the SDK's session with the credentials of the configuration.

    Raises:
        ConfigurationError: the SDK refuses the configuration.
    """
    try:
        return boto3.Session(
            aws_access_key_id=configuration.access_key_id,
            aws_secret_access_key=configuration.secret_access_key,
            profile_name=configuration.profile,
            region_name=configuration.signing_region,
        )
    except BotoCoreError as error:
        raise ConfigurationError(
            f"The storage backend {configuration.backend.label} cannot be used: {error}. Repair that, then start again."
        ) from error


def _add_content_md5(params: dict[str, Any], **_: Any) -> None:
    params["headers"]["Content-MD5"] = content_md5(params["body"])


class Bucket:
    """A bucket, and the SDK's client for it. Thread-safe."""

    def __init__(self, configuration: S3Configuration, session: Session) -> None:
        self.name = configuration.bucket
        self.backend_id = configuration.backend.id
        self._configuration = configuration
        self._session = session
        # Below WARNING, the SDK logs signatures.
        for name in _SDK_LOGGERS:
            logging.getLogger(name).setLevel(logging.WARNING)
        self._client = self._make_client(session, {})
        # The SDK now sends another checksum in its place, which older servers do not know; they insist on this one.
        for operation in ("PutBucketCors", "PutBucketLifecycleConfiguration"):
            self._client.meta.events.register(f"before-call.s3.{operation}", _add_content_md5)

    def key_id(self) -> str | None:
        """Return the id of the access key that requests are signed with; None if there are no credentials."""
        if self._configuration.access_key_id is not None:
            return self._configuration.access_key_id
        try:
            credentials = self._session.get_credentials()
            return None if credentials is None else credentials.get_frozen_credentials().access_key
        except (BotoCoreError, RuntimeError):
            return None

    def address(self, session: Session) -> str:
        """Return the URL that keys are appended to, as the SDK derives it from endpoint, region, addressing and bucket.

        Raises:
            ConfigurationError: the SDK cannot derive a URL.
        """
        unsigned = self._make_client(session, {"signature_version": UNSIGNED})
        try:
            url = unsigned.generate_presigned_url("get_object", Params={"Bucket": self.name, "Key": "k"})
        except BotoCoreError as error:
            raise ConfigurationError(
                f"The storage backend {self._configuration.backend.label} has no address ({error}): correct its "
                "bucket, endpoint and region."
            ) from error
        return url.removesuffix("k")

    def ask(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call an operation of the SDK's client on this bucket, with the SDK's retries; return the response.

        Raises:
            MissingObject: the key does not exist.
            Refused: the backend answered with another error.
            BackendDown: the backend did not answer.
        """
        with self.answering(operation, parameters.get("Key")):
            response: dict[str, Any] = getattr(self._client, operation)(Bucket=self.name, **parameters)
        return response

    @contextmanager
    def answering(self, operation: str, key: str | None) -> Iterator[None]:
        """Turn the SDK's errors into the store's own, and count the request."""
        try:
            yield
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            REQUESTS.add(self.backend_id, operation, code)
            if code in _MISSING:
                raise MissingObject(f"there are no bytes under {key}") from error
            if code not in _ANSWERS:
                logger.warning("Storage backend %s refused %s of key %s: %s", self.backend_id, operation, key, code)
            raise Refused(f"S3 refused {operation} ({code})", code) from error
        except (BotoCoreError, HTTPClientError, HTTPError, OSError) as error:
            # The message of such an error may contain a URL.
            reason = type(error).__name__
            REQUESTS.add(self.backend_id, operation, reason)
            logger.warning("Storage backend %s failed at %s of key %s: %s", self.backend_id, operation, key, reason)
            raise BackendDown(f"S3 does not answer to {operation} ({reason})") from error
        else:
            REQUESTS.add(self.backend_id, operation, "")

    def _make_client(self, session: Session, options: dict[str, Any]) -> S3Client:
        configuration = self._configuration
        default = "virtual" if configuration.endpoint is None else "path"
        addressing: Literal["virtual", "path"] = (
            "virtual" if (configuration.addressing or default) == "virtual" else "path"
        )
        config = Config(
            **{"signature_version": "s3v4"} | options,
            region_name=configuration.signing_region,
            s3={"addressing_style": addressing},
            connect_timeout=configuration.connect_timeout,
            read_timeout=configuration.read_timeout,
            retries={"mode": "standard", "total_max_attempts": configuration.attempts},
            max_pool_connections=configuration.connections,
            tcp_keepalive=True,
            # Newer SDKs send checksums in trailers by default, which many servers refuse.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            user_agent_extra=f"tams/{__version__}",
        )
        verify = str(configuration.ca_file) if configuration.ca_file and configuration.verify_tls else None
        try:
            return session.client(
                "s3",
                endpoint_url=configuration.endpoint,
                verify=verify if configuration.verify_tls else False,
                config=config,
            )
        except (BotoCoreError, OSError, ValueError) as error:
            raise ConfigurationError(
                f"The storage backend {configuration.backend.label} cannot be used: {error}. Repair that, then "
                "start again."
            ) from error

"""Sentences for an operator about a bucket that does not work: what was tried, what is wrong, and the next step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from botocore import exceptions

from tams.storage.s3.client import Refused

if TYPE_CHECKING:
    from tams.storage.configuration.backends import S3Configuration

_BY_CODE: Final = {
    "NoSuchBucket": "The bucket does not exist: correct the name, or create it by `tams storage init --create-bucket`.",
    "InvalidAccessKeyId": "The server does not know the access key: correct the key, or the endpoint.",
    "SignatureDoesNotMatch": "The secret access key does not belong to the access key: correct it.",
    "AccessDenied": "The access key lacks a permission: allow it ListBucket, GetObject, PutObject, DeleteObject.",
    "AllAccessDisabled": "The server has disabled the bucket: ask its operator.",
    "InvalidToken": "The session token is not valid: renew the temporary credentials.",
    "ExpiredToken": "The temporary credentials have expired: renew them.",
    "PermanentRedirect": "The bucket is in another region: correct the region and the endpoint.",
    "AuthorizationHeaderMalformed": "The server expects another region: correct TAMS_S3_SIGNING_REGION.",
    "RequestTimeTooSkewed": "The clocks of this machine and of the server differ: set the clock.",
}
_BY_FAILURE: Final[tuple[tuple[type[Exception], str], ...]] = (
    (exceptions.SSLError, "TLS failed: correct the scheme of the endpoint, or name the CA of its certificate."),
    (exceptions.EndpointConnectionError, "The endpoint cannot be reached: correct it, or start the server."),
    (exceptions.ConnectTimeoutError, "The endpoint does not accept connections: correct it, or look at the firewall."),
    (exceptions.ReadTimeoutError, "The server accepts connections and does not answer: look at its state."),
    (exceptions.NoCredentialsError, "There are no credentials: set the access key and its secret."),
    (exceptions.PartialCredentialsError, "The credentials are not complete: set the access key and its secret."),
)


def diagnose(configuration: S3Configuration, key_id: str | None, error: Exception) -> str:
    """Return the place that was tried, what was found there, and what to do about it. No secret is part of it."""
    endpoint = configuration.endpoint or f"AWS, region {configuration.signing_region}"
    place = f"Bucket {configuration.bucket} at {endpoint} with {f'access key {key_id}' if key_id else 'no access key'}"
    return f"{place}: {error}. {_finding(error)}".rstrip()


def _finding(error: Exception) -> str:
    if isinstance(error, Refused):
        return _BY_CODE.get(error.code, "")
    cause = error.__cause__ or error.__context__
    return next((sentence for kind, sentence in _BY_FAILURE if isinstance(cause, kind)), "")

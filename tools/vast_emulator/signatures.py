"""Verification of AWS Signature Version 4: every request except those of `admin` must be signed with the configured
key.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from tools.vast_emulator.errors import ProtocolError

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=(?P<access>[^/,]+)/(?P<scope>[^,]*),\s*"
    r"SignedHeaders=(?P<headers>[^,]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)
_SKEW = timedelta(minutes=15)
_UNSIGNED = ("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")


def verify(
    method: str, target: str, headers: Mapping[str, str], body: bytes, *, access: str, secret: str, now: datetime
) -> None:
    """Check that a request was signed with this key, at most 15 minutes from now.

    `target` is the request's path and query as sent; header names are in lower case.

    Raises:
        ProtocolError: 403, the signature is missing or invalid.
    """
    match = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if match is None:
        raise _denied("AccessDenied", "the request is not signed")
    if not hmac.compare_digest(match["access"].encode(), access.encode()):
        raise _denied("InvalidAccessKeyId", "the access key is unknown")
    stamp = headers.get("x-amz-date", "")
    try:
        sent = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise _denied("AccessDenied", "x-amz-date is missing or invalid") from error
    if abs(now - sent) > _SKEW:
        raise _denied("RequestTimeTooSkewed", f"the request was signed at {stamp}, more than 15 minutes from now")
    scope = match["scope"].split("/")
    if len(scope) != 4 or scope[0] != stamp[:8] or scope[2:] != ["s3", "aws4_request"]:
        raise _denied("SignatureDoesNotMatch", f"invalid scope {match['scope']}")
    names = match["headers"].split(";")
    if not {"host", "x-amz-date"} <= set(names):
        raise _denied("SignatureDoesNotMatch", "host and x-amz-date must be signed")
    payload = _payload_hash(headers, body)
    for path in _canonical_paths(target.partition("?")[0]):
        request = "\n".join(
            [
                method,
                path,
                _canonical_query(target.partition("?")[2]),
                *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in names),
                "",
                match["headers"],
                payload,
            ]
        )
        if hmac.compare_digest(_signature(secret, scope, stamp, request), match["signature"]):
            return
    raise _denied("SignatureDoesNotMatch", "the request was signed with another key, or changed after it was signed")


def _denied(code: str, message: str) -> ProtocolError:
    return ProtocolError(403, code, message)


def _payload_hash(headers: Mapping[str, str], body: bytes) -> str:
    declared = headers.get("x-amz-content-sha256")
    if declared in _UNSIGNED:
        return declared
    actual = hashlib.sha256(body).hexdigest()
    if declared is not None and declared != actual:
        raise _denied("XAmzContentSHA256Mismatch", "the body does not match x-amz-content-sha256")
    return actual


def _canonical_paths(path: str) -> tuple[str, ...]:
    """Return the paths that may have been signed: the path as sent (S3), and encoded once more (the SDK).

    The two differ only if the path has percent-encoded characters.
    """
    path = path or "/"
    return (path, quote(path, safe="/-_.~")) if "%" in path else (path,)


def _canonical_query(query: str) -> str:
    pairs = sorted(part.partition("=")[::2] for part in query.split("&") if part)
    return "&".join(f"{name}={value}" for name, value in pairs)


def _signature(secret: str, scope: list[str], stamp: str, request: str) -> str:
    signing_key = f"AWS4{secret}".encode()
    for part in scope:
        signing_key = hmac.digest(signing_key, part.encode(), "sha256")
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, "/".join(scope), digest])
    return hmac.new(signing_key, text.encode(), "sha256").hexdigest()

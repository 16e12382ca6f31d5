"""AWS Signature Version 4, verified: every request but the admin's must be signed with the configured key."""

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
    """Refuse (403) a request that was not signed with this key, or not now.

    `target` is the request's path and query as they were sent; the names of headers are in lower case.
    """
    found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if found is None:
        raise _denied("AccessDenied", "the request is not signed")
    if not hmac.compare_digest(found["access"].encode(), access.encode()):
        raise _denied("InvalidAccessKeyId", "there is no such access key")
    stamp = headers.get("x-amz-date", "")
    try:
        sent = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as wrong:
        raise _denied("AccessDenied", "x-amz-date is missing or no date") from wrong
    if abs(now - sent) > _SKEW:
        raise _denied("RequestTimeTooSkewed", f"signed at {stamp}")
    scope = found["scope"].split("/")
    if len(scope) != 4 or scope[0] != stamp[:8] or scope[2:] != ["s3", "aws4_request"]:
        raise _denied("SignatureDoesNotMatch", f"scope {found['scope']}")
    names = found["headers"].split(";")
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
                found["headers"],
                payload,
            ]
        )
        if hmac.compare_digest(_signature(secret, scope, stamp, request), found["signature"]):
            return
    raise _denied("SignatureDoesNotMatch", "the request was signed with another key, or changed on its way")


def _denied(code: str, message: str) -> ProtocolError:
    return ProtocolError(403, code, message)


def _payload_hash(headers: Mapping[str, str], body: bytes) -> str:
    said = headers.get("x-amz-content-sha256")
    if said in _UNSIGNED:
        return said
    actual = hashlib.sha256(body).hexdigest()
    if said is not None and said != actual:
        raise _denied("XAmzContentSHA256Mismatch", "the body is not what x-amz-content-sha256 says")
    return actual


def _canonical_paths(path: str) -> tuple[str, ...]:
    """S3 signs the path as it is sent; the SDK encodes it once more, which differs where something was encoded."""
    path = path or "/"
    return (path, quote(path, safe="/-_.~")) if "%" in path else (path,)


def _canonical_query(query: str) -> str:
    pairs = sorted(part.partition("=")[::2] for part in query.split("&") if part)
    return "&".join(f"{name}={value}" for name, value in pairs)


def _signature(secret: str, scope: list[str], stamp: str, request: str) -> str:
    key = f"AWS4{secret}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, "/".join(scope), digest])
    return hmac.new(key, text.encode(), "sha256").hexdigest()

"""Presigned URLs, equal to those of the AWS SDK's `generate_presigned_url`, at a fiftieth of its cost.

AWS Signature Version 4 in the query. The URLs of a page differ only in the key: the rest of what is hashed is prepared
once for each signing date and set of credentials.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlsplit

from tams.storage.s3.credentials import Credentials

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_UNSIGNED: Final = "UNSIGNED-PAYLOAD"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Signing:
    """The common parts of URLs with the same method, date, lifetime and credentials."""

    query: str
    """The query of the URL, up to the signature."""
    after_path: str
    """The canonical request after the path."""
    before_digest: bytes
    """The string to sign, up to the digest of the canonical request."""
    key: bytes


class Presigner:
    """Signs URLs of objects below `base`, an absolute URL with an escaped path, to which keys are appended."""

    def __init__(self, base: str, region: str) -> None:
        parts = urlsplit(base)
        self._base = base
        self._region = region
        self._host = parts.netloc
        if parts.port == _DEFAULT_PORTS.get(parts.scheme):
            self._host = parts.netloc.rpartition(":")[0]
        self._get = hashlib.sha256(f"GET\n{parts.path}".encode())
        self._put = hashlib.sha256(f"PUT\n{parts.path}".encode())

    def signing(self, credentials: Credentials, date: int, lifetime: int, content_type: str | None = None) -> Signing:
        """Return the common parts of URLs that are valid from `date` (seconds since 1970) for `lifetime` seconds.

        With a `content_type` the URLs are for PUT with exactly that type, otherwise for GET.
        """
        stamp = datetime.fromtimestamp(date, UTC).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{stamp[:8]}/{self._region}/s3/aws4_request"
        headers = {"host": self._host}
        if content_type is not None:
            # SigV4 trims header values, and replaces each run of white space with one space.
            headers["content-type"] = " ".join(content_type.split())
        names = ";".join(sorted(headers))
        parameters = {
            "X-Amz-Algorithm": _ALGORITHM,
            "X-Amz-Credential": f"{credentials.access_key}/{scope}",
            "X-Amz-Date": stamp,
            "X-Amz-Expires": str(lifetime),
            "X-Amz-SignedHeaders": names,
        }
        if credentials.token is not None:
            parameters["X-Amz-Security-Token"] = credentials.token
        pairs = [f"{name}={quote(value, safe='-_.~')}" for name, value in parameters.items()]
        canonical_headers = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        key = f"AWS4{credentials.secret_key}".encode()
        for text in scope.split("/"):
            key = hmac.digest(key, text.encode(), "sha256")
        return Signing(
            query="?" + "&".join(pairs) + "&X-Amz-Signature=",
            after_path="\n" + "&".join(sorted(pairs)) + f"\n{canonical_headers}\n{names}\n{_UNSIGNED}",
            before_digest=f"{_ALGORITHM}\n{stamp}\n{scope}\n".encode(),
            key=key,
        )

    def get(self, key: str, signing: Signing) -> str:
        """Return the URL for GET of a key."""
        return self._sign(self._get, key, signing)

    def put(self, key: str, signing: Signing) -> str:
        """Return the URL for PUT to a key, with the content type of `signing`."""
        return self._sign(self._put, key, signing)

    def plain(self, key: str) -> str:
        """Return the URL of a key without a signature."""
        return self._base + quote(key, safe="/~")

    def _sign(self, before_key: hashlib._Hash, key: str, signing: Signing) -> str:
        path = quote(key, safe="/~")
        request = before_key.copy()
        request.update((path + signing.after_path).encode())
        to_sign = signing.before_digest + request.hexdigest().encode()
        return f"{self._base}{path}{signing.query}{hmac.digest(signing.key, to_sign, 'sha256').hex()}"

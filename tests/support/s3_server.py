"""An S3 server for tests in a separate process: `s3_server.py DESCRIPTOR KEY SECRET` serves on that socket.

moto stores the objects, but accepts every signature and ignores every checksum. The middleware here verifies them as S3
does: AWS Signature Version 4 in headers and in queries, times, and the digests of bodies.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import sys
import time
import zlib
from calendar import timegm
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW = 900  # seconds
LONGEST = 604_800  # seconds

DIGESTS: dict[str, Callable[[bytes], bytes]] = {
    "content-md5": lambda body: hashlib.md5(body).digest(),
    "x-amz-checksum-sha1": lambda body: hashlib.sha1(body).digest(),
    "x-amz-checksum-sha256": lambda body: hashlib.sha256(body).digest(),
    "x-amz-checksum-crc32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
}


class Refusal(Exception):
    """An error response: its HTTP `status` and S3's `code`."""

    def __init__(self, status: str, code: str, message: str = "") -> None:
        super().__init__(message or code)
        self.status = status
        self.code = code


class Request:
    """The parts of a request that its signature covers."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.method: str = environ["REQUEST_METHOD"]
        target = urlsplit(environ.get("RAW_URI") or environ["REQUEST_URI"])
        self.path = target.path or "/"
        self.query = parse_qsl(target.query, keep_blank_values=True)
        self.parameters = dict(self.query)
        self.headers = {
            name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")
        }
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if name in environ:
                self.headers[name.replace("_", "-").lower()] = environ[name]
        self.body: bytes = environ["wsgi.input"].read(int(self.headers.get("content-length") or 0))


class Signature:
    """The signature in a request's headers or query."""

    def __init__(self, request: Request) -> None:
        self._request = request
        parameters, authorization = request.parameters, request.headers.get("authorization", "")
        try:
            if "X-Amz-Signature" in parameters:
                self.algorithm, self.credential = parameters["X-Amz-Algorithm"], parameters["X-Amz-Credential"]
                self.date, self.signed = parameters["X-Amz-Date"], parameters["X-Amz-SignedHeaders"].split(";")
                self.signature, self.payload = parameters["X-Amz-Signature"], "UNSIGNED-PAYLOAD"
                self.lifetime: int | None = int(parameters["X-Amz-Expires"])
                self.token = parameters.get("X-Amz-Security-Token")
            elif authorization:
                self.algorithm, _, rest = authorization.partition(" ")
                parts = dict(part.strip().split("=", 1) for part in rest.split(","))
                self.credential, self.signature = parts["Credential"], parts["Signature"]
                self.signed = parts["SignedHeaders"].split(";")
                self.date, self.payload = request.headers["x-amz-date"], request.headers["x-amz-content-sha256"]
                self.lifetime, self.token = None, request.headers.get("x-amz-security-token")
            else:
                raise Refusal("403 Forbidden", "AccessDenied")
            self.access_key, self.day, self.region, self.service, self.terminator = self.credential.split("/")
            self.made = timegm(time.strptime(self.date, "%Y%m%dT%H%M%SZ"))
        except (KeyError, ValueError) as error:
            raise Refusal("400 Bad Request", "AuthorizationQueryParametersError", "malformed") from error

    def verify(self, secret: str) -> None:
        """Raise Refusal unless the signature is valid, has not expired, and covers the whole request."""
        if self.algorithm != ALGORITHM or (self.service, self.terminator) != ("s3", "aws4_request"):
            raise Refusal("400 Bad Request", "AuthorizationQueryParametersError")
        age = time.time() - self.made
        if self.lifetime is not None and not 1 <= self.lifetime <= LONGEST:
            raise Refusal("400 Bad Request", "AuthorizationQueryParametersError", "X-Amz-Expires")
        if age < -SKEW or (self.lifetime is None and age > SKEW):
            raise Refusal("403 Forbidden", "RequestTimeTooSkewed")
        if self.lifetime is not None and age > self.lifetime:
            raise Refusal("403 Forbidden", "AccessDenied", "Request has expired")
        if self.day != self.date[:8] or "host" not in self.signed:
            raise Refusal("403 Forbidden", "SignatureDoesNotMatch")
        if not hmac.compare_digest(self._expected(secret), self.signature):
            raise Refusal("403 Forbidden", "SignatureDoesNotMatch")
        unsigned = {name for name in self._request.headers if name.startswith("x-amz-")} - set(self.signed)
        if any(not name.startswith("x-amz-checksum-") for name in unsigned):
            raise Refusal("403 Forbidden", "AccessDenied", "There were headers present which were not signed")
        if self.payload != "UNSIGNED-PAYLOAD" and self.payload != hashlib.sha256(self._request.body).hexdigest():
            raise Refusal("400 Bad Request", "XAmzContentSHA256Mismatch")

    def _expected(self, secret: str) -> str:
        pairs = sorted(
            f"{_escape(name)}={_escape(value)}" for name, value in self._request.query if name != "X-Amz-Signature"
        )
        headers = "".join(f"{name}:{' '.join(self._request.headers.get(name, '').split())}\n" for name in self.signed)
        canonical = "\n".join(
            [
                self._request.method,
                self._request.path,
                "&".join(pairs),
                headers,
                ";".join(self.signed),
                self.payload,
            ]
        )
        scope = f"{self.day}/{self.region}/{self.service}/{self.terminator}"
        to_sign = "\n".join([ALGORITHM, self.date, scope, hashlib.sha256(canonical.encode("latin-1")).hexdigest()])
        signing_key = f"AWS4{secret}".encode()
        for text in scope.split("/"):
            signing_key = hmac.digest(signing_key, text.encode(), "sha256")
        return hmac.digest(signing_key, to_sign.encode(), "sha256").hex()


class Verifying:
    """WSGI middleware that passes on only requests signed with one of the `secrets` (by access key).

    An access key `K:T` is a temporary one, which is valid only together with the session token T.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]], secrets: dict[str, str]) -> None:
        self._app = app
        self._secrets = secrets

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        try:
            request = Request(environ)
            self._verify(request)
        except Refusal as refusal:
            return _refuse(refusal, environ, start)
        environ["wsgi.input"] = io.BytesIO(request.body)
        return self._app(environ, start)

    def _verify(self, request: Request) -> None:
        if request.method == "OPTIONS":
            return
        signature = Signature(request)
        user = signature.access_key + ("" if signature.token is None else f":{signature.token}")
        if user not in self._secrets:
            raise Refusal("403 Forbidden", "InvalidAccessKeyId" if signature.token is None else "InvalidToken")
        signature.verify(self._secrets[user])
        if len(request.body) != int(request.headers.get("content-length") or 0):
            raise Refusal("400 Bad Request", "IncompleteBody")
        for name, digest in DIGESTS.items():
            if name in request.headers and "x-amz-copy-source" not in request.headers:
                _compare(request.headers[name], digest(request.body))


def _compare(header: str, digest: bytes) -> None:
    try:
        checksum = base64.b64decode(header, validate=True)
    except ValueError as error:
        raise Refusal("400 Bad Request", "InvalidDigest") from error
    if checksum != digest:
        raise Refusal("400 Bad Request", "BadDigest")


def _escape(text: str) -> str:
    return quote(text, safe="-_.~")


def _refuse(refusal: Refusal, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    body = f"<Error><Code>{refusal.code}</Code><Message>{refusal}</Message></Error>".encode()
    start(refusal.status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def main(descriptor: int, secrets: dict[str, str]) -> None:
    """Serve until killed."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    app = Verifying(DomainDispatcherApplication(create_backend_app), secrets)
    make_server("127.0.0.1", 0, app, threaded=True, fd=descriptor).serve_forever()


if __name__ == "__main__":
    pairs = sys.argv[2:]
    main(int(sys.argv[1]), dict(zip(pairs[::2], pairs[1::2], strict=True)))

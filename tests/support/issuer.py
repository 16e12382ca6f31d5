"""An identity provider: keys published by a real HTTP server, and valid and invalid tokens."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

NAME = "https://login.example.com/realms/media"
AUDIENCE = "tams"


@cache
def rsa_key(number: int, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return the key of that number. It is generated once, because generating a key is slow."""
    del number
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def pem(key: rsa.RSAPrivateKey) -> bytes:
    """Return the public key in PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def published(key: rsa.RSAPrivateKey, kid: str | None = "one", **more: Any) -> dict[str, Any]:
    """Return the public key as a JWKS entry."""
    entry = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**entry, "use": "sig", **({} if kid is None else {"kid": kid}), **more}


def published_curve(key: ec.EllipticCurvePrivateKey, kid: str) -> dict[str, Any]:
    """Return the public key of an elliptic curve as a JWKS entry."""
    return {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid}


def claims(**changed: Any) -> dict[str, Any]:
    """Return the claims of a token that is valid for an hour; claims that are changed to None are left out."""
    now = int(time.time())
    good = {
        "iss": NAME,
        "aud": AUDIENCE,
        "sub": "alice",
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "scope": "tams-api/read",
        **changed,
    }
    return {name: value for name, value in good.items() if value is not None}


class Issuer:
    """The HTTP server of the identity provider. Its attributes say what it answers, and `asked` counts the requests."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = [published(rsa_key(1))]
        self.status = 200
        self.body: bytes | None = None
        self.location: str | None = None
        self.delay = 0.0
        self.request_count = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.request_count += 1
                time.sleep(issuer.delay)
                content = issuer.body if issuer.body is not None else json.dumps({"keys": issuer.keys}).encode()
                self.send_response(issuer.status)
                if issuer.location is not None:
                    self.send_header("Location", issuer.location)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                with suppress(ConnectionError):  # the client may have timed out
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/keys"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @staticmethod
    def token(key: int = 1, kid: str | None = "one", headers: dict[str, Any] | None = None, **changed: Any) -> str:
        """Return a token that is signed with the key of that number."""
        more = {**({} if kid is None else {"kid": kid}), **(headers or {})}
        return jwt.encode(claims(**changed), rsa_key(key), "RS256", headers=more)


def bearer(token: str) -> dict[str, str]:
    """Return the Authorization header for a token."""
    return {"Authorization": f"Bearer {token}"}

"""Forged, foreign and malformed JWTs: each is 401, never 500, and only the configured issuer is asked for keys."""

from __future__ import annotations

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flask.testing import FlaskClient

from tests.support.issuer import NAME, Issuer, bearer, claims, pem, published, published_curve, rsa_key
from tests.support.matrix import Matrix

NOW = int(time.time())
CURVE = ec.generate_private_key(ec.SECP256R1())


def b64(content: bytes | dict[str, Any]) -> str:
    """Encode a part of a token."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def hashed(header: dict[str, Any], key: bytes, digest: str = "sha256") -> str:
    """Return a token signed by HMAC with any key, which libraries refuse to make."""
    signed = f"{b64(header)}.{b64(claims())}"
    return f"{signed}.{b64(hmac.digest(key, signed.encode(), digest))}"


def unsigned(header: dict[str, Any], signature: str = "") -> str:
    """Return a token with this header whose signature signs nothing."""
    return f"{b64(header)}.{b64(claims())}.{signature}"


def with_payload(payload: bytes) -> str:
    """Return a token with any payload and a valid signature."""
    return jwt.api_jws.encode(payload, rsa_key(1), "RS256", headers={"kid": "one"})


def other_payload() -> str:
    """Return a good token whose claims were replaced."""
    header, _, signature = Issuer.token().split(".")
    return f"{header}.{b64(claims(sub='root', scope='tams-api/admin'))}.{signature}"


def jwk_in_header() -> str:
    """Return a token signed by a key in its own header."""
    return Issuer.token(key=2, headers={"jwk": published(rsa_key(2))})


FORGED: dict[str, Callable[[], str]] = {
    "alg none": lambda: unsigned({"alg": "none", "kid": "one"}),
    "alg None": lambda: unsigned({"alg": "None"}),
    "alg nOnE with a signature": lambda: unsigned({"alg": "nOnE", "kid": "one"}, "AAAA"),
    "no alg": lambda: unsigned({"kid": "one"}, "AAAA"),
    "alg null": lambda: unsigned({"alg": None, "kid": "one"}, "AAAA"),
    "alg a list": lambda: unsigned({"alg": ["RS256"], "kid": "one"}, "AAAA"),
    "alg an object": lambda: unsigned({"alg": {"RS256": 1}, "kid": "one"}, "AAAA"),
    "alg empty": lambda: unsigned({"alg": "", "kid": "one"}),
    "HS256 with the public key": lambda: hashed({"alg": "HS256", "kid": "one"}, pem(rsa_key(1))),
    "HS256 with the modulus": lambda: hashed({"alg": "HS256", "kid": "one"}, published(rsa_key(1))["n"].encode()),
    "HS256 with an empty key": lambda: hashed({"alg": "HS256", "kid": "one"}, b""),
    "HS512 with the public key": lambda: hashed({"alg": "HS512", "kid": "one"}, pem(rsa_key(1)), "sha512"),
    "RS512, which is not pinned": lambda: jwt.encode(claims(), rsa_key(1), "RS512", headers={"kid": "one"}),
    "PS256, which is not pinned": lambda: jwt.encode(claims(), rsa_key(1), "PS256", headers={"kid": "one"}),
    "ES256 with the id of an RSA key": lambda: jwt.encode(claims(), CURVE, "ES256", headers={"kid": "one"}),
    "a key of the attacker": lambda: Issuer.token(key=2),
    "jwk in the header": jwk_in_header,
    "x5c in the header": lambda: Issuer.token(key=2, headers={"x5c": ["MIIB"]}),
    "claims replaced": other_payload,
    "signature cut": lambda: Issuer.token()[:-10],
    "signature left out": lambda: Issuer.token().rpartition(".")[0] + ".",
    "two parts": lambda: Issuer.token().rpartition(".")[0],
    "five parts": lambda: Issuer.token() + ".a.b",
    "no base64": lambda: "!!!.???.***",
    "garbage": lambda: "garbage",
    "latin-1": lambda: "\xe9\xff.\xe9.\xe9",
    "header no object": lambda: f"{b64(b'[]')}.{b64(claims())}.AAAA",
    "header nested deep": lambda: f"{b64(b'[' * 4000)}.{b64(claims())}.AAAA",
    "critical extension": lambda: Issuer.token(headers={"crit": ["exp"]}),
    "detached payload": lambda: Issuer.token(headers={"b64": False, "crit": ["b64"]}),
    "compressed": lambda: Issuer.token(headers={"zip": "DEF"}, aud="other"),
    "encrypted": lambda: f"{b64({'alg': 'RSA-OAEP', 'enc': 'A256GCM'})}.a.b.c.d",
    "an unknown kid": lambda: Issuer.token(kid="another"),
    "kid a path": lambda: Issuer.token(kid="../../../../dev/null"),
    "kid a query": lambda: Issuer.token(kid="' UNION SELECT 'key' --"),
    "kid a URL": lambda: Issuer.token(kid="http://127.0.0.1:1/keys"),
    "kid a number": lambda: unsigned({"alg": "RS256", "kid": 1}, "AAAA"),
    "kid a list": lambda: unsigned({"alg": "RS256", "kid": ["one"]}, "AAAA"),
    "kid null": lambda: unsigned({"alg": "RS256", "kid": None}, "AAAA"),
    "kid empty": lambda: Issuer.token(kid=""),
    "a huge kid": lambda: Issuer.token(kid="k" * 5000),
    "a huge token": lambda: Issuer.token(more="x" * 8192),
    "expired": lambda: Issuer.token(exp=NOW - 60),
    "expired long ago": lambda: Issuer.token(exp=1),
    "no expiry": lambda: Issuer.token(exp=None),
    "expiry null": lambda: with_payload(json.dumps({**claims(), "exp": None}).encode()),
    "expiry a text": lambda: with_payload(json.dumps({**claims(), "exp": "never"}).encode()),
    "expiry infinite": lambda: with_payload(json.dumps({**claims(), "exp": float("inf")}).encode()),
    "expiry no number": lambda: with_payload(json.dumps({**claims(), "exp": float("nan")}).encode()),
    "expiry a list": lambda: with_payload(json.dumps({**claims(), "exp": [NOW + 60]}).encode()),
    "not valid yet": lambda: Issuer.token(nbf=NOW + 3600),
    "issued in the future": lambda: Issuer.token(iat=NOW + 3600),
    "another issuer": lambda: Issuer.token(iss="https://evil.example.com"),
    "an issuer alike": lambda: Issuer.token(iss=NAME + "/"),
    "no issuer": lambda: Issuer.token(iss=None),
    "issuer a list": lambda: with_payload(json.dumps({**claims(), "iss": [NAME]}).encode()),
    "another audience": lambda: Issuer.token(aud="another-service"),
    "other audiences": lambda: Issuer.token(aud=["a", "b"]),
    "an audience alike": lambda: Issuer.token(aud="tams2"),
    "audience within a text": lambda: Issuer.token(aud="other tams"),
    "no audience": lambda: Issuer.token(aud=None),
    "audience an object": lambda: Issuer.token(aud={"tams": True}),
    "no name": lambda: Issuer.token(sub=None),
    "an empty name": lambda: Issuer.token(sub=""),
    "a name with a line break": lambda: Issuer.token(sub="alice\nroot"),
    "a name with U+0000": lambda: Issuer.token(sub="alice\x00"),
    "a huge name": lambda: Issuer.token(sub="a" * 300),
    "name a number": lambda: with_payload(json.dumps({**claims(), "sub": 1}).encode()),
    "claims a list": lambda: with_payload(b"[]"),
    "claims no JSON": lambda: with_payload(b"claims"),
    "claims nested deep": lambda: with_payload(b"[" * 4000),
}


def test_every_forged_token_is_refused(client: FlaskClient) -> None:
    # One application for all of them: an attack must not make the next one easier.
    matrix = Matrix()
    for attack, forge in FORGED.items():
        with matrix.cell(attack):
            answer = client.get("/flows", headers=bearer(forge()))
            assert answer.status_code == 401, answer.text
            challenge = answer.headers.getlist("WWW-Authenticate")[0]
            assert challenge.startswith('Bearer realm="tams", error="invalid_token"')
    matrix.check(cells=71)
    assert client.get("/flows", headers=bearer(Issuer.token())).status_code == 200


def test_the_token_that_the_attacks_start_from_is_good(client: FlaskClient) -> None:
    assert client.get("/flows", headers=bearer(Issuer.token())).status_code == 200
    assert client.get("/flows", headers=bearer(with_payload(json.dumps(claims()).encode()))).status_code == 200


@pytest.mark.parametrize("name", ["jku", "x5u"])
def test_a_url_in_the_header_is_never_fetched(client: FlaskClient, name: str) -> None:
    attacker = Issuer()
    attacker.keys = [published(rsa_key(2), kid="evil")]
    try:
        token = Issuer.token(key=2, kid="evil", headers={name: attacker.url})
        assert client.get("/flows", headers=bearer(token)).status_code == 401
        assert attacker.request_count == 0
    finally:
        attacker.stop()


def test_a_refused_token_stays_refused_and_a_good_one_is_not_disturbed(client: FlaskClient) -> None:
    good, bad = bearer(Issuer.token()), bearer(other_payload())
    assert [client.get("/flows", headers=headers).status_code for headers in (good, bad, good, bad)] == [
        200,
        401,
        200,
        401,
    ]


def test_no_part_of_a_refused_token_is_in_the_response(client: FlaskClient) -> None:
    token = Issuer.token(key=2, sub="mallory")
    text = client.get("/flows", headers=bearer(token)).text
    assert all(part not in text for part in (*token.split("."), "mallory"))


class TestUnusableKeys:
    """Keys that the issuer publishes are checked before they are used."""

    def test_keys_for_encryption_and_weak_keys_are_not_used(self, client: FlaskClient, issuer: Issuer) -> None:
        weak = rsa_key(9, 1024)
        issuer.keys = [published(rsa_key(1), use="enc"), published(weak, "weak"), published(rsa_key(2), "two")]
        assert client.get("/flows", headers=bearer(Issuer.token())).status_code == 401
        with pytest.warns(jwt.InsecureKeyLengthWarning):
            token = jwt.encode(claims(), weak, "RS256", headers={"kid": "weak"})
        assert client.get("/flows", headers=bearer(token)).status_code == 401
        assert client.get("/flows", headers=bearer(Issuer.token(key=2, kid="two"))).status_code == 200

    def test_a_published_secret_is_not_used(self, client: FlaskClient, issuer: Issuer) -> None:
        issuer.keys = [{"kty": "oct", "k": b64(b"k" * 32), "kid": "one"}, published(rsa_key(2), "two")]
        assert (
            client.get("/flows", headers=bearer(hashed({"alg": "HS256", "kid": "one"}, b"k" * 32))).status_code == 401
        )

    def test_a_key_for_another_algorithm_is_not_used(self, client: FlaskClient, issuer: Issuer) -> None:
        issuer.keys = [
            published(rsa_key(1), alg="RS512"),
            published_curve(CURVE, "curve"),
            published(rsa_key(2), "two"),
        ]
        assert client.get("/flows", headers=bearer(Issuer.token())).status_code == 401
        token = jwt.encode(claims(), CURVE, "ES256", headers={"kid": "curve"})
        assert client.get("/flows", headers=bearer(token)).status_code == 401

    @pytest.mark.parametrize("entry", [{}, {"kty": "RSA"}, {"kty": "RSA", "n": 1, "e": "AQAB"}, {"kty": 5}, 7, "key"])
    def test_malformed_keys_are_skipped(self, client: FlaskClient, issuer: Issuer, entry: Any) -> None:
        issuer.keys = [entry, published(rsa_key(1))]
        assert client.get("/flows", headers=bearer(Issuer.token())).status_code == 200

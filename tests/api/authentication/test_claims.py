"""Claims of JWTs, as different identity providers write them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask, g

from tams.api.authentication.bearer import JsonWebTokens, keys_of
from tams.api.authentication.schemes import InvalidCredentials
from tams.config import Settings
from tams.domain.principals import ADMIN, READ, WRITE, Principal
from tests.support.credentials import secured
from tests.support.issuer import Issuer, claims

SECRET = "s" * 32


def tokens_of(settings: Settings) -> JsonWebTokens:
    return JsonWebTokens(settings, keys_of(settings))


def principal(directory: Path, issuer: Issuer, settings: dict[str, Any], **changed: Any) -> Principal:
    base = {"jwt_jwks_url": None, "jwt_key": SECRET, **settings}
    tokens = tokens_of(secured(directory, issuer, **base))
    return tokens.principal(jwt.encode(claims(**changed), SECRET, "HS256"))


@pytest.mark.parametrize(
    ("settings", "changed", "expected"),
    [
        ({}, {}, Principal("alice", frozenset({READ}))),
        ({}, {"scope": f"openid {READ} {WRITE}"}, Principal("alice", frozenset({READ, WRITE}))),
        ({}, {"scope": [READ, ADMIN, "openid"]}, Principal("alice", frozenset({READ, ADMIN}))),
        ({}, {"scope": None}, Principal("alice")),
        ({}, {"scope": {READ: True}}, Principal("alice")),
        ({}, {"scope": "tams-api/reader tams-api read"}, Principal("alice")),
        ({}, {"groups": ["news", "sport"]}, Principal("alice", frozenset({READ}), frozenset({"news", "sport"}))),
        (
            {},
            {"groups": "night shift, sport"},
            Principal("alice", frozenset({READ}), frozenset({"night shift", "sport"})),
        ),
        ({}, {"groups": [1, None, "news"]}, Principal("alice", frozenset({READ}), frozenset({"news"}))),
        ({}, {"aud": ["account", "tams"]}, Principal("alice", frozenset({READ}))),
        ({"jwt_scopes_claim": "scp"}, {"scp": READ, "scope": ADMIN}, Principal("alice", frozenset({READ}))),
        (
            {"jwt_scopes_claim": "realm_access.roles", "jwt_name_claim": "preferred_username"},
            {"realm_access": {"roles": [WRITE]}, "preferred_username": "Alice A."},
            Principal("Alice A.", frozenset({WRITE})),
        ),
        (
            {"jwt_audience_claim": "client_id", "jwt_groups_claim": "cognito:groups", "jwt_name_claim": "username"},
            {"aud": None, "client_id": "tams", "cognito:groups": ["news"], "username": "a1"},
            Principal("a1", frozenset({READ}), frozenset({"news"})),
        ),
        (
            {"jwt_groups_claim": "https://tams.example.com/groups"},
            {"https://tams.example.com/groups": ["news"]},
            Principal("alice", frozenset({READ}), frozenset({"news"})),
        ),
    ],
)
def test_claims_of_several_providers_are_read(
    tmp_path: Path, issuer: Issuer, settings: dict[str, Any], changed: dict[str, Any], expected: Principal
) -> None:
    assert principal(tmp_path, issuer, settings, **changed) == expected


def test_a_shared_key_accepts_no_other_kind_of_signature(tmp_path: Path, issuer: Issuer) -> None:
    tokens = tokens_of(secured(tmp_path, issuer, jwt_jwks_url=None, jwt_key=SECRET))
    for token in (Issuer.token(), jwt.encode(claims(), "t" * 32, "HS256"), jwt.encode(claims(), "s" * 64, "HS512")):
        with pytest.raises(InvalidCredentials):
            tokens.principal(token)
    assert tokens.principal(jwt.encode(claims(), SECRET, "HS256", headers={"kid": "whatever"})).name == "alice"
    assert issuer.request_count == 0


def test_clocks_may_differ_by_the_leeway(tmp_path: Path, issuer: Issuer) -> None:
    moment = claims()["iat"]
    assert principal(tmp_path, issuer, {}, exp=moment - 10, nbf=moment + 10, iat=moment + 10).name == "alice"


def test_without_leeway_clocks_may_not_differ(tmp_path: Path, issuer: Issuer) -> None:
    with pytest.raises(InvalidCredentials):
        principal(tmp_path, issuer, {"jwt_leeway": 0}, exp=claims()["iat"] - 1)


def test_a_cached_token_ends_at_its_expiry(tmp_path: Path, issuer: Issuer) -> None:
    tokens = tokens_of(secured(tmp_path, issuer))
    token = Issuer.token(exp=int(time.time()) - 28)
    assert tokens.principal(token).name == "alice"
    time.sleep(2.1)
    with pytest.raises(InvalidCredentials, match="expired"):
        tokens.principal(token)


def test_the_view_gets_the_principal(app: Flask) -> None:
    with app.test_client() as client:
        client.get("/flows", headers={"Authorization": f"Bearer {Issuer.token(groups=['news'])}"})
        assert g.principal == Principal("alice", frozenset({READ}), frozenset({"news"}))

"""The settings of authentication: what is read, and what stops the start with a sentence."""

from __future__ import annotations

import pytest

from tams.config import ConfigurationError, Settings

KEY = "k" * 32
JWT = {"TAMS_AUTH": "jwt", "TAMS_JWT_ISSUER": "https://login.example.com", "TAMS_JWT_AUDIENCE": "tams"}
KEYS_URL = "https://login.example.com/keys"


def refusal(**variables: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env(variables).check_serving()
    return str(caught.value)


def test_methods_are_read_in_any_order_and_once() -> None:
    made = Settings.from_env({**JWT, "TAMS_AUTH": "token, jwt,token", "TAMS_JWT_KEY": KEY})
    assert made.auth == ("token", "jwt")


@pytest.mark.parametrize("written", ["none,jwt", "jwt;basic", ",", "JWT", "jwt,none", "oauth"])
def test_none_stands_alone_and_other_words_are_refused(written: str) -> None:
    assert "TAMS_AUTH is" in refusal(**{**JWT, "TAMS_AUTH": written, "TAMS_JWT_KEY": KEY})


@pytest.mark.parametrize("variable", ["TAMS_JWT_ISSUER", "TAMS_JWT_AUDIENCE"])
def test_jwt_needs_issuer_and_audience(variable: str) -> None:
    variables = {**JWT, "TAMS_JWT_KEY": KEY}
    del variables[variable]
    assert f"TAMS_AUTH names jwt, but {variable} is not set" in refusal(**variables)


def test_jwt_needs_keys_from_one_place() -> None:
    assert "neither is set" in refusal(**JWT)
    assert "both are set" in refusal(**JWT, TAMS_JWT_KEY=KEY, TAMS_JWT_JWKS_URL=KEYS_URL)


def test_keys_come_over_https() -> None:
    assert "starts with https" in refusal(**JWT, TAMS_JWT_JWKS_URL="http://login.example.com/keys")
    for url in ("http://127.0.0.1:8080/keys", "http://localhost/keys", "http://[::1]/keys"):
        assert Settings.from_env({**JWT, "TAMS_JWT_JWKS_URL": url}).jwt_jwks_url == url
    made = Settings.from_env({**JWT, "ENVIRONMENT": "development", "TAMS_JWT_JWKS_URL": "http://provider/keys"})
    assert made.jwt_jwks_url == "http://provider/keys"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "keys", "https://", "https://u:p@host/k", "https://host/k#f"])
def test_the_url_of_keys_is_one(url: str) -> None:
    assert "TAMS_JWT_JWKS_URL is" in refusal(**JWT, TAMS_JWT_JWKS_URL=url)


def test_algorithms_are_pinned_and_fit_the_key() -> None:
    assert Settings.from_env({**JWT, "TAMS_JWT_JWKS_URL": KEYS_URL}).accepted_algorithms() == ("RS256",)
    assert Settings.from_env({**JWT, "TAMS_JWT_KEY": KEY}).accepted_algorithms() == ("HS256",)
    made = Settings.from_env({**JWT, "TAMS_JWT_JWKS_URL": KEYS_URL, "TAMS_JWT_ALGORITHMS": "ES256, EdDSA"})
    assert made.accepted_algorithms() == ("ES256", "EdDSA")


@pytest.mark.parametrize(
    ("algorithms", "keys"),
    [
        ("HS256", {"TAMS_JWT_JWKS_URL": KEYS_URL}),
        ("RS256", {"TAMS_JWT_KEY": KEY}),
        ("HS256,ES256", {"TAMS_JWT_KEY": KEY}),
    ],
)
def test_secrets_and_public_keys_are_never_mixed(algorithms: str, keys: dict[str, str]) -> None:
    assert f"TAMS_JWT_ALGORITHMS is {algorithms}, but" in refusal(**JWT, **keys, TAMS_JWT_ALGORITHMS=algorithms)


@pytest.mark.parametrize("algorithms", ["none", "RS256,none", "ROT13", ","])
def test_algorithms_are_known_ones(algorithms: str) -> None:
    assert "TAMS_JWT_ALGORITHMS is" in refusal(**JWT, TAMS_JWT_JWKS_URL=KEYS_URL, TAMS_JWT_ALGORITHMS=algorithms)


def test_a_shared_key_is_long_enough_for_its_algorithms() -> None:
    assert "TAMS_JWT_KEY has a value that is not accepted" in refusal(**JWT, TAMS_JWT_KEY="short")
    assert "64 bytes or more" in refusal(**JWT, TAMS_JWT_KEY=KEY, TAMS_JWT_ALGORITHMS="HS512")


def test_the_shared_key_is_never_shown() -> None:
    assert KEY not in repr(Settings.from_env({**JWT, "TAMS_JWT_KEY": KEY}))
    assert "secret-secret" not in refusal(**JWT, TAMS_JWT_KEY="secret-secret")

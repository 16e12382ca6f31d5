"""The issuer's keys: cached, refreshed when they change, fetched sparingly, and not needed during an outage."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tams.api.authentication import jwks
from tams.api.authentication.bearer import JsonWebTokens
from tams.api.authentication.jwks import MAX_AGE, MIN_FETCH_INTERVAL, REFRESH_SECONDS, KeySet, PublishedKeys
from tams.api.authentication.schemes import InvalidCredentials
from tams.domain.errors import Unavailable
from tests.support.credentials import secured
from tests.support.issuer import Issuer, bearer, published, rsa_key
from tests.support.receivers import answering, receiver

HOUR = 3600.0


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(issuer: Issuer, clock: Clock) -> PublishedKeys:
    return PublishedKeys(issuer.url, ("RS256",), clock)


def knows(keys: PublishedKeys, kid: str) -> bool:
    return keys.find("RS256", kid) is not None


def test_keys_are_not_fetched_before_a_token_arrives(client: FlaskClient, issuer: Issuer) -> None:
    assert client.get("/health/live").status_code == 200
    assert client.get("/flows").status_code == 401
    assert issuer.request_count == 0


def test_keys_are_fetched_once(client: FlaskClient, issuer: Issuer) -> None:
    for number in range(20):
        assert client.get("/flows", headers=bearer(Issuer.token(sub=f"user {number}"))).status_code == 200
    assert issuer.request_count == 1


def test_interim_responses_of_the_issuer_are_passed_over(clock: Clock) -> None:
    body = json.dumps({"keys": [published(rsa_key(1), "one")]}).encode()

    def respond(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n")
        answering(body=body)(connection)

    with receiver(respond) as issuer:
        assert knows(PublishedKeys(f"http://127.0.0.1:{issuer.port}/keys", ("RS256",), clock), "one")


def test_a_new_key_is_found_and_an_old_one_forgotten(keys: PublishedKeys, issuer: Issuer, clock: Clock) -> None:
    assert knows(keys, "one")
    issuer.keys = [published(rsa_key(2), "two")]
    clock.now += MIN_FETCH_INTERVAL
    assert knows(keys, "two")
    assert not knows(keys, "one")


def test_a_rotated_key_ends_the_tokens_that_were_verified_with_it(tmp_path: Path, issuer: Issuer, clock: Clock) -> None:
    tokens = JsonWebTokens(secured(tmp_path, issuer), PublishedKeys(issuer.url, ("RS256",), clock))
    old, new = Issuer.token(), Issuer.token(key=2, kid="two")
    assert tokens.principal(old).name == "alice"
    issuer.keys = [published(rsa_key(2), "two")]
    # The keys were fetched a moment ago.
    with pytest.raises(InvalidCredentials):
        tokens.principal(new)
    assert tokens.principal(old).name == "alice"
    clock.now += MIN_FETCH_INTERVAL
    assert tokens.principal(new).name == "alice"
    with pytest.raises(InvalidCredentials):
        tokens.principal(old)


def test_unknown_key_ids_do_not_cause_a_fetch_each(keys: PublishedKeys, issuer: Issuer, clock: Clock) -> None:
    assert knows(keys, "one")
    for number in range(50):
        assert not knows(keys, f"unknown {number}")
    assert issuer.request_count == 1
    clock.now += MIN_FETCH_INTERVAL
    for number in range(50):
        assert not knows(keys, f"unknown {number}")
    assert issuer.request_count == 2


def test_old_keys_are_fetched_again_and_stay_the_same_object_if_unchanged(
    keys: PublishedKeys, issuer: Issuer, clock: Clock
) -> None:
    first = keys.current()
    clock.now += REFRESH_SECONDS
    assert keys.current() is first
    assert issuer.request_count == 2
    issuer.keys = [published(rsa_key(2), "two")]
    clock.now += REFRESH_SECONDS
    assert keys.current() is not first


def break_status(issuer: Issuer) -> None:
    issuer.status = 503


def break_document(issuer: Issuer) -> None:
    issuer.body = b"<html>maintenance</html>"


def break_by_emptiness(issuer: Issuer) -> None:
    issuer.body = b'{"keys": []}'


def break_by_size(issuer: Issuer) -> None:
    issuer.body = b'{"keys": [' + b" " * 600_000 + b"]}"


def break_by_depth(issuer: Issuer) -> None:
    issuer.body = b"[" * 200_000


def redirect(issuer: Issuer) -> None:
    issuer.status, issuer.location = 302, "http://127.0.0.1:1/keys"


@pytest.fixture(params=[break_status, break_document, break_by_emptiness, break_by_size, break_by_depth, redirect])
def outage(request: pytest.FixtureRequest, issuer: Issuer) -> Iterator[None]:
    """Make the issuer respond with something else than keys."""
    request.param(issuer)
    yield
    issuer.status, issuer.body, issuer.location = 200, None, None


@pytest.mark.usefixtures("outage")
def test_without_keys_a_token_is_answered_with_503(client: FlaskClient) -> None:
    answer = client.get("/flows", headers=bearer(Issuer.token()))
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert client.get("/health/live").status_code == 200


@pytest.mark.parametrize(
    "harm", [break_status, break_document, break_by_emptiness, break_by_size, break_by_depth, redirect]
)
def test_known_keys_outlive_an_outage_for_a_day(
    keys: PublishedKeys, issuer: Issuer, clock: Clock, harm: object
) -> None:
    assert knows(keys, "one")
    assert callable(harm)
    harm(issuer)
    for _ in range(23):
        clock.now += HOUR
        assert knows(keys, "one")
    clock.now += MAX_AGE
    with pytest.raises(Unavailable):
        keys.current()


def test_an_issuer_that_cannot_be_reached_is_tried_again_after_a_pause(issuer: Issuer, clock: Clock) -> None:
    keys = PublishedKeys(issuer.url, ("RS256",), clock)
    issuer.status = 500
    for _ in range(5):
        with pytest.raises(Unavailable):
            keys.current()
    assert issuer.request_count == 1
    issuer.status = 200
    clock.now += MIN_FETCH_INTERVAL
    assert knows(keys, "one")


def test_a_slow_issuer_delays_a_request_no_longer_than_the_timeout(
    issuer: Issuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert jwks._TIMEOUT == 3
    monkeypatch.setattr(jwks, "_TIMEOUT", 0.2)
    keys = PublishedKeys(issuer.url, ("RS256",), clock)
    issuer.delay = 4
    with pytest.raises(Unavailable):
        keys.current()


def test_a_token_without_key_id_is_checked_with_the_only_key() -> None:
    one = KeySet([published(rsa_key(1), None)], ("RS256",))
    two = KeySet([published(rsa_key(1), "one"), published(rsa_key(2), "two")], ("RS256",))
    assert one.find("RS256", None) is not None
    assert two.find("RS256", None) is None

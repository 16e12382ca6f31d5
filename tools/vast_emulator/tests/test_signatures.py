"""Signature checks: a request must be signed with the key, be unchanged, and be recent."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
import vastdb
from aws_requests_auth.aws_auth import AWSRequestsAuth
from vastdb import errors
from vastdb.session import Session

from tools.vast_emulator.emulator import Emulator
from tools.vast_emulator.errors import ProtocolError
from tools.vast_emulator.signatures import verify

pytestmark = pytest.mark.vast


def test_the_right_key_is_accepted(session: Session) -> None:
    with session.transaction() as tx:
        assert tx.txid


@pytest.mark.parametrize(
    ("access", "secret", "code"),
    [
        ("emulator", "wrong", "SignatureDoesNotMatch"),
        ("unknown", "emulator-secret", "InvalidAccessKeyId"),
        ("emulator", "", "SignatureDoesNotMatch"),
    ],
)
def test_a_wrong_key_is_refused(emulator: Emulator, access: str, secret: str, code: str) -> None:
    with pytest.raises(errors.Forbidden, match=code):
        vastdb.connect(endpoint=emulator.endpoint, access=access, secret=secret, timeout=5)


def test_a_request_without_a_signature_is_refused(emulator: Emulator) -> None:
    response = requests.get(f"{emulator.endpoint}/?transaction", timeout=5)
    assert (response.status_code, "AccessDenied" in response.text) == (403, True)


def _signed(emulator: Emulator, method: str, path: str, body: bytes = b"") -> requests.PreparedRequest:
    host = emulator.endpoint.removeprefix("http://")
    auth = AWSRequestsAuth(emulator.access, emulator.secret, host, "", "s3")
    return requests.Request(method, f"{emulator.endpoint}{path}", data=body, auth=auth).prepare()


@pytest.mark.parametrize("change", ["method", "path", "query", "body", "date"])
def test_a_request_that_was_changed_is_refused(emulator: Emulator, change: str) -> None:
    request = _signed(emulator, "POST", "/vastdb/s?schema&a=1", b"body")
    with requests.Session() as client:
        match change:
            case "method":
                request.method = "PUT"
            case "path":
                request.url = f"{emulator.endpoint}/vastdb/t?schema&a=1"
            case "query":
                request.url = f"{emulator.endpoint}/vastdb/s?schema&a=2"
            case "body":
                request.body = b"BODY"
            case "date":
                request.headers["x-amz-date"] = datetime.now(UTC).strftime("%Y%m%dT000000Z")
        assert client.send(request, timeout=5).status_code == 403


def test_a_path_may_need_encoding(emulator: Emulator, session: Session) -> None:
    with session.transaction() as tx:
        tx.bucket("vastdb").create_schema("a schema of ä")
        assert [schema.name for schema in tx.bucket("vastdb").schemas()] == ["a schema of ä"]


def test_a_signature_expires(emulator: Emulator) -> None:
    request = _signed(emulator, "GET", "/?transaction")
    headers = {name.lower(): str(value) for name, value in request.headers.items()}
    headers["host"] = emulator.endpoint.removeprefix("http://")
    credentials: dict[str, Any] = {"access": emulator.access, "secret": emulator.secret}
    now = datetime.now(UTC)
    verify("GET", "/?transaction", headers, b"", **credentials, now=now)
    with pytest.raises(ProtocolError, match="RequestTimeTooSkewed"):
        verify("GET", "/?transaction", headers, b"", **credentials, now=now + timedelta(minutes=16))

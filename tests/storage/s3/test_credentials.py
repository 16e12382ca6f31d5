"""Credentials for signing: URLs are signed only with credentials that outlive them."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from tams.config import ConfigurationError
from tams.storage.configuration.backends import S3Configuration
from tams.storage.port import Backend, BackendDown
from tests.support.s3_endpoint import make_storage

SECOND = 1_000_000
LIFETIME = 2000

# AWS tools start this program to get credentials: new ones at each start, with the lifetime that the file contains.
SCRIPT = """
import datetime, json, pathlib, sys
lives, calls = map(pathlib.Path, sys.argv[1:])
number = len(calls.read_text()) if calls.exists() else 0
calls.write_text("x" * (number + 1))
end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=float(lives.read_text()))
print(json.dumps({
    "Version": 1, "AccessKeyId": f"KEY{number}", "SecretAccessKey": "secret", "SessionToken": "token",
    "Expiration": end.isoformat(),
}))
"""


class Source:
    """A source of credentials, as a process that the SDK asks."""

    def __init__(self, directory):
        self.script = directory / "credentials.py"
        self.lives = directory / "lives"
        self._calls = directory / "calls"
        self.script.write_text(SCRIPT)

    @property
    def calls(self):
        return len(self._calls.read_text()) if self._calls.exists() else 0

    def give(self, seconds):
        self.lives.write_text(str(seconds))


@pytest.fixture
def source(tmp_path, monkeypatch):
    issuer = Source(tmp_path)
    config = tmp_path / "config"
    config.write_text(
        f"[profile tests]\ncredential_process = {sys.executable} {issuer.script} {issuer.lives} {tmp_path / 'calls'}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return issuer


def storage(**options):
    configuration = {"endpoint": "https://s3.example.com", "profile": "tests"} | options
    backend = Backend(id="x", label="s3", provider="x", store_product="x")
    return make_storage(
        S3Configuration(backend=backend, bucket="media", **configuration), url_lifetime=LIFETIME, longest_put=9000
    )


def now():
    return time.time_ns() // 1000


def key_of(url):
    return parse_qs(urlsplit(url).query)["X-Amz-Credential"][0].partition("/")[0]


def test_credentials_that_live_long_enough_are_asked_for_once(source):
    source.give(10 * LIFETIME)
    s3 = storage()
    assert key_of(s3.get_url("k", now())) == key_of(s3.put_url("k", "t/t", now())[0]) == "KEY0"
    assert source.calls == 1


def test_credentials_that_would_end_before_a_url_are_renewed_first(source):
    source.give(LIFETIME)
    s3 = storage()
    with pytest.raises(BackendDown):
        s3.get_url("k", now())
    source.give(10 * LIFETIME)
    before = source.calls
    assert key_of(s3.get_url("k", now())) == f"KEY{before}"
    assert key_of(s3.put_url("k", "t/t", now())[0]) == f"KEY{before}"


def test_a_source_that_fails_is_refused_at_the_start(source):
    source.script.write_text("raise SystemExit(1)")
    with pytest.raises(ConfigurationError, match="credentials"):
        storage()


def test_a_source_that_fails_later_raises_backend_down(source):
    source.give(LIFETIME)
    s3 = storage()
    source.script.write_text("raise SystemExit(1)")
    with pytest.raises(BackendDown, match="expire before"):
        s3.get_url("k", now())


def test_missing_credentials_raise_backend_down(source, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    s3 = storage(profile=None)
    with pytest.raises(BackendDown, match="no S3 credentials"):
        s3.get_url("k", now())
    with pytest.raises(BackendDown):
        s3.head("k")


def test_an_unknown_profile_is_refused_at_the_start(source):
    with pytest.raises(ConfigurationError, match="no-such-profile"):
        storage(profile="no-such-profile")


def test_secrets_are_in_no_representation(source):
    source.give(10 * LIFETIME)
    s3 = storage(profile=None, access_key_id="KEY", secret_access_key="correct horse")
    s3.get_url("k", now())
    assert "horse" not in repr(s3.configuration)
    assert "horse" not in repr(vars(s3))


def test_the_end_of_credentials_is_judged_by_the_clock_not_by_the_signing_date(source):
    source.give(10 * LIFETIME)
    s3 = storage()
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    with pytest.raises(BackendDown, match="expire before"):
        s3.put_url("k", "t/t", int(tomorrow.timestamp()) * SECOND)

"""Presigned URLs: equal to those of the AWS SDK, accepted by a server that verifies, and s3_configuration quickly."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from calendar import timegm
from dataclasses import replace
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
import requests
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st

from tams.storage.configuration.backends import S3Configuration
from tams.storage.port import Backend
from tams.storage.s3.credentials import Credentials
from tams.storage.s3.sigv4 import Presigner
from tests.support.s3_endpoint import make_storage

ACCESS_KEY, SECRET_KEY = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TOKEN = "IQoJb3JpZ2luX2VjE+abc/def==" * 20
SECOND = 1_000_000
TYPE = "video/mp2t"

PLACES = {
    "path": {"endpoint": "https://s3.example.com", "addressing": "path"},
    "virtual": {"endpoint": "https://s3.example.com", "addressing": "virtual"},
    "port": {"endpoint": "http://10.1.2.3:9000", "addressing": "path"},
    "default port": {"endpoint": "https://s3.example.com:443", "addressing": "path"},
    "virtual with a port": {"endpoint": "http://s3.local:8080", "addressing": "virtual"},
    "bucket with a dot": {"endpoint": "https://s3.example.com", "addressing": "virtual", "bucket": "media.example"},
    "AWS": {"signing_region": "eu-west-2"},
    "AWS by path": {"signing_region": "eu-west-2", "addressing": "path"},
    "AWS in its first region": {"signing_region": "us-east-1"},
}
KEYS = [
    "plain",
    "a/b/c.ts",
    "a b+c&d=e?f#g",
    "ä/é/日本/🎬",
    "~tilde-_.!*'()",
    "100%25/%2F",
    "double//slash",
    "trailing/",
    '"<>\\^`{|}',
    "\x01\x7f",
    "x" * 1024,
]


def configuration(**options: Any) -> S3Configuration:
    defaults: dict[str, Any] = {
        "backend": Backend(id="x", label="s3", provider="x", store_product="x"),
        "bucket": "media-of-tests",
        "access_key_id": ACCESS_KEY,
        "secret_access_key": SECRET_KEY,
    }
    return S3Configuration(**(defaults | options))


def sdk(s3_configuration: S3Configuration, token: str | None = None) -> Any:
    default = "virtual" if s3_configuration.endpoint is None else "path"
    return boto3.client(
        "s3",
        endpoint_url=s3_configuration.endpoint,
        region_name=s3_configuration.signing_region,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        aws_session_token=token,
        config=Config(
            signature_version="s3v4", s3=cast("Any", {"addressing_style": s3_configuration.addressing or default})
        ),
    )


def date_of(url):
    stamp = parse_qs(urlsplit(url).query)["X-Amz-Date"][0]
    return timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))


def presigner_of(s3_configuration):
    storage = make_storage(s3_configuration)
    return Presigner(storage.plain_put_url("", ""), s3_configuration.signing_region)


@pytest.mark.parametrize("token", [None, TOKEN], ids=["lasting", "temporary"])
@pytest.mark.parametrize("place", PLACES)
def test_urls_are_those_of_the_sdk_byte_for_byte(place, token):
    s3_configuration = configuration(**PLACES[place])
    client, presigner = sdk(s3_configuration, token), presigner_of(s3_configuration)
    credentials = Credentials(ACCESS_KEY, SECRET_KEY, token)
    for key in KEYS:
        expected = client.generate_presigned_url(
            "get_object", {"Bucket": s3_configuration.bucket, "Key": key}, ExpiresIn=450
        )
        assert presigner.get(key, presigner.signing(credentials, date_of(expected), 450)) == expected
        for content_type in (TYPE, 'video/mp4; codecs="avc1, mp4a"', "text/plain;  charset=utf-8"):
            parameters = {"Bucket": s3_configuration.bucket, "Key": key, "ContentType": content_type}
            expected = client.generate_presigned_url("put_object", parameters, ExpiresIn=301)
            assert presigner.put(key, presigner.signing(credentials, date_of(expected), 301, content_type)) == expected


CLIENT = sdk(configuration(**PLACES["port"]))
PRESIGNER = presigner_of(configuration(**PLACES["port"]))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60).filter(lambda key: key[0] != "/"))
def test_any_key_is_signed_as_the_sdk_does(key):
    expected = CLIENT.generate_presigned_url("get_object", {"Bucket": "media-of-tests", "Key": key}, ExpiresIn=60)
    signing = PRESIGNER.signing(Credentials(ACCESS_KEY, SECRET_KEY), date_of(expected), 60)
    assert PRESIGNER.get(key, signing) == expected


def test_the_address_of_a_backend_is_that_of_the_sdk():
    s3_configuration = configuration(**PLACES["AWS"])
    url = make_storage(s3_configuration).plain_put_url("k", "")
    assert url == "https://media-of-tests.s3.eu-west-2.amazonaws.com/k"


def test_a_server_that_verifies_accepts_what_a_temporary_user_signs(endpoint, s3, monkeypatch):
    if endpoint.temporary is None:
        # A server that is not started by the tests has no temporary users: it must refuse the user.
        refused = requests.get(with_token(s3, "unknown", "x" * 20, "y", monkeypatch), timeout=30)
        assert refused.status_code in {400, 403}
        return
    access_key, secret_key, token = endpoint.temporary
    assert requests.get(with_token(s3, access_key, secret_key, token, monkeypatch), timeout=30).status_code == 404
    wrong = with_token(s3, access_key, secret_key, token + "x", monkeypatch)
    assert requests.get(wrong, timeout=30).status_code == 403


def with_token(s3, access_key, secret_key, token, monkeypatch):
    """Return a URL signed with these credentials from the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret_key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    s3_configuration = replace(s3.configuration, access_key_id=None, secret_access_key=None)
    storage = make_storage(s3_configuration)
    return storage.get_url(storage.new_key("x"), time.time_ns() // 1000)


def test_get_urls_stay_the_same_for_a_while_and_never_live_too_short():
    storage = make_storage(configuration(**PLACES["path"]), url_lifetime=300)
    start = 1_800_000_000 * SECOND
    urls: dict[str, int] = {}
    for step in range(1200):
        at = start + step * SECOND // 2
        url = storage.get_url("key", at)
        query = parse_qs(urlsplit(url).query)
        end = date_of(url) + int(query["X-Amz-Expires"][0])
        assert date_of(url) * SECOND <= at
        assert at + 300 * SECOND <= end * SECOND <= at + 450 * SECOND
        urls.setdefault(url, at)
    assert len(urls) == 4


def test_put_urls_are_not_rounded_and_end_before_their_object_can_be_collected():
    s3_configuration = configuration(**PLACES["path"])
    at = 1_800_000_000 * SECOND + 999_999
    url, end = make_storage(s3_configuration, url_lifetime=300, longest_put=660).put_url("key", TYPE, at)
    assert date_of(url) == 1_800_000_000
    assert end == (date_of(url) + int(parse_qs(urlsplit(url).query)["X-Amz-Expires"][0])) * SECOND
    assert at + 300 * SECOND <= end <= at + 301 * SECOND
    _, end = make_storage(s3_configuration, url_lifetime=300, longest_put=300).put_url("key", TYPE, at)
    assert end <= at + 300 * SECOND


def test_a_day_later_urls_are_signed_with_the_key_of_that_day():
    storage = make_storage(configuration(**PLACES["path"]))
    first, second = (storage.get_url("key", (1_800_000_000 + day * 86_400) * SECOND) for day in (0, 1))
    assert parse_qs(urlsplit(first).query)["X-Amz-Credential"] != parse_qs(urlsplit(second).query)["X-Amz-Credential"]


def test_a_thousand_urls_take_thirty_milliseconds_at_most():
    storage = make_storage(configuration(**PLACES["path"]))
    keys = [storage.new_key(f"6f9619ff-8b86-4d01-b42d-{number:012}") for number in range(1000)]
    at = time.time_ns() // 1000
    # The best of several runs, so that other processes of the machine do not count.
    durations = []
    for _ in range(7):
        begin = time.thread_time()
        for key in keys:
            storage.get_url(key, at)
        durations.append(time.thread_time() - begin)
    assert min(durations) < 0.030


def test_requests_are_signed_alike_whether_awscrt_is_installed_or_not() -> None:
    """Botocore signs with awscrt, which the extra `checksums` brings, unless it is told otherwise."""
    program = "import awscrt.auth, tams.storage.s3.client; from botocore import compat; print(compat.HAS_CRT)"
    environment = {name: value for name, value in os.environ.items() if name != "BOTO_DISABLE_CRT"}
    output = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert output.split() == ["False"]

"""Signed URLs of this service: what their signature covers, and when they expire."""

from __future__ import annotations

import hmac
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tams.storage.local.signing import SignatureRefused, UrlSigner
from tests.support.local_storage_server import local_storage

KEY = "abc/" + "d" * 37
SECOND = 1_000_000
LIFETIME = 60
NOW = 1_800_000_000 * SECOND + 123_456

moments = st.integers(min_value=0, max_value=10**17)


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    return local_storage(tmp_path_factory.mktemp("signing"))


def query_of(url):
    return dict(parse_qsl(urlsplit(url).query))


@given(now=moments)
def test_a_get_url_lives_as_long_as_promised_and_not_twice_as_long(storage, now):
    query = query_of(storage.get_url(KEY, now))
    storage.verify_get(KEY, query, now)
    storage.verify_get(KEY, query, now + LIFETIME * SECOND - 1)
    with pytest.raises(SignatureRefused):
        storage.verify_get(KEY, query, now + 2 * LIFETIME * SECOND)


@given(now=moments)
def test_a_put_url_ends_when_it_says(storage, now):
    url, end = storage.put_url(KEY, "video/mp4", now)
    assert LIFETIME * SECOND <= end - now < (LIFETIME + 1) * SECOND
    until = storage.verify_put(KEY, "video/mp4", query_of(url), end - 1)
    assert until == end + 5 * SECOND
    with pytest.raises(SignatureRefused):
        storage.verify_put(KEY, "video/mp4", query_of(url), end)


def test_get_urls_are_the_same_for_a_while(storage):
    start = NOW // (LIFETIME * SECOND) * LIFETIME * SECOND
    urls = {storage.get_url(KEY, start + second * SECOND) for second in range(LIFETIME)}
    assert len(urls) <= 3


def test_the_service_key_and_the_backend_are_bound():
    signer = UrlSigner(b"k" * 32, "one")
    query = query_of(signer.get_signer("/", 2_000_000_000)(KEY))
    signer.verify_get(KEY, query, NOW)
    for other in (UrlSigner(b"l" * 32, "one"), UrlSigner(b"k" * 32, "two")):
        with pytest.raises(SignatureRefused):
            other.verify_get(KEY, query, NOW)


def test_a_short_key_signs_nothing():
    with pytest.raises(ValueError, match="16 bytes"):
        UrlSigner(b"short", "one")


@given(extra=st.text(max_size=5))
def test_the_content_type_is_bound_whole(storage, extra):
    url, _ = storage.put_url(KEY, "video/mp4", NOW)
    if extra:
        with pytest.raises(SignatureRefused):
            storage.verify_put(KEY, "video/mp4" + extra, query_of(url), NOW)


@given(query=st.dictionaries(st.sampled_from("ves"), st.text(max_size=40)))
def test_no_query_but_a_signed_one_is_let_through(storage, query):
    with pytest.raises(SignatureRefused):
        storage.verify_get(KEY, query, NOW)


def test_a_plain_put_url_names_its_object(storage):
    url = storage.plain_put_url(KEY, "a/b?c&d é")
    assert query_of(url) == {"object": "YS9iP2MmZCDDqQ"}
    assert len(storage.plain_put_url(KEY, "é" * 512)) < 2048


@given(secret=st.binary(min_size=16, max_size=100), key=st.from_regex(r"[0-9a-f]{3}/[0-9a-f]{37}", fullmatch=True))
def test_a_signature_is_the_hmac_of_all_that_it_binds(secret, key):
    query = query_of(UrlSigner(secret, "store").get_signer("/", 2_000_000_000)(key))
    derived = hmac.digest(secret, b"tams storage url 1", "sha256")
    assert query["s"] == hmac.new(derived, f"GET\nstore\n2000000000\n{key}".encode(), "sha256").hexdigest()

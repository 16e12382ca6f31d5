"""The S3 adapter beyond the contract: copies between buckets, listing and sweeping, TLS, memory."""

from __future__ import annotations

import datetime as dt
import io
import ipaddress
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tams.storage.port import BackendDown, ChecksumMismatch
from tams.storage.s3.request_counts import REQUESTS
from tests.support.s3_endpoint import make_storage

TYPE = "video/mp2t"
MEDIA = bytes(range(256)) * 100
LARGE = bytes(range(256)) * 40_000  # 10 MB: more than a part
LIMIT = 6 * 1024 * 1024
LOOPBACK = ipaddress.ip_address("127.0.0.1")


def whole(storage, key):
    return b"".join(storage.open(key))


class TestCopies:
    def test_within_a_server_no_bytes_pass_through_here(self, endpoint, s3, proxies):
        through = proxies()
        one = endpoint.storage(endpoint=through.url)
        other = endpoint.storage(endpoint=through.url)
        key, target = one.new_key("x"), other.new_key("x")
        one.put(key, io.BytesIO(MEDIA), TYPE)
        through.steps.clear()
        copied = other.copy(key, target, origin=one)
        assert copied.content_type == TYPE
        assert whole(s3_of(endpoint, other), target) == MEDIA
        assert [step.operation for step in through.steps] == ["head_object", "copy_object", "head_object"]

    def test_above_the_limit_it_is_copied_in_parts(self, endpoint, proxies):
        through = proxies()
        storage = endpoint.storage(endpoint=through.url, adapter={"largest_copy": LIMIT})
        key, target = storage.new_key("x"), storage.new_key("x")
        storage.put(key, io.BytesIO(LARGE), TYPE)
        through.steps.clear()
        storage.copy(key, target)
        assert whole(storage, target) == LARGE
        assert [step.operation for step in through.steps].count("upload_part_copy") == 2
        assert storage.sweep(-60) == 0

    def test_between_users_bytes_are_streamed(self, endpoint, s3):
        stranger = replace(s3.configuration, access_key_id="another-user")
        other = endpoint.storage()
        assert stranger.server != other.configuration.server
        assert s3.configuration.server == other.configuration.server

    def test_a_source_that_changes_meanwhile_is_not_copied(self, endpoint, s3, proxies):
        through = proxies()
        storage = endpoint.storage(endpoint=through.url, bucket=s3.bucket.name)
        key, target = storage.new_key("x"), storage.new_key("x")
        s3.put(key, io.BytesIO(MEDIA), TYPE)
        through.before("copy_object", lambda: s3.put(key, io.BytesIO(b"other"), TYPE))
        # Some servers compare the entity tag before the copy; in any case the bytes are compared afterwards.
        with pytest.raises((BackendDown, ChecksumMismatch)):
            storage.copy(key, target)
        assert s3.head(target) is None

    @pytest.mark.parametrize("other", [b"rot" + MEDIA[3:], MEDIA[:-1]], ids=["other bytes", "fewer bytes"])
    def test_a_copy_that_is_not_the_same_is_refused_and_removed(self, endpoint, s3, proxies, other):
        through = proxies()
        storage = endpoint.storage(endpoint=through.url, bucket=s3.bucket.name)
        key, target = storage.new_key("x"), storage.new_key("x")
        s3.put(key, io.BytesIO(MEDIA), TYPE)
        through.after("copy_object", lambda: s3.put(target, io.BytesIO(other), TYPE))
        with pytest.raises(ChecksumMismatch):
            storage.copy(key, target)
        assert s3.head(target) is None

    def test_where_digests_have_nothing_in_common_the_bytes_are_compared(self, endpoint, s3, proxies):
        through = proxies()
        storage = endpoint.storage(endpoint=through.url, bucket=s3.bucket.name, adapter={"largest_copy": LIMIT})
        key, target = storage.new_key("x"), storage.new_key("x")
        s3.put(key, io.BytesIO(LARGE), TYPE)
        rotten = LARGE[:-1] + b"?"
        through.after("complete_multipart_upload", lambda: s3.put(target, io.BytesIO(rotten), TYPE))
        with pytest.raises(ChecksumMismatch):
            storage.copy(key, target)
        assert s3.head(target) is None


def s3_of(endpoint, storage):
    """Return the backend without its proxy."""
    return make_storage(replace(storage.configuration, endpoint=endpoint.url))


class TestOneBucketOfMany:
    """Several stores and other programs may use one bucket."""

    def test_only_keys_of_the_store_are_listed(self, endpoint, s3):
        other = endpoint.storage(store_id="00000000-0000-4000-8000-000000000000", bucket=s3.bucket.name)
        prefixed = endpoint.storage(prefix="tams/", bucket=s3.bucket.name)
        endpoint.client.put_object(Bucket=s3.bucket.name, Key="theirs", Body=b"x")
        keys = {storage: storage.new_key("x") for storage in (s3, other, prefixed)}
        for storage, key in keys.items():
            storage.put(key, io.BytesIO(b"x"), TYPE)
        for storage, key in keys.items():
            assert [item.key for item in storage.listing()] == [key]
        assert keys[prefixed].startswith("tams/")

    def test_only_uploads_of_the_store_are_swept(self, endpoint, s3):
        other = endpoint.storage(store_id="00000000-0000-4000-8000-000000000000", bucket=s3.bucket.name)
        for storage in (s3, other):
            endpoint.client.create_multipart_upload(Bucket=s3.bucket.name, Key=storage.new_key("x"))
        assert s3.sweep(-60) == 1
        assert other.sweep(-60) == 1

    def test_a_check_leaves_nothing(self, s3):
        s3.check()
        assert s3.listing() == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Write a PEM file of a key and a self-signed certificate for 127.0.0.1; return its path."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(LOOPBACK)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


class TestTls:
    def test_a_certificate_of_an_unknown_authority_is_refused(self, endpoint, s3, proxies, certificate):
        storage = endpoint.storage(endpoint=proxies(certificate).url, bucket=s3.bucket.name, attempts=1)
        with pytest.raises(BackendDown, match="SSL"):
            storage.head("x")

    def test_a_private_authority_can_be_trusted(self, endpoint, s3, proxies, certificate):
        url = proxies(certificate).url
        storage = endpoint.storage(endpoint=url, bucket=s3.bucket.name, ca_file=certificate)
        key = storage.new_key("x")
        storage.put(key, io.BytesIO(MEDIA), TYPE)
        address = storage.get_url(key, time.time_ns() // 1000)
        assert requests.get(address, verify=str(certificate), timeout=30).content == MEDIA

    @pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
    def test_verification_can_be_turned_off(self, endpoint, s3, proxies, certificate):
        url = proxies(certificate).url
        storage = endpoint.storage(endpoint=url, bucket=s3.bucket.name, verify_tls=False)
        storage.check()


def test_plain_and_public_urls(endpoint, s3):
    storage = endpoint.storage(bucket=s3.bucket.name, public_url="https://cdn.example.com/media")
    key = storage.new_key("x")
    assert storage.public_url(key) == f"https://cdn.example.com/media/{key}"
    assert s3.public_url(key) is None
    assert storage.plain_put_url(key, "x") == f"{endpoint.url}/{s3.bucket.name}/{key}"
    answer = requests.put(storage.plain_put_url(key, "x"), MEDIA, timeout=30)
    assert answer.status_code == 403


def test_requests_are_counted(s3):
    key = s3.new_key("x")
    s3.put(key, io.BytesIO(MEDIA), TYPE)
    s3.head(s3.new_key("never put"))
    counts = REQUESTS.counts()
    assert counts[s3.backend.id, "put_object", ""] == 1
    assert counts[s3.backend.id, "head_object", ""] == 1
    assert counts[s3.backend.id, "head_object", "404"] == 1


def test_a_large_object_is_not_held_in_memory(endpoint, s3):
    configuration = s3.configuration
    script = f"""
import resource, sys
from tests.support.s3_endpoint import make_storage
from tams.storage.configuration.backends import S3Configuration
from tams.storage.port import Backend
storage = make_storage(
    S3Configuration(
        backend=Backend("x", "x", "x", "x"), bucket={configuration.bucket!r}, endpoint={configuration.endpoint!r},
        access_key_id={configuration.access_key_id!r}, secret_access_key={configuration.secret_access_key!r},
    ),
    max_upload=2**30,
)
class Zeros:
    left = 64
    def read(self, size):
        self.left -= size / 2**20
        return bytes(size) if self.left >= 0 else b""
storage.check()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
key = storage.new_key("large")
stored = storage.put(key, Zeros(), "video/mp2t")
assert sum(len(piece) for piece in storage.open(key)) == stored.size == 2**26
storage.delete(key)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert int(done.stdout) < 40 * 1024


def test_a_store_without_s3_does_not_load_the_sdk(tmp_path):
    script = """
import sys
from tams.app import open_store
from tams.config import Settings
open_store(Settings.from_env())
print([name for name in ("boto3", "botocore", "urllib3") if name in sys.modules])
"""
    environment = {"ENVIRONMENT": "development", "TAMS_DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True, env=environment
    )
    assert done.stdout.strip() == "[]"

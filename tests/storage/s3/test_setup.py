"""Rules of buckets: the store's are added, and no other is lost."""

from __future__ import annotations

import pytest

from tams.storage.port import BackendDown
from tams.storage.s3 import setup
from tests.support.s3_endpoint import make_storage

ORIGINS = ["https://player.example.com", "http://localhost:3000"]
OTHER_CORS = {
    "ID": "theirs",
    "AllowedOrigins": ["https://other.example.com"],
    "AllowedMethods": ["GET"],
    "MaxAgeSeconds": 10,
}
OTHER_LIFECYCLE = {
    "ID": "theirs",
    "Status": "Enabled",
    "Filter": {"Prefix": "logs/"},
    "Expiration": {"Days": 30},
}
OFF = {
    "ID": "off",
    "Status": "Disabled",
    "Filter": {"Prefix": "tmp/"},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
}


@pytest.fixture
def client(endpoint):
    return endpoint.client


def cors_of(client, s3):
    return client.get_bucket_cors(Bucket=s3.bucket.name)["CORSRules"]


def lifecycle_of(client, s3):
    return client.get_bucket_lifecycle_configuration(Bucket=s3.bucket.name)["Rules"]


def by_id(rules):
    return {rule["ID"]: rule for rule in rules}


def test_rules_are_written_once(client, s3):
    assert not setup.has_cors(s3, ORIGINS)
    assert not setup.has_lifecycle(s3)
    assert setup.set_cors(s3, ORIGINS)
    assert setup.set_lifecycle(s3)
    assert setup.has_cors(s3, ORIGINS)
    assert setup.has_lifecycle(s3)
    assert not setup.set_cors(s3, ORIGINS)
    assert not setup.set_lifecycle(s3)
    assert len(cors_of(client, s3)) == len(lifecycle_of(client, s3)) == 1


def test_the_lifecycle_rule_ends_unfinished_uploads_of_this_store_and_nothing_else(client, s3):
    setup.set_lifecycle(s3)
    rule = lifecycle_of(client, s3)[0]
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": setup.DAYS_UNFINISHED}
    assert (rule.get("Filter") or rule)["Prefix"] == s3.keys.own
    assert set(rule) <= {"ID", "Status", "Filter", "Prefix", "AbortIncompleteMultipartUpload"}


def test_other_rules_stay_as_they_are(client, s3):
    bucket = s3.bucket.name
    client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [OTHER_CORS]})
    rules = {"Rules": [OTHER_LIFECYCLE, OFF]}
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=rules)
    cors, lifecycle = by_id(cors_of(client, s3)), by_id(lifecycle_of(client, s3))

    setup.set_cors(s3, ORIGINS)
    setup.set_lifecycle(s3)

    assert by_id(cors_of(client, s3)).items() >= cors.items()
    assert by_id(lifecycle_of(client, s3)).items() >= lifecycle.items()
    assert len(cors_of(client, s3)) == 2
    assert len(lifecycle_of(client, s3)) == 3


def test_our_own_earlier_rule_is_replaced(client, s3):
    setup.set_cors(s3, ["https://earlier.example.com"])
    setup.set_cors(s3, ORIGINS)
    assert [sorted(rule["AllowedOrigins"]) for rule in cors_of(client, s3)] == [sorted(ORIGINS)]


def test_two_stores_in_one_bucket_have_a_rule_each(client, s3):
    other = make_storage(s3.configuration, "00000000-0000-4000-8000-000000000000")
    setup.set_lifecycle(s3)
    setup.set_lifecycle(other)
    assert len(lifecycle_of(client, s3)) == 2


def test_every_server_gets_the_checksum_that_it_insists_on(endpoint, s3, proxy):
    through = endpoint.storage(endpoint=proxy.url, bucket=s3.bucket.name)
    setup.set_cors(through, ORIGINS)
    setup.set_lifecycle(through)
    requests = [step for step in proxy.steps if step.operation == "put_rules"]
    assert len(requests) == 2
    assert all("content-md5" in step.headers for step in requests)


def test_rules_that_cannot_be_read_are_not_written_over(endpoint, s3, proxy):
    client = endpoint.client
    client.put_bucket_cors(Bucket=s3.bucket.name, CORSConfiguration={"CORSRules": [OTHER_CORS]})
    through = endpoint.storage(endpoint=proxy.url, bucket=s3.bucket.name, attempts=1)
    with proxy.failing("get_rules", "500"), pytest.raises(BackendDown):
        setup.set_cors(through, ORIGINS)
    assert [rule["ID"] for rule in cors_of(client, s3)] == ["theirs"]


def test_a_bucket_is_made_once(endpoint, s3):
    configuration = endpoint.configuration(bucket=f"{s3.bucket.name}-new")
    storage = make_storage(configuration)
    with pytest.raises(BackendDown, match="bucket"):
        storage.head("x")
    try:
        assert setup.create_bucket(storage)
        assert not setup.create_bucket(storage)
        assert storage.head("x") is None
    finally:
        endpoint.client.delete_bucket(Bucket=configuration.bucket)

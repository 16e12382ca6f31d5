"""What a bucket needs besides existing: a CORS rule for browsers, and an end for uploads that nobody finished.

Rules that are there already belong to somebody: ours is added to them or put in the place of our own earlier one, and
afterwards the bucket is asked whether all others are still what they were.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from tams.storage.port import BackendDown, MissingObject
from tams.storage.s3.client import Bucket, Refused
from tams.storage.s3.storage import S3Storage

logger = logging.getLogger(__name__)

DAYS_UNFINISHED: Final = 7
"""How long the bucket itself leaves uploads in parts unfinished; longer than any upload or copy takes."""

Rule = dict[str, Any]

_MAX_AGE: Final = 3600
_NO_RULES: Final = frozenset({"NoSuchCORSConfiguration", "NoSuchLifecycleConfiguration"})


class RulesLost(BackendDown):
    """The bucket does not hold the rules that were written to it. `before` are those that it had."""

    def __init__(self, message: str, before: Sequence[Rule]) -> None:
        super().__init__(message)
        self.before = before


def create_bucket(storage: S3Storage) -> bool:
    """Make the bucket unless it is there; True where it was made."""
    bucket = storage.bucket
    try:
        bucket.ask("head_bucket")
    except MissingObject:
        region = storage.configuration.signing_region
        place: dict[str, Any] = {}
        # AWS wants its other regions named, and this one not.
        if storage.configuration.endpoint is None and region != "us-east-1":
            place = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        bucket.ask("create_bucket", **place)
        return True
    return False


def cors_rule(storage: S3Storage, origins: Sequence[str]) -> Rule:
    """What lets pages of the origins GET and PUT media, and see what they need to of the answers."""
    return {
        "ID": f"tams-{storage.keys.store_id}",
        "AllowedOrigins": list(origins),
        "AllowedMethods": ["GET", "HEAD", "PUT"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag", "Content-Length", "Content-Range", "Accept-Ranges", "Last-Modified"],
        "MaxAgeSeconds": _MAX_AGE,
    }


def lifecycle_rule(storage: S3Storage) -> Rule:
    """What ends unfinished uploads below this store's own prefix, and does nothing else."""
    return {
        "ID": f"tams-{storage.keys.store_id}",
        "Status": "Enabled",
        "Filter": {"Prefix": storage.keys.own},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": DAYS_UNFINISHED},
    }


def set_cors(storage: S3Storage, origins: Sequence[str]) -> bool:
    """Have the CORS rule among those of the bucket; True where something was written. `RulesLost`."""
    bucket = storage.bucket

    def read() -> list[Rule]:
        return list(_read(bucket, "get_bucket_cors").get("CORSRules", ()))

    def write(rules: list[Rule]) -> None:
        bucket.ask("put_bucket_cors", CORSConfiguration={"CORSRules": rules})

    return _merge(cors_rule(storage, origins), read, write, "CORS")


def set_lifecycle(storage: S3Storage) -> bool:
    """Have the lifecycle rule among those of the bucket; True where something was written. `RulesLost`."""
    bucket = storage.bucket
    kept: dict[str, Any] = {}

    def read() -> list[Rule]:
        answer = _read(bucket, "get_bucket_lifecycle_configuration")
        # A setting of all rules together, which writing them without it would set back.
        if "TransitionDefaultMinimumObjectSize" in answer:
            kept["TransitionDefaultMinimumObjectSize"] = answer["TransitionDefaultMinimumObjectSize"]
        return list(answer.get("Rules", ()))

    def write(rules: list[Rule]) -> None:
        bucket.ask("put_bucket_lifecycle_configuration", LifecycleConfiguration={"Rules": rules}, **kept)

    return _merge(lifecycle_rule(storage), read, write, "lifecycle")


def has_cors(storage: S3Storage, origins: Sequence[str]) -> bool:
    """True where the bucket has the CORS rule as it should be."""
    return _same(cors_rule(storage, origins), _read(storage.bucket, "get_bucket_cors").get("CORSRules", ()))


def has_lifecycle(storage: S3Storage) -> bool:
    """True where the bucket has the lifecycle rule as it should be."""
    rules = _read(storage.bucket, "get_bucket_lifecycle_configuration").get("Rules", ())
    return _same(lifecycle_rule(storage), rules)


def _merge(rule: Rule, read: Callable[[], list[Rule]], write: Callable[[list[Rule]], None], what: str) -> bool:
    before = read()
    if _same(rule, before):
        return False
    others = [item for item in before if item.get("ID") != rule["ID"]]
    write([*others, rule])
    after = read()
    if not _same(rule, after) or any(_plain(other) not in map(_plain, after) for other in others):
        raise RulesLost(f"the bucket did not keep its {what} rules as they were written", before)
    return True


def _same(rule: Rule, among: Sequence[Rule]) -> bool:
    return _plain(rule) in [_plain(item) for item in among]


def _plain(value: Any) -> Any:
    """A rule without what has no meaning: the order of lists, empty parts, and the two ways to write a prefix."""
    if isinstance(value, dict):
        parts = {name: _plain(part) for name, part in value.items() if part not in (None, "", [], {})}
        if "Filter" in parts and set(parts["Filter"]) <= {"Prefix"}:
            parts |= parts.pop("Filter")
        return parts
    if isinstance(value, list):
        return sorted((_plain(item) for item in value), key=repr)
    return value


def _read(bucket: Bucket, operation: str) -> dict[str, Any]:
    try:
        return bucket.ask(operation)
    except Refused as refused:
        if refused.code in _NO_RULES:
            return {}
        raise

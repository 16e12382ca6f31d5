"""Setting up a bucket: a CORS rule for browsers, and a lifecycle rule that aborts unfinished uploads.

The bucket's other rules may be in use: the store's rule is added to them, or replaces its own earlier version, and then
the bucket is read again to check that the others are unchanged.
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
"""Days after which the bucket itself aborts a multipart upload; longer than any upload or copy takes."""

Rule = dict[str, Any]

_MAX_AGE: Final = 3600
_NO_RULES: Final = frozenset({"NoSuchCORSConfiguration", "NoSuchLifecycleConfiguration"})


class RulesLost(BackendDown):
    """The bucket did not keep the rules that were written to it. `before` are its rules before that."""

    def __init__(self, message: str, before: Sequence[Rule]) -> None:
        super().__init__(message)
        self.before = before


def create_bucket(storage: S3Storage) -> bool:
    """Create the bucket unless it exists; return True if it was created."""
    bucket = storage.bucket
    try:
        bucket.ask("head_bucket")
    except MissingObject:
        region = storage.configuration.signing_region
        location: dict[str, Any] = {}
        # AWS requires the name of every region except this one, whose name it refuses.
        if storage.configuration.endpoint is None and region != "us-east-1":
            location = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        bucket.ask("create_bucket", **location)
        return True
    return False


def cors_rule(storage: S3Storage, origins: Sequence[str]) -> Rule:
    """Return the rule that lets pages of the origins GET and PUT media, and read the headers they need."""
    return {
        "ID": f"tams-{storage.keys.store_id}",
        "AllowedOrigins": list(origins),
        "AllowedMethods": ["GET", "HEAD", "PUT"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag", "Content-Length", "Content-Range", "Accept-Ranges", "Last-Modified"],
        "MaxAgeSeconds": _MAX_AGE,
    }


def lifecycle_rule(storage: S3Storage) -> Rule:
    """Return the rule that aborts unfinished uploads below this store's own prefix, and does nothing else."""
    return {
        "ID": f"tams-{storage.keys.store_id}",
        "Status": "Enabled",
        "Filter": {"Prefix": storage.keys.own},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": DAYS_UNFINISHED},
    }


def set_cors(storage: S3Storage, origins: Sequence[str]) -> bool:
    """Add the CORS rule to those of the bucket; return True if anything was written.

    Raises:
        RulesLost: the bucket did not keep its rules.
    """
    bucket = storage.bucket

    def read() -> list[Rule]:
        return list(_read(bucket, "get_bucket_cors").get("CORSRules", ()))

    def write(rules: list[Rule]) -> None:
        bucket.ask("put_bucket_cors", CORSConfiguration={"CORSRules": rules})

    return _merge(cors_rule(storage, origins), read, write, "CORS")


def set_lifecycle(storage: S3Storage) -> bool:
    """Add the lifecycle rule to those of the bucket; return True if anything was written.

    Raises:
        RulesLost: the bucket did not keep its rules.
    """
    bucket = storage.bucket
    options: dict[str, Any] = {}

    def read() -> list[Rule]:
        configuration = _read(bucket, "get_bucket_lifecycle_configuration")
        # An option of all rules together, which writing them without it would reset.
        if "TransitionDefaultMinimumObjectSize" in configuration:
            options["TransitionDefaultMinimumObjectSize"] = configuration["TransitionDefaultMinimumObjectSize"]
        return list(configuration.get("Rules", ()))

    def write(rules: list[Rule]) -> None:
        bucket.ask("put_bucket_lifecycle_configuration", LifecycleConfiguration={"Rules": rules}, **options)

    return _merge(lifecycle_rule(storage), read, write, "lifecycle")


def has_cors(storage: S3Storage, origins: Sequence[str]) -> bool:
    """Return True if the bucket has the CORS rule as `set_cors` writes it."""
    return _contains(_read(storage.bucket, "get_bucket_cors").get("CORSRules", ()), cors_rule(storage, origins))


def has_lifecycle(storage: S3Storage) -> bool:
    """Return True if the bucket has the lifecycle rule as `set_lifecycle` writes it."""
    rules = _read(storage.bucket, "get_bucket_lifecycle_configuration").get("Rules", ())
    return _contains(rules, lifecycle_rule(storage))


def _merge(rule: Rule, read: Callable[[], list[Rule]], write: Callable[[list[Rule]], None], name: str) -> bool:
    before = read()
    if _contains(before, rule):
        return False
    others = [item for item in before if item.get("ID") != rule["ID"]]
    write([*others, rule])
    after = read()
    if not _contains(after, rule) or not all(_contains(after, other) for other in others):
        raise RulesLost(f"the bucket did not keep its {name} rules as they were written", before)
    return True


def _contains(rules: Sequence[Rule], rule: Rule) -> bool:
    return _normalized(rule) in [_normalized(item) for item in rules]


def _normalized(value: Any) -> Any:
    """Return a rule without differences that have no meaning: order, empty parts, two ways to write a prefix."""
    if isinstance(value, dict):
        parts = {name: _normalized(part) for name, part in value.items() if part not in (None, "", [], {})}
        if "Filter" in parts and set(parts["Filter"]) <= {"Prefix"}:
            parts |= parts.pop("Filter")
        return parts
    if isinstance(value, list):
        return sorted((_normalized(item) for item in value), key=repr)
    return value


def _read(bucket: Bucket, operation: str) -> dict[str, Any]:
    try:
        return bucket.ask(operation)
    except Refused as refused:
        if refused.code in _NO_RULES:
            return {}
        raise

"""The first contact with a cluster: a wrong endpoint, bucket or key is found within seconds, and explained."""

from __future__ import annotations

from typing import Final

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random
from vastdb import errors

from tams.domain.errors import Unavailable
from tams.repository.vast.connection import Cluster
from tams.repository.vast.failures import Broken, translated
from tams.repository.vast.sessions import Address

PATIENCE: Final = 5.0
"""Seconds for which a cluster may fail before it counts as out of reach. Later steps wait longer."""


def check_reach(address: Address) -> None:
    """Check that the endpoint is a cluster, that it knows the keys, and that it has the bucket.

    Raises:
        Unavailable: one of these is wrong; the message says which, and what to correct.
    """
    cluster = Cluster(address)
    attempts = Retrying(
        retry=retry_if_exception_type(Broken), wait=wait_random(0.1, 0.5), stop=stop_after_delay(PATIENCE), reraise=True
    )
    try:
        attempts(_look_for_bucket, cluster)
    except Broken as error:
        raise Unavailable(
            f"No VAST cluster answers at {address.endpoint} ({type(error.__cause__).__name__}): correct "
            "TAMS_VAST_ENDPOINT, or see that this machine reaches it."
        ) from error
    finally:
        cluster.forget()


def _look_for_bucket(cluster: Cluster) -> None:
    address = cluster.address
    key = f"the access key {address.access_key}"
    try:
        with cluster.snapshot() as snapshot, translated():
            snapshot.transaction.bucket(address.bucket)
    except Unavailable as error:
        if isinstance(error.__cause__, errors.MissingBucket | errors.NotFound):
            raise Unavailable(
                f"The VAST cluster at {address.endpoint} has no bucket {address.bucket} for {key}: correct "
                "TAMS_VAST_BUCKET, or create it as a database (a view with the protocol DATABASE)."
            ) from error
        if isinstance(error.__cause__, errors.Forbidden):
            raise Unavailable(
                f"The VAST cluster at {address.endpoint} refuses {key}: correct TAMS_VAST_ACCESS_KEY and "
                f"TAMS_VAST_SECRET_KEY, or give the key access to the bucket {address.bucket}. {error}"
            ) from error
        raise

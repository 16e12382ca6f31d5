"""Carrying out Flow Delete Requests, batch by batch."""

from __future__ import annotations

import time

from tams.services import delete_requests
from tams.services.store import Store

BATCH = 500
"""Segments per transaction: small enough that other writers hardly wait for one."""


def delete_segments(store: Store, worker: str) -> bool:
    """Work on one due request for half of its lease; True where there is more to do at once."""
    jobs = store.repository.lease(delete_requests.KIND, worker, 1, store.settings.job_lease)
    for job in jobs:
        until = time.monotonic() + store.settings.job_lease / 2
        while delete_requests.advance(store, job.key, BATCH):
            if time.monotonic() > until:
                store.repository.postpone(job, store.now())
                break
    return bool(jobs)


def forget_requests(store: Store, worker: str) -> bool:
    """Remove the records of requests that ended long enough ago."""
    jobs = store.repository.lease(delete_requests.FORGET, worker, 100, store.settings.job_lease)
    for job in jobs:
        delete_requests.forget(store, job.key)
    return bool(jobs)

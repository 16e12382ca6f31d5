"""Carrying out Flow Delete Requests, batch by batch."""

from __future__ import annotations

import time

from tams.services import delete_requests
from tams.services.store import Store

BATCH = 100
"""Segments per transaction: small enough that other writers hardly wait for one."""

PAUSE = 3.0
"""How many times as long as a batch took everybody else has the database to themselves. Without it a writer of SQLite,
who asks for the lock now and then, would find it taken time and again."""


def delete_segments(store: Store, worker: str) -> bool:
    """Work on one due request for half of its lease; True where there is more to do at once."""
    jobs = store.repository.lease(delete_requests.KIND, worker, 1, store.settings.job_lease)
    for job in jobs:
        until = time.monotonic() + store.settings.job_lease / 2
        while (began := time.monotonic()) and delete_requests.advance(store, job.key, BATCH):
            if time.monotonic() > until:
                store.repository.postpone(job, store.now())
                break
            time.sleep(PAUSE * (time.monotonic() - began))
    return bool(jobs)


def forget_requests(store: Store, worker: str) -> bool:
    """Remove the records of requests that ended long enough ago."""
    jobs = store.repository.lease(delete_requests.FORGET, worker, 100, store.settings.job_lease)
    for job in jobs:
        delete_requests.forget(store, job.key)
    return bool(jobs)

"""Carrying out Flow Delete Requests, batch by batch."""

from __future__ import annotations

import time

from tams.services.deletion import delete_requests
from tams.services.store import Store


def delete_segments(store: Store, worker: str) -> bool:
    """Work on one due request for half of its lease; True where there is more to do at once."""
    pace = store.repository.pace
    jobs = store.repository.lease(delete_requests.KIND, worker, 1, store.settings.job_lease)
    for job in jobs:
        until = time.monotonic() + store.settings.job_lease / 2
        began = time.monotonic()
        while delete_requests.advance(store, job.job_id, pace.batch):
            if time.monotonic() > until:
                store.repository.postpone(job, store.now())
                break
            time.sleep(pace.pause * (time.monotonic() - began))
            began = time.monotonic()
    return bool(jobs)


def forget_requests(store: Store, worker: str) -> bool:
    """Remove the records of requests that ended long enough ago."""
    jobs = store.repository.lease(delete_requests.FORGET, worker, 100, store.settings.job_lease)
    for job in jobs:
        delete_requests.forget(store, job.job_id)
    return bool(jobs)

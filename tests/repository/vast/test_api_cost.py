"""Limits on the requests to the cluster for calls of the API and for events. Counts hold on any machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tams import worker
from tams.worker.fan_out import fan_out
from tests.support.api_steps import make_flow
from tools.bench.vast_calls import CALLS, Call, Place, place, requests_of

pytestmark = pytest.mark.vast


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Yield a store without other users."""
    with place(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_a_call_takes_at_most_as_many_requests_as_before(quiet: Place, call: Call) -> None:
    assert requests_of(quiet, call) <= call.max_requests


def test_many_events_are_distributed_together(tmp_path: Path) -> None:
    with place(tmp_path) as busy:
        webhook = {"url": "http://127.0.0.1:9/", "events": ["flows/updated"]}
        busy.ask("POST", "/service/webhooks", json=webhook)
        flow_id = make_flow(busy.client)
        fan_out(busy.store)
        for number in range(50):
            busy.ask("PUT", f"/flows/{flow_id}/label", json=str(number))
        with busy.emulator.counting() as counts:
            assert fan_out(busy.store)
        assert counts.total <= 30
        with busy.store.repository.read() as read:
            assert read.count_up_to("events in outbox", "", 1) == 0


def test_an_idle_worker_sends_few_requests(tmp_path: Path) -> None:
    with place(tmp_path) as idle:
        webhook = {"url": "http://127.0.0.1:9/", "events": ["flows/updated"]}
        idle.ask("POST", "/service/webhooks", json=webhook)
        stop = threading.Event()
        working = threading.Thread(target=worker.run, args=(idle.store, stop))
        working.start()
        time.sleep(3)
        began = time.monotonic()
        with idle.emulator.counting() as counts:
            time.sleep(6)
        took = time.monotonic() - began
        stop.set()
        working.join()
        assert counts.total <= 40 * took

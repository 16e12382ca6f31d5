"""The number of requests at work, and of transfers beside them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from flask import Flask

from tams.api.transfers import begin_transfer, install
from tams.config import Settings


def test_requests_leave_their_place_to_others_when_they_begin_a_transfer() -> None:
    app = Flask(__name__)
    transferring, end, inside = threading.Event(), threading.Event(), threading.Semaphore(0)

    @app.get("/transfer")
    def transfer() -> str:
        begin_transfer()()
        transferring.set()
        end.wait(20)
        return ""

    @app.get("/request")
    def request() -> str:
        inside.release()
        end.wait(20)
        return ""

    install(app, Settings.from_env({"TAMS_THREADS": "2"}, environment="development"))
    with ThreadPoolExecutor() as clients:
        answers = [clients.submit(app.test_client().get, "/transfer")]
        assert transferring.wait(20)
        answers += [clients.submit(app.test_client().get, "/request") for _ in range(3)]
        assert inside.acquire(timeout=20)
        assert inside.acquire(timeout=20)
        assert not inside.acquire(timeout=0.5)
        end.set()
        assert {answer.result().status_code for answer in answers} == {200}
        # The third had its turn when the others ended.
        assert inside.acquire(timeout=20)

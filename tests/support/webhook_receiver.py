"""A receiver of webhooks in a separate process. It prints each request as a line of JSON.

The path selects its behaviour: `/steady` accepts everything; `/flaky` answers with errors, breaks connections before
and after it has accepted the event, and is slow at times; `/dead` never answers; `/broken` answers 500 until it is
healed (see `Receiver`).
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the receiver: `status` is that of the response, or 0 for a broken connection."""

    path: str
    status: int
    taken: bool
    at: float
    headers: dict[str, str]
    text: str

    @property
    def sequence(self) -> int:
        """Return the number of the event among those of its webhook."""
        return int(self.headers["webhook-sequence"])

    @property
    def event_id(self) -> str:
        """Return the id of the event, which is the same in each repeat."""
        return self.headers["webhook-id"]

    @property
    def body(self) -> Any:
        """Return the JSON of the body."""
        return json.loads(self.text)

    @property
    def kind(self) -> str:
        """Return the type of the event."""
        return str(self.body["event_type"])


class Receiver:
    """The process of the receiver, and the requests that it has received."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "received.jsonl"
        self._healed = folder / "healed"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.webhook_receiver", self._healed],
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.PIPE,
                text=True,
            )
        assert self._process.stderr is not None
        self.url = self._process.stderr.readline().strip()

    def heal(self) -> None:
        """Make `/broken` accept everything from now on."""
        self._healed.touch()

    def requests(self, path: str = "") -> list[Request]:
        """Return the requests so far, in order: those to `path`, or all."""
        lines = self._log.read_text().splitlines(keepends=True)
        requests = [Request(*json.loads(line)) for line in lines if line.endswith("\n")]
        return [request for request in requests if path in ("", request.path)]

    def taken(self, path: str) -> list[Request]:
        """Return the accepted requests to `path`, without repeats."""
        first: dict[str, Request] = {}
        for request in self.requests(path):
            if request.taken:
                first.setdefault(request.event_id, request)
        return list(first.values())

    def close(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.communicate()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    healed: Path
    lock = threading.Lock()
    chance = random.Random(8)

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:  # the sender closed the connection in the middle of the request
            self.close_connection = True
            return
        status, taken = 200, True
        if self.path == "/flaky":
            roll = self.chance.random()
            if roll < 0.03:
                status, taken = 503, False
            elif roll < 0.05:
                status, taken = 0, False
            elif roll < 0.07:
                status = 0  # the event is accepted, and the response is lost
            elif roll < 0.09:
                time.sleep(0.1)
        elif self.path == "/dead":
            status, taken = 0, False
        elif self.path == "/broken" and not self.healed.exists():
            status, taken = 500, False
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.lock:
            print(json.dumps([self.path, status, taken, time.time(), headers, body.decode()]), flush=True)
        if self.path == "/dead":
            time.sleep(600)
        if not status:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


if __name__ == "__main__":
    _Handler.healed = Path(sys.argv[1])
    server = _Server(("127.0.0.1", 0), _Handler)
    print(f"http://127.0.0.1:{server.server_port}", file=sys.stderr, flush=True)
    server.serve_forever()

"""Orders over HTTP, for tests whose emulator is a process of its own.

Unsigned, and only for clients on the same machine. All bodies are JSON.

    GET    /_emulator/counters      what was asked for     DELETE: count from nothing
    GET    /_emulator/recent        the last requests
    GET    /_emulator/settings      the switches           PUT: change some
    GET    /_emulator/faults        the faults to come     POST: one more, DELETE: forget them
    POST   /_emulator/release       do the held requests
    GET    /_emulator/transactions  the open transactions
    POST   /_emulator/keep          let what is committed now be what `reset` leaves
    POST   /_emulator/reset         forget all data since `keep`, all counts and faults
"""

import dataclasses
import ipaddress
import json
from typing import Any
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

from tools.vast_emulator.cluster import Cluster
from tools.vast_emulator.errors import ProtocolError, bad_request, not_found
from tools.vast_emulator.exchange import Request, Response
from tools.vast_emulator.faults import Way

_PREFIX = "/_emulator/"


def is_for_admin(request: Request) -> bool:
    """Whether a request is an order; no bucket has such a name."""
    return request.target.startswith(_PREFIX)


def serve(cluster: Cluster, request: Request, client: str) -> Response:
    """Carry out an order."""
    try:
        if not ipaddress.ip_address(client).is_loopback:
            raise ProtocolError(403, "AccessDenied", "orders are taken from this machine only")
        try:
            answer = _carry_out(cluster, request)
        except (ValueError, TypeError) as wrong:
            raise bad_request("InvalidArgument", str(wrong)) from wrong
    except ProtocolError as refused:
        return Response.of(refused)
    return Response(headers={"Content-Type": "application/json"}, body=json.dumps(answer).encode())


def _carry_out(cluster: Cluster, request: Request) -> Any:
    order = json.loads(request.body) if request.body else {}
    match request.method, request.target.removeprefix(_PREFIX):
        case "GET", "counters":
            return cluster.counters.as_dict()
        case "DELETE", "counters":
            return cluster.counters.reset()
        case "GET", "recent":
            return list(cluster.counters.recent)
        case "GET", "settings":
            return cluster.settings.as_dict()
        case "PUT", "settings":
            return cluster.settings.update(order)
        case "GET", "faults":
            return [dataclasses.asdict(fault) for fault in cluster.faults.pending]
        case "POST", "faults":
            return dataclasses.asdict(cluster.faults.fail(order.pop("kind"), order.pop("way"), **order))
        case "DELETE", "faults":
            return cluster.faults.clear()
        case "POST", "release":
            return cluster.faults.release()
        case "GET", "transactions":
            return cluster.engine.open_transactions
        case "POST", "keep":
            return cluster.keep()
        case "POST", "reset":
            return cluster.reset()
        case method, name:
            raise not_found("NoSuchOrder", f"{method} {name}")


class Admin:
    """The orders, from a test to the process at `endpoint`."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint

    def fail(
        self,
        kind: str,
        way: Way | str,
        *,
        nth: int = 1,
        times: int = 1,
        table: str | None = None,
        seconds: float | None = None,
    ) -> None:
        """Let the nth request of a kind from now, and `times` in a row, fail."""
        order = {"kind": kind, "way": way, "nth": nth, "times": times, "table": table, "seconds": seconds}
        self._order("POST", "faults", order)

    def clear_faults(self) -> None:
        """Forget the faults to come, and the requests that are held."""
        self._order("DELETE", "faults")

    def release(self) -> int:
        """Do the requests that are held; how many there were."""
        return int(self._order("POST", "release"))

    def counters(self) -> dict[str, Any]:
        """What was asked for."""
        return dict(self._order("GET", "counters"))

    def reset_counters(self) -> None:
        """Count from nothing."""
        self._order("DELETE", "counters")

    def recent(self) -> list[str]:
        """The last requests."""
        return list(self._order("GET", "recent"))

    def settings(self, **changes: Any) -> dict[str, Any]:
        """The switches, some of them changed."""
        if changes:
            self._order("PUT", "settings", changes)
        return dict(self._order("GET", "settings"))

    def transactions(self) -> list[int]:
        """The open transactions."""
        return list(self._order("GET", "transactions"))

    def keep(self) -> None:
        """Let what is committed now be what `reset` leaves."""
        self._order("POST", "keep")

    def reset(self) -> None:
        """Forget all data since `keep`, all counts and faults."""
        self._order("POST", "reset")

    def _order(self, method: str, name: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = HttpRequest(f"{self._endpoint}{_PREFIX}{name}", data=data, method=method)
        with urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

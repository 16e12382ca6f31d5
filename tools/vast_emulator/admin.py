"""Administration over HTTP, for tests whose emulator is a separate process.

Requests are unsigned and accepted only from the same machine. All bodies are JSON.

    GET    /_emulator/counters      request counts         DELETE: set them to zero
    GET    /_emulator/recent        the latest requests
    GET    /_emulator/settings      the settings           PUT: change some
    GET    /_emulator/faults        the pending faults     POST: add one, DELETE: remove all
    POST   /_emulator/release       execute the held requests
    GET    /_emulator/transactions  ids of the open transactions
    POST   /_emulator/keep          make the committed data the state that `reset` restores
    POST   /_emulator/reset         remove all data committed since `keep`, all counts and faults
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
    """Return True if a request is an administration request; no bucket has such a name."""
    return request.target.startswith(_PREFIX)


def serve(cluster: Cluster, request: Request, client: str) -> Response:
    """Execute an administration request."""
    try:
        if not ipaddress.ip_address(client).is_loopback:
            raise ProtocolError(403, "AccessDenied", "administration requests are accepted from this machine only")
        try:
            answer = _execute(cluster, request)
        except (ValueError, TypeError) as error:
            raise bad_request("InvalidArgument", str(error)) from error
    except ProtocolError as error:
        return Response.of(error)
    return Response(headers={"Content-Type": "application/json"}, body=json.dumps(answer).encode())


def _execute(cluster: Cluster, request: Request) -> Any:
    arguments = json.loads(request.body) if request.body else {}
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
            return cluster.settings.update(arguments)
        case "GET", "faults":
            return [dataclasses.asdict(fault) for fault in cluster.faults.pending]
        case "POST", "faults":
            return dataclasses.asdict(cluster.faults.fail(arguments.pop("kind"), arguments.pop("way"), **arguments))
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
            raise not_found("NoSuchOrder", f"unknown administration request: {method} {name}")


class Admin:
    """A client of the administration interface of the emulator process at `endpoint`."""

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
        fault = {"kind": kind, "way": way, "nth": nth, "times": times, "table": table, "seconds": seconds}
        self._request("POST", "faults", fault)

    def clear_faults(self) -> None:
        """Remove the pending faults, and drop the requests that are held."""
        self._request("DELETE", "faults")

    def release(self) -> int:
        """Execute the held requests; return their number."""
        return int(self._request("POST", "release"))

    def counters(self) -> dict[str, Any]:
        """Return the request counts."""
        return dict(self._request("GET", "counters"))

    def reset_counters(self) -> None:
        """Set the request counts to zero."""
        self._request("DELETE", "counters")

    def recent(self) -> list[str]:
        """Return the latest requests, oldest first."""
        return list(self._request("GET", "recent"))

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Change the settings that are named, and return all settings."""
        if changes:
            self._request("PUT", "settings", changes)
        return dict(self._request("GET", "settings"))

    def transactions(self) -> list[int]:
        """Return the ids of the open transactions."""
        return list(self._request("GET", "transactions"))

    def keep(self) -> None:
        """Make the committed data the state that `reset` restores."""
        self._request("POST", "keep")

    def reset(self) -> None:
        """Remove all data committed since `keep`, all counts and faults."""
        self._request("POST", "reset")

    def _request(self, method: str, name: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = HttpRequest(f"{self._endpoint}{_PREFIX}{name}", data=data, method=method)
        with urlopen(request, timeout=60) as response:
            return json.loads(response.read())

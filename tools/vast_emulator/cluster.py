"""The path of a request from its signature to its response, with any injected fault on the way."""

import logging
import threading
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from tools.vast_emulator.counters import Counters
from tools.vast_emulator.engine import Engine
from tools.vast_emulator.errors import ProtocolError, bad_request
from tools.vast_emulator.exchange import Request, Response
from tools.vast_emulator.faults import Fault, Faults, Way
from tools.vast_emulator.frames import failed
from tools.vast_emulator.objects import Objects
from tools.vast_emulator.routes import Route, Routes
from tools.vast_emulator.settings import Settings
from tools.vast_emulator.signatures import verify

logger = logging.getLogger(__name__)

_ERRORS = {
    Way.CONFLICT: ProtocolError(409, "TabularConflict", "an injected fault"),
    Way.SLOW_DOWN: ProtocolError(503, "SlowDown", "an injected fault"),
    Way.LOST_SLOW_DOWN: ProtocolError(503, "SlowDown", "an injected fault"),
    Way.UNAVAILABLE: ProtocolError(503, "ServiceUnavailable", "an injected fault"),
    Way.INTERNAL_ERROR: ProtocolError(500, "InternalError", "an injected fault"),
    Way.FORBIDDEN: ProtocolError(403, "AccessDenied", "Access Denied."),
    Way.EXPIRED: ProtocolError(404, "NoSuchTransaction", "an injected fault"),
}
# Errors of a proxy in front of the cluster are HTML, not XML.
_PROXY = {
    Way.BAD_GATEWAY: Response(502, {"Content-Type": "text/html"}, b"<html><h1>502 Bad Gateway</h1></html>"),
    Way.LOST_BAD_GATEWAY: Response(502, {"Content-Type": "text/html"}, b"<html><h1>502 Bad Gateway</h1></html>"),
    Way.GATEWAY_TIMEOUT: Response(504, {"Content-Type": "text/html"}, b"<html><h1>504 Gateway Timeout</h1></html>"),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """A response to send, cut after its first half if `cut` is set; None closes the connection without a response."""

    response: Response | None
    cut: bool = False


class Cluster:
    """The emulated cluster, without the network."""

    def __init__(self, settings: Settings, access: str, secret: str, buckets: tuple[str, ...]) -> None:
        self.settings = settings
        self.access = access
        self.secret = secret
        self._buckets = buckets
        self.counters = Counters()
        self.faults = Faults(settings)
        self._stopping = threading.Event()
        self.engine = Engine(self.settings)
        self.keep()
        self.reset()

    def keep(self) -> None:
        """Make the committed data the state that `reset` restores. This costs nothing: versions of tables are
        immutable.
        """
        self._baseline = self.engine.latest

    def reset(self) -> None:
        """Remove all data committed since `keep`, and all objects, counts and faults.

        Open transactions end; settings stay as they are.
        """
        self.engine.restore(self._baseline)
        self.objects = Objects(self._buckets)
        self._routes = Routes(self.engine, self.objects, self.counters, self.settings)
        self.counters.reset()
        self.faults.clear()

    def stop(self) -> None:
        """Interrupt requests that wait, and drop the held ones."""
        self._stopping.set()
        self.faults.clear()

    def serve(self, request: Request) -> Outcome:
        """Handle a request and count it."""
        route = self._routes.find(request)
        self.counters.request(route.kind, route.table)
        outcome = self._serve(request, route)
        status = "cut" if outcome.cut or outcome.response is None else str(outcome.response.status)
        self.counters.response(route.kind, request.target, status)
        return outcome

    def _serve(self, request: Request, route: Route) -> Outcome:
        try:
            verify(
                request.method,
                request.target,
                request.headers,
                request.body,
                access=self.access,
                secret=self.secret,
                now=datetime.now(UTC),
            )
        except ProtocolError as error:
            return Outcome(Response.of(error))
        fault = self.faults.next(route.kind, route.table)
        return Outcome(self._execute(request, route)) if fault is None else self._fail(request, route, fault)

    def _fail(self, request: Request, route: Route, fault: Fault) -> Outcome:
        match fault.way:
            case Way.CUT:
                return Outcome(None)
            case Way.LATE:
                self.faults.hold(lambda: self._execute(request, route), fault.seconds)
                return Outcome(None)
            case Way.LOST:
                self._execute(request, route)
                return Outcome(None)
            case Way.CUT_STREAM:
                return Outcome(self._execute(request, route), cut=True)
            case Way.STALL:
                self._stopping.wait(1.0 if fault.seconds is None else fault.seconds)
                return Outcome(self._execute(request, route))
            case Way.FAILED_STREAM if route.kind == "select":
                return Outcome(Response(body=failed(1)))
            case Way.LOST_BAD_GATEWAY | Way.LOST_SLOW_DOWN:
                self._execute(request, route)
            case Way.EXPIRED | Way.CONFLICT if fault.way == Way.EXPIRED or route.kind == "commit":
                self.engine.expire(request.transaction)
        response = _PROXY.get(fault.way)
        if response is None:
            response = Response.of(_ERRORS.get(fault.way, _ERRORS[Way.INTERNAL_ERROR]))
        return Outcome(response)

    def _execute(self, request: Request, route: Route) -> Response:
        try:
            return route.handler(request)
        except ProtocolError as error:
            return Response.of(error)
        except pa.ArrowInvalid as error:
            return Response.of(bad_request("InvalidArgument", str(error)))
        except Exception as error:
            logger.exception("%s %s", request.method, request.target)
            return Response.of(ProtocolError(500, "InternalError", f"{type(error).__name__}: {error}"))

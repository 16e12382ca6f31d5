"""`/health`: probes for process supervisors, monitoring and load balancers. They need no credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import current_app
from flask.views import MethodView

from tams.api.blueprint import Blueprint
from tams.api.context import health_monitor
from tams.api.responses import json_response
from tams.domain.errors import Unavailable

if TYPE_CHECKING:
    from flask import Response

blp = Blueprint("health", __name__)

_NOT_READY: Final = "The database, or every Storage Backend, cannot be written to; the summary names what is down."
_RETRY_AFTER: Final = 15  # seconds, until the next check


@blp.route("/health/live")
class Live(MethodView):
    """The liveness of the process."""

    @blp.doc(operationId="GET_health-live")
    @blp.response(200, {"type": "object"})
    def get(self) -> Response:
        """Liveness

        Every running process answers this, whatever the state of database and storage.
        """
        return json_response({"status": "ok"}, headers={"Cache-Control": "no-store"})


@blp.route("/health")
class Health(MethodView):
    """The readiness of the process, under the shorter path that load balancers expect."""

    @blp.doc(operationId="GET_health")
    @blp.response(200, {"type": "object"})
    @blp.alt_response(503, description=_NOT_READY)
    def get(self) -> Response:
        """Readiness

        Equal to `/health/ready`.
        """
        return _readiness()


@blp.route("/health/ready")
class Ready(MethodView):
    """The readiness of the process."""

    @blp.doc(operationId="GET_health-ready")
    @blp.response(200, {"type": "object"})
    @blp.alt_response(503, description=_NOT_READY)
    def get(self) -> Response:
        """Readiness

        Whether the database can be changed and at least one Storage Backend can be written to. The parts are checked in
        the background every 15 seconds; this reads the latest results. If another Storage Backend is down, the status
        is `degraded`, and `down` names it.
        """
        return _readiness()


def _readiness() -> Response:
    report = health_monitor(current_app).report()
    if report.is_starting:
        raise Unavailable(f"Starting: {', '.join(report.down)}.")
    if not report.is_ready:
        raise Unavailable(f"Not ready: {', '.join(report.down)}.", retry_after=_RETRY_AFTER)
    body: dict[str, object] = {"status": "ok", "checked": report.checked}
    if report.down:
        body |= {"status": "degraded", "down": report.down}
    return json_response(body, headers={"Cache-Control": "no-store"})

"""`/health`: probes for process supervisors, monitoring and load balancers. They need no credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask.views import MethodView

from tams.api.blueprint import Blueprint
from tams.api.context import store
from tams.api.responses import json_response
from tams.services import health

if TYPE_CHECKING:
    from flask import Response

blp = Blueprint("health", __name__)


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


@blp.route("/health/ready")
class Ready(MethodView):
    """The readiness of the process."""

    @blp.doc(operationId="GET_health-ready")
    @blp.response(200, {"type": "object"})
    @blp.alt_response(503, description="The database or a Storage Backend does not answer; the summary names it.")
    def get(self) -> Response:
        """Readiness

        Whether the database and every Storage Backend answer at this moment.
        """
        return json_response({"status": "ok", "checked": health.check(store())}, headers={"Cache-Control": "no-store"})

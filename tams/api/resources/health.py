"""`/health`: for whatever starts, watches and balances processes. Open to everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask.views import MethodView

from tams.api.blueprint import Blueprint
from tams.api.context import store
from tams.api.responses import json_answer
from tams.services import health

if TYPE_CHECKING:
    from flask import Response

blp = Blueprint("health", __name__)


@blp.route("/health/live")
class Live(MethodView):
    """Whether the process answers."""

    @blp.doc(operationId="GET_health-live")
    @blp.response(200, {"type": "object"})
    def get(self) -> Response:
        """Liveness

        Answered by every process that runs, whatever the state of database and storage.
        """
        return json_answer({"status": "ok"}, headers={"Cache-Control": "no-store"})


@blp.route("/health/ready")
class Ready(MethodView):
    """Whether the process can do its work."""

    @blp.doc(operationId="GET_health-ready")
    @blp.response(200, {"type": "object"})
    @blp.alt_response(503, description="A part that the service needs does not answer; the summary says which.")
    def get(self) -> Response:
        """Readiness

        Whether the database and every Storage Backend answer at this moment.
        """
        return json_answer({"status": "ok", "checked": health.check(store())}, headers={"Cache-Control": "no-store"})

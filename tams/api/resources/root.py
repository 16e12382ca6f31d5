"""`/`: the paths of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask.views import MethodView

from tams.api.blueprint import Blueprint
from tams.api.responses import json_response

if TYPE_CHECKING:
    from flask import Response

blp = Blueprint("root", __name__)

_PATHS = ["service", "flows", "sources", "flow-delete-requests"]


@blp.route("/")
class Root(MethodView):
    """The root."""

    @blp.doc(operationId="GET_root")
    @blp.response(200, {"type": "array", "items": {"type": "string"}})
    def get(self) -> Response:
        """List Root Endpoints

        List of paths available from this API.
        """
        return json_response(_PATHS)

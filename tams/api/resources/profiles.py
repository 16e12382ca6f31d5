"""`/service/profiles`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask.views import MethodView

from tams.api.blueprint import Blueprint
from tams.api.context import principal, store
from tams.api.paging import page_request, paged
from tams.api.responses import json_response
from tams.api.schemas.profiles import ProfileBody, ProfilesQuery
from tams.services.flows import profiles
from tams.services.rendering.profiles import profile_json

if TYPE_CHECKING:
    from flask import Response

blp = Blueprint("profiles", __name__)

_LISTING = "profiles"
_FILTERS = ("format", "codec", "label")


@blp.route("/service/profiles")
class Profiles(MethodView):
    """All Profiles."""

    @blp.doc(operationId="GET_profiles")
    @blp.arguments(ProfilesQuery, location="query")
    @blp.response(200, ProfileBody(many=True))
    @blp.alt_response(400, description="Bad request. Invalid query options.")
    def get(self, query: dict[str, Any]) -> Response:
        """List Profiles

        Profiles supported by the store for use when creating Flows, in alphabetical order of their `label`.
        """
        paging = page_request(query, _LISTING)
        where = {name: query[name] for name in _FILTERS if name in query}
        page = profiles.list_profiles(store(), where=where, after=paging.after, limit=paging.limit)
        return paged(
            [profile_json(profile) for profile in page.items],
            count=len(page.items),
            next=page.next,
            request=paging,
            listing=_LISTING,
        )


@blp.route("/service/profiles/<id:profile_id>")
class Profile(MethodView):
    """One Profile."""

    @blp.doc(operationId="GET_profiles-profileId")
    @blp.response(200, ProfileBody)
    @blp.alt_response(404, description="The requested profile does not exist.")
    def get(self, profile_id: str) -> Response:
        """Profile Details

        Returns Profile metadata.
        """
        return json_response(profile_json(profiles.get(store(), profile_id)))

    @blp.doc(operationId="POST_profiles-profileId")
    @blp.arguments(ProfileBody)
    @blp.response(201, ProfileBody, description="The Profile has been created.")
    @blp.alt_response(400, description="Bad request. Invalid Profile JSON or Profile already exists.")
    @blp.alt_response(404, description="The requested Profile ID in the path is invalid.")
    def post(self, profile: dict[str, Any], profile_id: str) -> Response:
        """Create Profile

        Create a new Profile to be used when creating Flows. A Profile cannot be changed: create another one for other
        metadata.
        """
        return json_response(profile_json(profiles.create(store(), profile_id, profile, principal())), 201)

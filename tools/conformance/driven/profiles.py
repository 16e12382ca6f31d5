"""Profiles: they are created once, cannot change, and are found by format, codec and label."""

from __future__ import annotations

from tools.conformance.driven.documents import AUDIO, IMAGE, VIDEO, new_id, profile
from tools.conformance.driven.listings import check_listing, items
from tools.conformance.session import Session

_LIST = "/service/profiles"
_ONE = "/service/profiles/{profileId}"


def profiles(session: Session) -> None:
    """Create, read and filter Profiles, and send invalid ones."""
    label = f"conformance {new_id()}"
    documents = [
        profile(content_format, label=label, description="A Profile", tags={"made by": ["conformance"]})
        for content_format in (VIDEO, AUDIO, IMAGE)
    ]
    for document in documents:
        names = {"profileId": document["id"]}
        created = session.call("POST", _ONE, names, body=document, expect=201)
        read = session.call("GET", _ONE, names, expect=200)
        session.expect("GET returns what POST returned", created.json(), read.json(), read)
        session.expect("GET returns what was sent", document, {name: read.json().get(name) for name in document}, read)
        session.call("POST", _ONE, names, body=document, expect=400)
    check_listing(session, _LIST, query={"label": label})
    for query, expected in (
        ({"label": label, "format": AUDIO}, {documents[1]["id"]}),
        ({"label": label, "codec": "image/jpeg"}, {documents[2]["id"]}),
        ({"label": new_id()}, set()),
    ):
        session.expect(f"filter {query}", expected, {item["id"] for item in items(session, _LIST, query=query)})
    for invalid_query in ({"format": "video"}, {"codec": "h264"}):
        session.call("GET", _LIST, query=invalid_query, expect=400)
    _refused(session)


def _refused(session: Session) -> None:
    unknown = {"profileId": new_id()}
    session.call("GET", _ONE, unknown, expect=404)
    session.call("GET", _ONE, {"profileId": "not-an-id"}, expect=404)
    document = profile()
    session.call("POST", _ONE, {"profileId": "not-an-id"}, body=document, expect=404)
    session.call("POST", _ONE, unknown, body=document, expect=400)
    without_rate = {**document["flow_metadata"], "essence_parameters": {"frame_width": 16, "frame_height": 9}}
    multi = {"format": "urn:x-nmos:format:multi"}
    for metadata in (without_rate, multi, {"codec": "video/h264"}, None):
        body = {**document, "flow_metadata": metadata}
        session.call("POST", _ONE, {"profileId": document["id"]}, body=body, expect=400)


def profiled_flows(session: Session) -> None:
    """Create a Flow from a Profile, which gives it the Profile's technical metadata, and break the link."""
    document = profile(label="For a Flow")
    session.call("POST", _ONE, {"profileId": document["id"]}, body=document, expect=201)
    body = {"id": new_id(), "source_id": new_id(), "label": "profiled", "profile_id": document["id"]}
    names = {"flowId": body["id"]}
    created = session.call("PUT", "/flows/{flowId}", names, body=body, expect=201)
    metadata = document["flow_metadata"]
    session.expect("the Profile's metadata", metadata, {name: created.json().get(name) for name in metadata}, created)
    flows = items(session, "/flows", query={"profile_id": document["id"]})
    session.expect("found by its Profile", [body["id"]], [flow["id"] for flow in flows])
    session.call("PUT", "/flows/{flowId}", names, body={**body, "codec": "video/h265"}, expect=400)
    session.call("PUT", "/flows/{flowId}/avg_bit_rate", names, body=1, expect=400)
    session.call("DELETE", "/flows/{flowId}/avg_bit_rate", names, expect=400)
    session.call("PUT", "/flows/{flowId}", names, body={**body, "label": "still profiled"}, expect=204)
    session.call("PUT", "/flows/{flowId}", names, body={**body, **metadata, "profile_id": ""}, expect=204)
    session.expect("no longer found", [], items(session, "/flows", query={"profile_id": document["id"]}))
    flow_of_unknown_profile = {"id": new_id(), "source_id": new_id(), "profile_id": new_id()}
    session.call(
        "PUT", "/flows/{flowId}", {"flowId": flow_of_unknown_profile["id"]}, body=flow_of_unknown_profile, expect=400
    )

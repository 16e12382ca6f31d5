"""Profiles: created once, never changed, found by format, codec and label."""

from __future__ import annotations

from tools.conformance.driven.documents import AUDIO, IMAGE, VIDEO, new_id, profile
from tools.conformance.driven.listings import check_listing, items
from tools.conformance.session import Session

_LIST = "/service/profiles"
_ONE = "/service/profiles/{profileId}"


def profiles(session: Session) -> None:
    """Create, read, filter, and every way to be refused."""
    label = f"conformance {new_id()}"
    made = [
        profile(content_format, label=label, description="A Profile", tags={"made by": ["conformance"]})
        for content_format in (VIDEO, AUDIO, IMAGE)
    ]
    for document in made:
        names = {"profileId": document["id"]}
        created = session.call("POST", _ONE, names, body=document, expect=201)
        read = session.call("GET", _ONE, names, expect=200)
        session.expect("what was created is what is read", created.json(), read.json(), read)
        session.expect("it has what was sent", document, {name: read.json().get(name) for name in document}, read)
        session.call("POST", _ONE, names, body=document, expect=400)
    check_listing(session, _LIST, query={"label": label})
    for query, expected in (
        ({"label": label, "format": AUDIO}, {made[1]["id"]}),
        ({"label": label, "codec": "image/jpeg"}, {made[2]["id"]}),
        ({"label": new_id()}, set()),
    ):
        session.expect(f"filter {query}", expected, {found["id"] for found in items(session, _LIST, query=query)})
    for bad in ({"format": "video"}, {"codec": "h264"}):
        session.call("GET", _LIST, query=bad, expect=400)
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
    """A Flow made from a Profile has the Profile's technical metadata, and keeps or breaks the link as a whole."""
    document = profile(label="For a Flow")
    session.call("POST", _ONE, {"profileId": document["id"]}, body=document, expect=201)
    body = {"id": new_id(), "source_id": new_id(), "label": "profiled", "profile_id": document["id"]}
    names = {"flowId": body["id"]}
    created = session.call("PUT", "/flows/{flowId}", names, body=body, expect=201)
    metadata = document["flow_metadata"]
    session.expect("the Profile's metadata", metadata, {name: created.json().get(name) for name in metadata}, created)
    found = items(session, "/flows", query={"profile_id": document["id"]})
    session.expect("found by its Profile", [body["id"]], [one["id"] for one in found])
    session.call("PUT", "/flows/{flowId}", names, body={**body, "codec": "video/h265"}, expect=400)
    session.call("PUT", "/flows/{flowId}/avg_bit_rate", names, body=1, expect=400)
    session.call("DELETE", "/flows/{flowId}/avg_bit_rate", names, expect=400)
    session.call("PUT", "/flows/{flowId}", names, body={**body, "label": "still profiled"}, expect=204)
    session.call("PUT", "/flows/{flowId}", names, body={**body, **metadata, "profile_id": ""}, expect=204)
    session.expect("no longer found", [], items(session, "/flows", query={"profile_id": document["id"]}))
    unknown = {"id": new_id(), "source_id": new_id(), "profile_id": new_id()}
    session.call("PUT", "/flows/{flowId}", {"flowId": unknown["id"]}, body=unknown, expect=400)

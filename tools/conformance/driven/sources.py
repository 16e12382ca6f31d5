"""Sources: created by Flows, listed, filtered and sorted."""

from __future__ import annotations

from tools.conformance.driven.documents import AUDIO, MULTI, VIDEO, new_id, put_flow
from tools.conformance.driven.listings import check_listing, items
from tools.conformance.session import Session


def sources(session: Session) -> None:
    """Read and list Sources."""
    label = f"conformance {new_id()}"
    video = put_flow(session, VIDEO, label=label, description="A Source", tags={"kind": ["a", "b"], "only": "c"})
    audio = put_flow(session, AUDIO, label=label)
    multi = put_flow(session, MULTI, label=label, flow_collection=[{"id": video["id"]}, {"id": audio["id"]}])
    names = {"sourceId": video["source_id"]}
    read = session.call("GET", "/sources/{sourceId}", names, expect=200)
    expected = {
        "id": video["source_id"],
        "format": VIDEO,
        "label": label,
        "description": "A Source",
        "tags": video["tags"],
        "collected_by": [multi["source_id"]],
    }
    session.expect("the Source of its Flow", expected, {name: read.json().get(name) for name in expected}, read)
    for unknown_id in (new_id(), "not-an-id"):
        session.call("GET", "/sources/{sourceId}", {"sourceId": unknown_id}, expect=404)
    own_sources = {"label": label}
    for sort in ("created", "updated", "label"):
        check_listing(session, "/sources", query={**own_sources, "sort_by": sort})
    all_ids = {video["source_id"], audio["source_id"], multi["source_id"]}
    for query, expected_ids in (
        ({"format": AUDIO}, {audio["source_id"]}),
        ({"tag.kind": "x,b"}, {video["source_id"]}),
        ({"tag.kind": "x"}, set()),
        ({"tag.kind": "a", "tag.only": "c"}, {video["source_id"]}),
        ({"tag_exists.kind": "true"}, {video["source_id"]}),
        ({"tag_exists.kind": "false"}, all_ids - {video["source_id"]}),
        ({"collected_by_ids": f"{new_id()},{multi['source_id']}"}, all_ids - {multi["source_id"]}),
        ({"collected_by_ids": ""}, {multi["source_id"]}),
        ({"unknown": "parameter"}, all_ids),
    ):
        ids = {source["id"] for source in items(session, "/sources", query={**own_sources, **query})}
        session.expect(f"/sources filtered by {query}", expected_ids, ids)
    for invalid_query in (
        {"format": "video"},
        {"sort_by": "size"},
        {"collected_by_ids": "not-an-id"},
        {"tag_exists.kind": "perhaps"},
        {"reverse_order": "perhaps"},
    ):
        session.call("GET", "/sources", query=invalid_query, expect=400)

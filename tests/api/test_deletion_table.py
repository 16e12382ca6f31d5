"""DELETE operations without `cascade`, with `cascade=false` and with `cascade=true`: a test for each cell."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tams.domain.identifiers import new_id
from tests.support.api_steps import allocate, exists, make_flow, record, register, reuse, source_of, timeranges

NOTHING = {"flows": 0, "segments": 0, "collections": 0, "objects": 0}


# DELETE /flows/{id}


def test_a_flow_goes_with_its_segments_and_their_objects(client: FlaskClient) -> None:
    flow_id = make_flow(client)
    source_id = source_of(client, flow_id)
    objects = record(client, flow_id, 2)
    response = client.delete(f"/flows/{flow_id}")
    assert (response.status_code, response.data) == (204, b"")
    assert not exists(client, f"/flows/{flow_id}")
    assert timeranges(client, flow_id) == []
    assert not any(exists(client, f"/objects/{object_id}") for object_id in objects)
    assert not exists(client, f"/sources/{source_id}")


def test_objects_used_elsewhere_stay_when_a_flow_goes(client: FlaskClient) -> None:
    first, second = make_flow(client), make_flow(client)
    objects = record(client, first, 2)
    reuse(client, second, objects[:1])
    assert client.delete(f"/flows/{first}").status_code == 204
    remaining = client.get(f"/objects/{objects[0]}").json
    assert remaining["referenced_by_flows"] == [second]
    assert not exists(client, f"/objects/{objects[1]}")


def test_a_flow_with_segments_is_kept_without_cascade(client: FlaskClient) -> None:
    flow_id = make_flow(client)
    record(client, flow_id, 3)
    response = client.delete(f"/flows/{flow_id}?cascade=false")
    assert response.status_code == 409
    assert response.json["blocked_by"] == {**NOTHING, "segments": 3, "examples": []}
    assert len(timeranges(client, flow_id)) == 3


def test_a_collected_flow_is_kept_without_cascade(client: FlaskClient) -> None:
    flow_id = make_flow(client)
    collector = make_flow(client, flow_collection=[{"id": flow_id}])
    response = client.delete(f"/flows/{flow_id}?cascade=false")
    assert response.status_code == 409
    assert response.json["blocked_by"] == {**NOTHING, "collections": 1, "examples": [collector]}
    assert client.get(f"/flows/{flow_id}").json["collected_by"] == [collector]


def test_an_empty_flow_is_deleted_without_cascade(client: FlaskClient) -> None:
    flow_id = make_flow(client)
    assert client.delete(f"/flows/{flow_id}?cascade=false").status_code == 204
    assert not exists(client, f"/flows/{flow_id}")


def test_cascade_reports_what_was_deleted_with_a_flow(client: FlaskClient) -> None:
    flow_id = make_flow(client)
    record(client, flow_id, 3)
    response = client.delete(f"/flows/{flow_id}?cascade=true")
    assert response.status_code == 200
    assert response.json == {"deleted": {"sources": 1, "flows": 1, "segments": 3, "objects": 3}}


def test_deleting_a_member_takes_it_out_of_its_collectors(client: FlaskClient) -> None:
    member, other = make_flow(client), make_flow(client)
    collector = make_flow(client, flow_collection=[{"id": member, "role": "a"}, {"id": other, "role": "b"}])
    before = client.get(f"/flows/{collector}").json
    assert client.delete(f"/flows/{member}").status_code == 204
    after = client.get(f"/flows/{collector}").json
    assert after["flow_collection"] == [{"id": other, "role": "b"}]
    assert after["metadata_version"] != before["metadata_version"]
    source = client.get(f"/sources/{after['source_id']}").json
    assert source["source_collection"] == [{"id": source_of(client, other), "role": "b"}]


def test_deleting_a_collector_never_deletes_its_members(client: FlaskClient) -> None:
    member = make_flow(client)
    collector = make_flow(client, flow_collection=[{"id": member}])
    assert client.delete(f"/flows/{collector}").status_code == 204
    flow = client.get(f"/flows/{member}").json
    assert flow.get("collected_by", []) == []
    assert client.get(f"/sources/{flow['source_id']}").json.get("collected_by", []) == []


def test_a_member_of_a_read_only_collector_stays(client: FlaskClient) -> None:
    member = make_flow(client)
    collector = make_flow(client, flow_collection=[{"id": member}])
    assert client.put(f"/flows/{collector}/read_only", json=True).status_code == 204
    assert client.delete(f"/flows/{member}").status_code == 403
    assert exists(client, f"/flows/{member}")


@pytest.mark.parametrize("cascade", ["", "?cascade=false", "?cascade=true"])
def test_a_read_only_flow_stays(client: FlaskClient, cascade: str) -> None:
    flow_id = make_flow(client)
    record(client, flow_id, 1)
    client.put(f"/flows/{flow_id}/read_only", json=True)
    assert client.delete(f"/flows/{flow_id}{cascade}").status_code == 403
    assert client.delete(f"/flows/{flow_id}/segments{cascade}").status_code == 403
    assert len(timeranges(client, flow_id)) == 1


# DELETE /flows/{id}/segments


def test_segments_wholly_inside_the_range_go(client: FlaskClient) -> None:
    flow_id = make_flow(client)
    objects = record(client, flow_id, 5)
    response = client.delete(f"/flows/{flow_id}/segments?timerange=[1:500000000_4:0)")
    assert response.status_code == 204
    assert timeranges(client, flow_id) == ["[0:0_1:0)", "[1:0_2:0)", "[4:0_5:0)"]
    assert [exists(client, f"/objects/{object_id}") for object_id in objects] == [True, True, False, False, True]


@pytest.mark.parametrize("timerange", ["", "()", "[3:0_3:0)", "(3:0)", "[5:0_1:0)", "[3:5_4:5)"])
def test_an_empty_range_deletes_nothing(client: FlaskClient, timerange: str) -> None:
    flow_id = make_flow(client)
    record(client, flow_id, 5)
    assert client.delete(f"/flows/{flow_id}/segments?timerange={timerange}").status_code == 204
    assert len(timeranges(client, flow_id)) == 5


def test_segments_of_one_object_go(client: FlaskClient) -> None:
    flow_id = make_flow(client)
    first, second = record(client, flow_id, 2)
    register(client, flow_id, first, "[10:0_11:0)", ts_offset="10:0")
    assert client.delete(f"/flows/{flow_id}/segments?object_id={first}").status_code == 204
    assert timeranges(client, flow_id) == ["[1:0_2:0)"]
    assert exists(client, f"/objects/{second}")


def test_an_unknown_parameter_deletes_nothing(client: FlaskClient) -> None:
    flow_id = make_flow(client)
    record(client, flow_id, 2)
    response = client.delete(f"/flows/{flow_id}/segments?time_range=[0:0_1:0)")
    assert response.status_code == 400
    assert list(response.json["errors"]) == ["time_range"]
    assert len(timeranges(client, flow_id)) == 2


def test_a_last_reference_is_kept_without_cascade(client: FlaskClient) -> None:
    first, second = make_flow(client), make_flow(client)
    objects = record(client, first, 2)
    reuse(client, second, objects[:1])
    response = client.delete(f"/flows/{first}/segments?cascade=false")
    assert response.status_code == 409
    assert response.json["blocked_by"] == {**NOTHING, "objects": 1, "examples": objects[1:]}
    assert len(timeranges(client, first)) == 2


def test_references_that_are_not_the_last_go_without_cascade(client: FlaskClient) -> None:
    first, second = make_flow(client), make_flow(client)
    objects = record(client, first, 2)
    reuse(client, second, objects)
    assert client.delete(f"/flows/{first}/segments?cascade=false").status_code == 204
    assert timeranges(client, first) == []
    assert client.get(f"/objects/{objects[0]}").json["referenced_by_flows"] == [second]


def test_cascade_reports_how_many_segments_were_deleted(client: FlaskClient) -> None:
    flow_id = make_flow(client)
    record(client, flow_id, 3)
    response = client.delete(f"/flows/{flow_id}/segments?cascade=true&timerange=[1:0_")
    assert response.json == {"deleted": {"sources": 0, "flows": 0, "segments": 2, "objects": 2}}


# DELETE /sources/{id}


@pytest.mark.parametrize("cascade", ["", "?cascade=false"])
def test_a_source_with_flows_is_kept(client: FlaskClient, cascade: str) -> None:
    flow_id = make_flow(client)
    source_id = source_of(client, flow_id)
    response = client.delete(f"/sources/{source_id}{cascade}")
    assert response.status_code == 409
    assert response.json["blocked_by"] == {**NOTHING, "flows": 1, "examples": [flow_id]}
    assert exists(client, f"/flows/{flow_id}")


@pytest.mark.parametrize("cascade", ["", "?cascade=false"])
def test_a_source_without_flows_goes(client: FlaskClient, cascade: str) -> None:
    source_id = new_id()
    client.post("/sources", json={"id": source_id, "format": "urn:x-nmos:format:video"})
    assert client.delete(f"/sources/{source_id}{cascade}").status_code == 204
    assert not exists(client, f"/sources/{source_id}")


def test_cascade_takes_the_flows_of_a_source_with_it(client: FlaskClient) -> None:
    source_id = new_id()
    flows = [make_flow(client, source_id=source_id) for _ in range(3)]
    for flow_id in flows:
        record(client, flow_id, 2)
    outside = make_flow(client, flow_collection=[{"id": flows[0]}])
    response = client.delete(f"/sources/{source_id}?cascade=true")
    assert response.status_code == 200
    assert response.json == {"deleted": {"sources": 1, "flows": 3, "segments": 6, "objects": 6}}
    assert client.get(f"/flows?source_id={source_id}").json == []
    assert client.get(f"/flows/{outside}/flow_collection").json == []
    assert not exists(client, f"/sources/{source_id}")


def test_cascade_takes_a_declared_source_without_flows(client: FlaskClient) -> None:
    source_id = new_id()
    client.post("/sources", json={"id": source_id, "format": "urn:x-nmos:format:video"})
    response = client.delete(f"/sources/{source_id}?cascade=true")
    assert response.json == {"deleted": {"sources": 1, "flows": 0, "segments": 0, "objects": 0}}


def test_flows_of_one_source_may_collect_each_other_when_it_goes(client: FlaskClient) -> None:
    source_id = new_id()
    member = make_flow(client, source_id=source_id)
    middle = make_flow(client, source_id=source_id, flow_collection=[{"id": member}])
    make_flow(client, source_id=source_id, flow_collection=[{"id": middle}, {"id": member}])
    response = client.delete(f"/sources/{source_id}?cascade=true")
    assert response.json["deleted"]["flows"] == 3


def test_a_read_only_flow_keeps_its_source(client: FlaskClient) -> None:
    source_id = new_id()
    flows = [make_flow(client, source_id=source_id) for _ in range(2)]
    client.put(f"/flows/{flows[1]}/read_only", json=True)
    assert client.delete(f"/sources/{source_id}?cascade=true").status_code == 403
    assert all(exists(client, f"/flows/{flow_id}") for flow_id in flows)


# DELETE /objects/{id}


@pytest.mark.parametrize("cascade", ["", "?cascade=false"])
def test_a_registered_object_is_kept(client: FlaskClient, cascade: str) -> None:
    flow_id = make_flow(client)
    (object_id,) = record(client, flow_id, 1)
    response = client.delete(f"/objects/{object_id}{cascade}")
    assert response.status_code == 409
    assert response.json["blocked_by"] == {**NOTHING, "flows": 1, "segments": 1, "examples": [flow_id]}
    assert exists(client, f"/objects/{object_id}")


@pytest.mark.parametrize("cascade", ["", "?cascade=false"])
def test_storage_that_was_only_allocated_is_deleted(client: FlaskClient, cascade: str) -> None:
    flow_id = make_flow(client)
    (object_id,) = allocate(client, flow_id)
    assert client.delete(f"/objects/{object_id}{cascade}").status_code == 204
    response = client.post(f"/flows/{flow_id}/segments", json={"object_id": object_id, "timerange": "[0:0_1:0)"})
    assert response.status_code == 400
    assert client.delete(f"/objects/{object_id}").status_code == 404


def test_cascade_takes_the_segments_of_an_object_with_it(client: FlaskClient) -> None:
    first, second = make_flow(client), make_flow(client)
    objects = record(client, first, 2)
    reuse(client, second, objects[:1])
    register(client, second, objects[0], "[20:0_21:0)", ts_offset="20:0")
    response = client.delete(f"/objects/{objects[0]}?cascade=true")
    assert response.json == {"deleted": {"sources": 0, "flows": 0, "segments": 3, "objects": 1}}
    assert timeranges(client, first) == ["[1:0_2:0)"]
    assert timeranges(client, second) == []
    assert not exists(client, f"/objects/{objects[0]}")


def test_a_read_only_flow_keeps_its_object(client: FlaskClient) -> None:
    flow_id = make_flow(client)
    (object_id,) = record(client, flow_id, 1)
    client.put(f"/flows/{flow_id}/read_only", json=True)
    assert client.delete(f"/objects/{object_id}?cascade=true").status_code == 403
    assert exists(client, f"/objects/{object_id}")


def initialised(client: FlaskClient) -> tuple[str, str, list[str]]:
    """Create a Flow with two Segments that need one init Object; return the ids of Flow, init Object and media."""
    flow_id = make_flow(client, essence_parameters={"init_segments": True})
    init, *media = allocate(client, flow_id, 3)
    for index, object_id in enumerate(media):
        register(client, flow_id, object_id, f"[{index}:0_{index + 1}:0)", init_object_id=init)
    return flow_id, init, media


def test_an_init_object_lives_while_anything_needs_it(client: FlaskClient) -> None:
    flow_id, init, _ = initialised(client)
    client.delete(f"/flows/{flow_id}/segments?timerange=[0:0_1:0)")
    assert exists(client, f"/objects/{init}")
    client.delete(f"/flows/{flow_id}/segments")
    assert not exists(client, f"/objects/{init}")


def test_an_init_object_in_use_is_kept(client: FlaskClient) -> None:
    flow_id, init, _ = initialised(client)
    response = client.delete(f"/objects/{init}")
    assert response.status_code == 409
    assert response.json["blocked_by"] == {
        "flows": 1,
        "segments": 0,
        "collections": 0,
        "objects": 2,
        "examples": [flow_id],
    }


def test_cascade_takes_what_needs_an_init_object_with_it(client: FlaskClient) -> None:
    flow_id, init, media = initialised(client)
    response = client.delete(f"/objects/{init}?cascade=true")
    assert response.json == {"deleted": {"sources": 0, "flows": 0, "segments": 2, "objects": 3}}
    assert timeranges(client, flow_id) == []
    assert not any(exists(client, f"/objects/{object_id}") for object_id in [init, *media])


# Unknown resources, and invalid parameters


@pytest.mark.parametrize(
    "path",
    ["/flows/{}", "/flows/{}/segments", "/sources/{}", "/objects/{}"],
    ids=["flow", "segments", "source", "object"],
)
def test_what_does_not_exist_cannot_be_deleted(client: FlaskClient, path: str) -> None:
    assert client.delete(path.format(new_id())).status_code == 404


def test_cascade_is_true_or_false(client: FlaskClient) -> None:
    flow_id = make_flow(client)
    response = client.delete(f"/flows/{flow_id}?cascade=yes")
    assert response.status_code == 400
    assert "cascade" in response.json["errors"]
    assert exists(client, f"/flows/{flow_id}")

"""`If-Match` and `If-None-Match` of requests that change Flows, Sources and their properties."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tams.config import Settings
from tams.domain.identifiers import new_id
from tests.support.api_steps import exists, make_flow, record, source_of
from tests.support.applications import serving
from tests.support.flow_documents import data, multi, put

FORMS = ["", "?include_timerange=true", "?include_timerange=true&timerange=[0:0_1:0)", "?include_timerange=false"]
DELETIONS = ["", "?cascade=true", "?cascade=false"]
FLOW_PROPERTIES: list[tuple[str, Any, Any]] = [
    ("label", "before", "after"),
    ("description", "before", "after"),
    ("max_bit_rate", 1, 2),
    ("avg_bit_rate", 1, 2),
    ("tags/a", "before", ["after"]),
    ("tags/a%2Fb", ["before"], "after"),
]
SOURCE_PROPERTIES = [item for item in FLOW_PROPERTIES if "rate" not in item[0]]


@pytest.fixture
def flow_id(client: FlaskClient) -> str:
    """Make a Flow that accepts Segments."""
    return make_flow(client)


def tag(client: FlaskClient, path: str) -> str:
    """Return the entity tag of the path."""
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.headers["ETag"]


def replaced(client: FlaskClient, flow_id: str, label: str, headers: dict[str, str]) -> TestResponse:
    """PUT the Flow as it is, with this label."""
    document = client.get(f"/flows/{flow_id}").json
    return client.put(f"/flows/{flow_id}", json={**document, "label": label}, headers=headers)


def assert_refused(answer: TestResponse) -> None:
    """Assert that the answer is a 412 in the form of every error."""
    assert answer.status_code == 412, answer.text
    assert answer.json["type"] == "PreconditionFailed"
    assert answer.json["summary"] == answer.json["message"]


class TestFlow:
    @pytest.mark.parametrize("form", FORMS)
    def test_segments_leave_its_tag_valid(self, client: FlaskClient, flow_id: str, form: str) -> None:
        record(client, flow_id, 1)
        before = tag(client, f"/flows/{flow_id}{form}")
        assert client.head(f"/flows/{flow_id}{form}").headers["ETag"] == before
        record(client, flow_id, 3, start=1)
        assert replaced(client, flow_id, "a", {"If-Match": before}).status_code == 204
        assert client.delete(f"/flows/{flow_id}", headers={"If-Match": before}).status_code == 412
        assert client.delete(f"/flows/{flow_id}", headers={"If-Match": tag(client, f"/flows/{flow_id}{form}")})
        assert not exists(client, f"/flows/{flow_id}")

    def test_a_new_timerange_is_answered_in_full(self, client: FlaskClient, flow_id: str) -> None:
        path = f"/flows/{flow_id}?include_timerange=true"
        before = tag(client, path)
        assert client.get(path, headers={"If-None-Match": before}).status_code == 304
        record(client, flow_id, 1)
        assert client.get(path, headers={"If-None-Match": before}).json["timerange"] == "[0:0_1:0)"

    @pytest.mark.parametrize(
        "change",
        [
            lambda client, path: client.put(f"{path}/label", json="x"),
            lambda client, path: client.put(f"{path}/tags/x", json="x"),
            lambda client, path: client.put(f"{path}/read_only", json=False),
            lambda client, path: client.put(path, json=client.get(path).json),
        ],
        ids=["label", "tag", "read_only", "replacement"],
    )
    def test_a_change_of_metadata_makes_its_tag_stale(
        self, client: FlaskClient, flow_id: str, change: Callable[[FlaskClient, str], TestResponse]
    ) -> None:
        path = f"/flows/{flow_id}"
        stale = tag(client, path)
        assert change(client, path).status_code == 204
        before = client.get(path).json
        assert_refused(replaced(client, flow_id, "lost", {"If-Match": stale}))
        for query in DELETIONS:
            assert_refused(client.delete(f"{path}{query}", headers={"If-Match": stale}))
        assert client.get(path).json == before

    def test_a_flow_that_was_made_again_is_another(self, client: FlaskClient) -> None:
        document = data()
        stale = tag(client, f"/flows/{put(client, document)}")
        assert client.delete(f"/flows/{document['id']}").status_code == 204
        put(client, document)
        assert_refused(replaced(client, document["id"], "lost", {"If-Match": stale}))

    def test_a_list_holds_if_one_of_its_tags_does(self, client: FlaskClient, flow_id: str) -> None:
        current = tag(client, f"/flows/{flow_id}")
        assert replaced(client, flow_id, "a", {"If-Match": f'"stale-1", {current} , W/"x"'}).status_code == 204

    @pytest.mark.parametrize("form", ["W/{}", "", '"other"', "rubbish", '"{}'])
    def test_weak_and_malformed_tags_never_match(self, client: FlaskClient, flow_id: str, form: str) -> None:
        current = tag(client, f"/flows/{flow_id}")
        assert_refused(replaced(client, flow_id, "lost", {"If-Match": form.format(current)}))
        assert "label" not in client.get(f"/flows/{flow_id}").json

    def test_a_star_stands_for_any_flow(self, client: FlaskClient, flow_id: str) -> None:
        assert replaced(client, flow_id, "a", {"If-Match": "*"}).status_code == 204
        absent = data()
        for condition in ("*", '"x"'):
            answer = client.put(f"/flows/{absent['id']}", json=absent, headers={"If-Match": condition})
            assert_refused(answer)
        assert not exists(client, f"/flows/{absent['id']}")
        assert not exists(client, f"/sources/{absent['source_id']}")

    def test_if_none_match_star_creates_only(self, client: FlaskClient) -> None:
        document = data(label="first")
        path = f"/flows/{document['id']}"
        assert client.put(path, json=document, headers={"If-None-Match": "*"}).status_code == 201
        assert_refused(client.put(path, json={**document, "label": "second"}, headers={"If-None-Match": "*"}))
        current = tag(client, path)
        for condition in (current, f"W/{current}"):
            assert_refused(client.put(path, json=document, headers={"If-None-Match": condition}))
        assert client.get(path).json["label"] == "first"
        assert client.put(path, json=document, headers={"If-None-Match": '"other"'}).status_code == 204

    def test_both_conditions_have_to_hold(self, client: FlaskClient, flow_id: str) -> None:
        current = tag(client, f"/flows/{flow_id}")
        assert_refused(replaced(client, flow_id, "lost", {"If-Match": current, "If-None-Match": "*"}))

    def test_being_collected_leaves_its_tag_valid(self, client: FlaskClient, flow_id: str) -> None:
        current = tag(client, f"/flows/{flow_id}")
        collector = put(client, multi(flow_id))
        assert client.get(f"/flows/{flow_id}").json["collected_by"] == [collector]
        assert replaced(client, flow_id, "a", {"If-Match": current}).status_code == 204

    def test_losing_a_member_makes_its_tag_stale(self, client: FlaskClient, flow_id: str) -> None:
        collector = put(client, multi(flow_id))
        stale = tag(client, f"/flows/{collector}")
        assert client.delete(f"/flows/{flow_id}").status_code == 204
        assert_refused(client.delete(f"/flows/{collector}", headers={"If-Match": stale}))

    def test_missing_and_read_only_flows_are_named_first(self, client: FlaskClient, flow_id: str) -> None:
        stale = {"If-Match": '"stale"'}
        assert client.delete(f"/flows/{new_id()}", headers=stale).status_code == 404
        assert client.put(f"/flows/{new_id()}/label", json="x", headers=stale).status_code == 404
        assert client.delete(f"/flows/{flow_id}/tags/none", headers=stale).status_code == 404
        assert client.put(f"/flows/{flow_id}/read_only", json=True).status_code == 204
        assert client.delete(f"/flows/{flow_id}", headers=stale).status_code == 403
        assert replaced(client, flow_id, "x", stale).status_code == 403
        assert client.put(f"/flows/{flow_id}/label", json="x", headers=stale).status_code == 403

    def test_412_comes_before_409(self, client: FlaskClient, flow_id: str) -> None:
        record(client, flow_id, 1)
        path = f"/flows/{flow_id}?cascade=false"
        assert client.delete(path, headers={"If-Match": '"stale"'}).status_code == 412
        assert client.delete(path, headers={"If-Match": tag(client, f"/flows/{flow_id}")}).status_code == 409


class TestLargeDeletion:
    """Deletions that the worker finishes (202) are refused as well, and nothing is queued."""

    @pytest.fixture
    def app(self, settings: Settings) -> Iterator[Flask]:
        yield from serving(replace(settings, delete_inline_limit=1))

    @pytest.mark.parametrize("cascade", [None, True])
    def test_a_stale_condition_refuses_it(self, client: FlaskClient, flow_id: str, cascade: bool | None) -> None:
        record(client, flow_id, 3)
        query = "" if cascade is None else "?cascade=true"
        stale = tag(client, f"/flows/{flow_id}")
        assert client.put(f"/flows/{flow_id}/label", json="x").status_code == 204
        assert_refused(client.delete(f"/flows/{flow_id}{query}", headers={"If-Match": stale}))
        assert client.get("/flow-delete-requests").json == []
        current = tag(client, f"/flows/{flow_id}")
        assert client.delete(f"/flows/{flow_id}{query}", headers={"If-Match": current}).status_code == 202

    def test_of_a_source(self, client: FlaskClient, flow_id: str) -> None:
        record(client, flow_id, 3)
        path = f"/sources/{source_of(client, flow_id)}"
        assert_refused(client.delete(f"{path}?cascade=true", headers={"If-Match": '"stale"'}))
        assert client.get("/flow-delete-requests").json == []
        assert client.delete(f"{path}?cascade=true", headers={"If-Match": tag(client, path)}).status_code == 202


class TestSource:
    def test_a_change_of_metadata_makes_its_tag_stale(self, client: FlaskClient, flow_id: str) -> None:
        path = f"/sources/{source_of(client, flow_id)}"
        stale = tag(client, path)
        assert client.put(f"{path}/label", json="x").status_code == 204
        for query in DELETIONS:
            assert_refused(client.delete(f"{path}{query}", headers={"If-Match": stale}))
        assert exists(client, path)
        assert exists(client, f"/flows/{flow_id}")
        current = tag(client, path)
        assert client.delete(path, headers={"If-Match": current}).status_code == 409
        assert client.delete(f"{path}?cascade=true", headers={"If-Match": current}).status_code == 200

    def test_its_flows_leave_its_tag_valid(self, client: FlaskClient, flow_id: str) -> None:
        path = f"/sources/{source_of(client, flow_id)}"
        current = tag(client, path)
        record(client, flow_id, 2)
        assert client.put(f"/flows/{flow_id}/label", json="x").status_code == 204
        assert client.delete(f"{path}?cascade=true", headers={"If-Match": current}).status_code == 200

    def test_a_source_that_was_made_again_is_another(self, client: FlaskClient) -> None:
        body = {"id": new_id(), "format": "urn:x-nmos:format:data"}
        path = f"/sources/{body['id']}"
        assert client.post("/sources", json=body).status_code == 201
        stale = tag(client, path)
        assert client.delete(path).status_code == 204
        assert client.post("/sources", json=body).status_code == 201
        assert_refused(client.delete(path, headers={"If-Match": stale}))
        assert client.delete(f"/sources/{new_id()}", headers={"If-Match": "*"}).status_code == 404


class TestProperties:
    @pytest.fixture(params=["flows", "sources"])
    def owner(self, request: pytest.FixtureRequest, client: FlaskClient, flow_id: str) -> str:
        """Return the path of a Flow and that of a Source."""
        resource_id = flow_id if request.param == "flows" else source_of(client, flow_id)
        return f"/{request.param}/{resource_id}"

    @pytest.mark.parametrize(("name", "before", "after"), SOURCE_PROPERTIES)
    def test_of_flows_and_sources(self, client: FlaskClient, owner: str, name: str, before: Any, after: Any) -> None:
        self.walk(client, owner, name, before, after)

    @pytest.mark.parametrize(("name", "before", "after"), [item for item in FLOW_PROPERTIES if "rate" in item[0]])
    def test_of_flows(self, client: FlaskClient, flow_id: str, name: str, before: Any, after: Any) -> None:
        self.walk(client, f"/flows/{flow_id}", name, before, after)

    def walk(self, client: FlaskClient, owner: str, name: str, before: Any, after: Any) -> None:
        """Create, replace and remove a property under each condition."""
        path = f"{owner}/{name}"
        assert_refused(client.put(path, json=before, headers={"If-Match": "*"}))
        assert not exists(client, path)
        assert client.put(path, json=before, headers={"If-None-Match": "*"}).status_code == 204
        assert_refused(client.put(path, json=after, headers={"If-None-Match": "*"}))
        own, owners = tag(client, path), tag(client, owner)
        # The tag of a property is valid as long as its value; that of the owner as long as the owner's metadata.
        assert client.put(f"{owner}/tags/other", json="x").status_code == 204
        for stale in (owners, f"W/{own}", '"other"'):
            assert_refused(client.put(path, json=after, headers={"If-Match": stale}))
            assert_refused(client.delete(path, headers={"If-Match": stale}))
        assert client.get(path).json == before
        assert client.put(path, json=after, headers={"If-Match": own}).status_code == 204
        assert_refused(client.put(path, json=before, headers={"If-Match": own}))
        assert_refused(client.delete(path, headers={"If-Match": own}))
        assert client.put(path, json=before, headers={"If-Match": tag(client, owner)}).status_code == 204
        assert client.get(path).json == before
        assert client.delete(path, headers={"If-Match": f"{tag(client, path)}, {owners}"}).status_code == 204
        assert not exists(client, path)

    def test_read_only(self, client: FlaskClient, flow_id: str) -> None:
        path = f"/flows/{flow_id}/read_only"
        own = tag(client, path)
        assert client.put(path, json=True, headers={"If-Match": own}).status_code == 204
        assert_refused(client.put(path, json=False, headers={"If-Match": own}))
        assert client.put(path, json=False, headers={"If-Match": tag(client, f"/flows/{flow_id}")}).status_code == 204

    def test_flow_collection(self, client: FlaskClient, flow_id: str) -> None:
        collector = put(client, multi(flow_id))
        path = f"/flows/{collector}/flow_collection"
        own = tag(client, path)
        other = make_flow(client)
        assert client.put(path, json=[{"id": other}], headers={"If-Match": own}).status_code == 204
        assert_refused(client.put(path, json=[{"id": flow_id}], headers={"If-Match": own}))
        assert_refused(client.delete(path, headers={"If-Match": own}))
        assert client.delete(path, headers={"If-Match": tag(client, path)}).status_code == 204


class TestRaces:
    CLIENTS = 6

    def statuses(self, app: Flask, send: Callable[[FlaskClient, int], TestResponse]) -> list[int]:
        """Send one request from each of several clients at once; return the statuses in order of size."""
        with ThreadPoolExecutor(self.CLIENTS) as threads:
            answers = threads.map(lambda number: send(app.test_client(), number), range(self.CLIENTS))
            return sorted(answer.status_code for answer in answers)

    def test_one_of_many_changes_under_one_tag_is_made(self, app: Flask, client: FlaskClient, flow_id: str) -> None:
        document = client.get(f"/flows/{flow_id}").json
        for path, value in (
            (f"/flows/{flow_id}", lambda number: {**document, "label": str(number)}),
            (f"/flows/{flow_id}/label", str),
            (f"/sources/{document['source_id']}/label", str),
        ):
            current = tag(client, path.removesuffix("/label"))
            statuses = self.statuses(
                app,
                lambda own, number, path=path, value=value, current=current: own.put(  # type: ignore[misc]
                    path, json=value(number), headers={"If-Match": current}
                ),
            )
            assert statuses == [204] + [412] * (self.CLIENTS - 1)

    def test_one_of_many_creations_is_made(self, app: Flask, client: FlaskClient) -> None:
        document = data()
        path = f"/flows/{document['id']}"
        statuses = self.statuses(
            app,
            lambda own, number: own.put(path, json={**document, "label": str(number)}, headers={"If-None-Match": "*"}),
        )
        assert statuses == [201] + [412] * (self.CLIENTS - 1)

"""The audit log: each change and each refusal is a line with principal, operation, resource and request id."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tams.domain.identifiers import new_id
from tams.domain.principals import READ, WRITE
from tests.support import flow_documents
from tests.support.api_steps import make_flow
from tests.support.credentials import basic, grant
from tests.support.issuer import Issuer, bearer


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Capture all log lines; `audit_lines` picks those of the audit log."""
    caplog.set_level(logging.INFO, "tams")
    return caplog


def audit_lines(lines: pytest.LogCaptureFixture) -> list[tuple[Any, ...]]:
    return [
        (record.getMessage(), record.__dict__["principal"], record.__dict__["status"], record.__dict__["request_id"])
        for record in lines.records
        if record.name == "tams.audit"
    ]


def test_changes_are_recorded_and_reads_are_not(alice: FlaskClient, lines: pytest.LogCaptureFixture) -> None:
    flow_id = make_flow(alice)
    lines.clear()
    url = f"/flows/{flow_id}/label"
    alice.put(url, json="one", headers={"X-Request-ID": "a"})
    alice.get(url)
    alice.put(url, json=1)
    alice.delete(url, headers={"X-Request-ID": "b"})
    assert audit_lines(lines) == [
        (f"PUT {url} 204", "alice", 204, "a"),
        (f"DELETE {url} 204", "alice", 204, "b"),
    ]


def test_a_resource_with_an_id_of_the_store_is_named(alice: FlaskClient, lines: pytest.LogCaptureFixture) -> None:
    document = flow_documents.data()
    del document["id"]
    flow_id = alice.post("/flows", json=document).json["id"]
    record = [record for record in lines.records if record.name == "tams.audit"][-1]
    assert record.__dict__["location"] == f"/flows/{flow_id}"


def test_refusals_are_recorded(client: FlaskClient, lines: pytest.LogCaptureFixture) -> None:
    request_id = {"X-Request-ID": "a"}
    client.get("/flows", headers=request_id)
    client.get("/some/path", headers=request_id)
    client.post("/service", json={}, headers={**bearer(Issuer.token()), **request_id})
    assert audit_lines(lines) == [
        ("GET /flows 401", "anonymous", 401, "a"),
        ("GET /some/path 401", "anonymous", 401, "a"),
        ("POST /service 403", "alice", 403, "a"),
    ]
    assert {record.__dict__["address"] for record in lines.records if record.name == "tams.audit"} == {"127.0.0.1"}


def test_a_change_and_a_refusal_are_one_line_each(client: FlaskClient, lines: pytest.LogCaptureFixture) -> None:
    client.get("/flows")
    client.put("/flows", headers=basic("everything"))
    assert [record.name for record in lines.records if record.name in {"tams.access", "tams.audit"}] == [
        "tams.audit",
        "tams.access",
    ]


def test_the_access_line_names_the_principal(client: FlaskClient, lines: pytest.LogCaptureFixture) -> None:
    client.get("/flows", headers=basic("read"))
    assert [record.__dict__["principal"] for record in lines.records if record.name == "tams.access"] == ["read"]


def test_created_by_and_updated_by_name_the_principal(app: Flask, alice: FlaskClient, client: FlaskClient) -> None:
    flow_id, source_id = new_id(), new_id()
    make_flow(alice, flow_id, source_id)
    token = grant(app, READ, WRITE, name="robot")
    assert client.put(f"/flows/{flow_id}/label?access_token={token}", json="x").status_code == 204
    flow = client.get(f"/flows/{flow_id}", headers=basic("everything")).json
    source = client.get(f"/sources/{source_id}", headers=basic("everything")).json
    assert (flow["created_by"], flow["updated_by"]) == ("alice", "robot")
    assert source["created_by"] == "alice"

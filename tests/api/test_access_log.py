"""The id of each request, and its line in the access log."""

from __future__ import annotations

import json
import logging
import re
import time
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from tams.api.middleware.access_log import fast_record, logger
from tams.domain.errors import Unavailable
from tams.logs import JsonFormatter, TextFormatter
from tams.storage.port import BackendDown
from tests.support.api_steps import make_flow, register


def test_a_valid_id_of_the_client_is_kept(client: FlaskClient) -> None:
    assert client.get("/", headers={"X-Request-ID": "a-B_1.2:3"}).headers["X-Request-ID"] == "a-B_1.2:3"


@pytest.mark.parametrize("client_id", ["", "a b", "x" * 129, "é", 'a"b', "a,b", "<b>"])
def test_an_invalid_id_is_replaced(client: FlaskClient, client_id: str) -> None:
    request_id = client.get("/", headers={"X-Request-ID": client_id}).headers["X-Request-ID"]
    assert re.fullmatch("[0-9a-f]{32}", request_id)


def test_each_request_without_an_id_gets_a_new_one(client: FlaskClient) -> None:
    assert client.get("/").headers["X-Request-ID"] != client.get("/").headers["X-Request-ID"]


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return the lines about requests, as the attributes of their records."""
    return [vars(record) for record in caplog.records if record.name in {"tams.access", "tams.audit"}]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "tams")
    return caplog


PROFILE = "/service/profiles/5a2b8b5e-9a0e-4f5b-8a3d-0123456789ab"


@pytest.mark.parametrize(
    ("target", "path", "route", "status", "reason"),
    [
        ("/service?access_token=secret", "/service", "/service", 200, None),
        (f"{PROFILE}?secret", PROFILE, "/service/profiles/<id:profile_id>", 404, "Profile"),
        ("/nowhere?secret", "/nowhere", "-", 404, "nothing at this path"),
        ("/flows%3Faccess_token=secret", "/flows?access_token=***", "-", 404, "nothing at this path"),
        ("/service/profiles?limit=x&access_token=secret", "/service/profiles", "/service/profiles", 400, "limit: "),
    ],
)
def test_a_request_is_one_line(
    client: FlaskClient,
    log: pytest.LogCaptureFixture,
    target: str,
    path: str,
    route: str,
    status: int,
    reason: str | None,
) -> None:
    answer = client.get(target, headers={"X-Request-ID": "abc"}, environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
    (line,) = lines(log)
    assert (line["request_id"], line["method"], line["path"], line["route"]) == ("abc", "GET", path, route)
    assert (line["status"], line["bytes"], line["address"]) == (status, len(answer.data), "192.0.2.7")
    assert line["principal"] == "anonymous"
    assert line["milliseconds"] >= 0
    assert reason is None or reason in line["reason"], line["reason"]
    assert ("reason" in line) == (status >= 400)
    assert not [record for record in log.records if "secret" in str(vars(record))]


def test_the_line_holds_the_ids_of_the_path_and_the_size_of_the_request(
    client: FlaskClient, log: pytest.LogCaptureFixture
) -> None:
    flow_id = make_flow(client)
    log.clear()
    client.put(f"/flows/{flow_id}/tags/name", json="colour")
    (line,) = lines(log)
    assert (line["name"], line["flow_id"], line["request_bytes"]) == ("tams.audit", flow_id, len('"colour"'))


def test_the_line_of_a_creation_has_its_time_and_the_path_of_what_was_created(
    client: FlaskClient, log: pytest.LogCaptureFixture
) -> None:
    before = time.time()
    answer = client.post("/sources", json={"format": "urn:x-nmos:format:video"})
    assert answer.status_code == 201
    (record,) = (record for record in log.records if record.name in {"tams.access", "tams.audit"})
    # An extra field of this name would replace the time of the record, and no formatter could write the line.
    assert before - 1 <= record.created <= time.time() + 1
    path = f"/sources/{answer.json['id']}"
    assert f"location={path}" in TextFormatter().format(record)
    assert json.loads(JsonFormatter().format(record))["location"] == path


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_download_is_one_line_with_the_bytes_that_were_sent(
    client: FlaskClient, log: pytest.LogCaptureFixture, method: str
) -> None:
    flow_id = make_flow(client)
    storage = client.post(f"/flows/{flow_id}/storage", json={"limit": 1}).json["media_objects"][0]
    url = storage["put_url"]
    assert client.put(url["url"], data=b"x" * 100_000, content_type=url["content-type"]).status_code == 200
    register(client, flow_id, storage["object_id"], "[0:0_1:0)")
    download = client.get(f"/objects/{storage['object_id']}").json["get_urls"][0]["url"]
    log.clear()
    answer = client.open(download, method=method, headers={"Range": "bytes=10-1009"})
    body = answer.data
    answer.close()
    (line,) = lines(log)
    assert (line["status"], line["bytes"]) == (206, len(body))
    assert len(body) == (1000 if method == "GET" else 0)


@pytest.mark.parametrize(
    ("method", "path", "name", "level"),
    [
        ("GET", "/flows", "tams.access", "INFO"),
        ("GET", "/health/live", "tams.access", "DEBUG"),
        ("GET", "/health/ready", "tams.access", "DEBUG"),
        ("GET", "/nowhere", "tams.access", "INFO"),
        ("PUT", "/service", "tams.access", "INFO"),
    ],
)
def test_probes_are_of_interest_for_debugging_only(
    client: FlaskClient, log: pytest.LogCaptureFixture, method: str, path: str, name: str, level: str
) -> None:
    client.open(path, method=method)
    assert [(line["name"], line["levelname"]) for line in lines(log)] == [(name, level)]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Unavailable("the cause"), "the cause"),
        (BackendDown("no answer from s3.example"), "no answer from s3.example"),
        (RuntimeError("internal"), "RuntimeError"),
    ],
)
def test_a_failure_is_a_warning_with_its_cause(
    own_app: Flask, log: pytest.LogCaptureFixture, error: Exception, reason: str
) -> None:
    def view() -> None:
        raise error

    own_app.add_url_rule("/fail", view_func=view)
    own_app.test_client().get("/fail", headers={"X-Request-ID": "abc"})
    (line,) = lines(log)
    assert (line["levelname"], line["reason"]) == ("WARNING", reason)
    # The traceback of an unexpected error is a line of its own, under the same id.
    others = [vars(record) for record in log.records if record.name == "tams.api.errors"]
    assert [other["request_id"] for other in others] == (["abc"] if isinstance(error, RuntimeError) else [])


class Records(logging.Handler):
    """Collects the records that it receives."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.received.append(record)


text = st.text(max_size=20)


@given(
    fields=st.fixed_dictionaries(
        {
            "request_id": text,
            "method": text,
            "path": text,
            "route": text,
            "status": st.integers(100, 599),
            "milliseconds": st.floats(0, 1e6),
            "principal": text,
        }
    )
)
def test_the_fast_record_is_that_of_the_logger(fields: dict[str, Any]) -> None:
    plain = logging.Logger(logger.name, logging.INFO)  # noqa: LOG001 - outside the tree of loggers
    records = Records()
    plain.addHandler(records)
    plain.info("%s %s %d", fields["method"], fields["path"], fields["status"], extra=fields)
    plain.handle(fast_record(logger.name, logging.INFO, fields))
    expected, record = records.received
    assert record.getMessage() == expected.getMessage()
    # The records differ in the line of code and the time.
    varying = {"pathname", "filename", "module", "lineno", "funcName", "created", "msecs", "relativeCreated"}
    assert vars(record).keys() == vars(expected).keys()
    for name in vars(expected).keys() - varying:
        assert vars(record)[name] == vars(expected)[name], name

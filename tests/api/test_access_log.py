"""Each request has an id and one line in the log."""

from __future__ import annotations

import logging
import re

import pytest
from flask.testing import FlaskClient


def test_the_id_of_the_client_is_taken(client: FlaskClient) -> None:
    assert client.get("/", headers={"X-Request-ID": "a-B_1.2:3"}).headers["X-Request-ID"] == "a-B_1.2:3"


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "é", 'a"b', "a,b", "<b>"])
def test_an_odd_one_is_replaced(client: FlaskClient, given: str) -> None:
    assert re.fullmatch("[0-9a-f]{32}", client.get("/", headers={"X-Request-ID": given}).headers["X-Request-ID"])


def test_each_request_without_one_gets_its_own(client: FlaskClient) -> None:
    assert client.get("/").headers["X-Request-ID"] != client.get("/").headers["X-Request-ID"]


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        ("/service?access_token=secret", "/service", 200),
        ("/service/profiles/5a2b8b5e-9a0e-4f5b-8a3d-0123456789ab?secret", "/service/profiles/<id:profile_id>", 404),
        ("/secret", "-", 404),
        ("/service/profiles?limit=secret", "/service/profiles", 400),
    ],
)
def test_one_line_tells_of_a_request(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, path: str, route: str, status: int
) -> None:
    caplog.set_level(logging.INFO, "tams.access")
    client.get(path, headers={"X-Request-ID": "abc"})
    (record,) = [record for record in caplog.records if record.name == "tams.access"]
    told = vars(record)
    assert (told["request_id"], told["method"], told["route"], told["status"]) == ("abc", "GET", route, status)
    assert told["principal"] == "anonymous"
    assert told["milliseconds"] >= 0
    assert "secret" not in str(told["msg"]) + str(told["args"]) + record.getMessage()

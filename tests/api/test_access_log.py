"""The id of each request, and its line in the access log."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from tams.api.middleware.access_log import fast_record, logger


def test_a_valid_id_of_the_client_is_kept(client: FlaskClient) -> None:
    assert client.get("/", headers={"X-Request-ID": "a-B_1.2:3"}).headers["X-Request-ID"] == "a-B_1.2:3"


@pytest.mark.parametrize("client_id", ["", "a b", "x" * 129, "é", 'a"b', "a,b", "<b>"])
def test_an_invalid_id_is_replaced(client: FlaskClient, client_id: str) -> None:
    request_id = client.get("/", headers={"X-Request-ID": client_id}).headers["X-Request-ID"]
    assert re.fullmatch("[0-9a-f]{32}", request_id)


def test_each_request_without_an_id_gets_a_new_one(client: FlaskClient) -> None:
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
def test_a_request_is_one_line(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, path: str, route: str, status: int
) -> None:
    caplog.set_level(logging.INFO, "tams.access")
    client.get(path, headers={"X-Request-ID": "abc"})
    (record,) = [record for record in caplog.records if record.name == "tams.access"]
    line = vars(record)
    assert (line["request_id"], line["method"], line["route"], line["status"]) == ("abc", "GET", route, status)
    assert line["principal"] == "anonymous"
    assert line["milliseconds"] >= 0
    assert "secret" not in str(line["msg"]) + str(line["args"]) + record.getMessage()


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
    plain.info("%s %s %d", fields["method"], fields["route"], fields["status"], extra=fields)
    plain.handle(fast_record(fields))
    expected, record = records.received
    assert record.getMessage() == expected.getMessage()
    # The records differ in the line of code and the time.
    varying = {"pathname", "filename", "module", "lineno", "funcName", "created", "msecs", "relativeCreated"}
    assert vars(record).keys() == vars(expected).keys()
    for name in vars(expected).keys() - varying:
        assert vars(record)[name] == vars(expected)[name], name

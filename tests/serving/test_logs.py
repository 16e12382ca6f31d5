"""Log messages as text and as JSON."""

import io
import json
import logging

import pytest

from tams import logs
from tams.config import Settings


@pytest.fixture(autouse=True)
def _restored_logging():
    root, ours = logging.getLogger(), logging.getLogger("tams")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    logging.captureWarnings(capture=False)


def configured(**variables: str) -> io.StringIO:
    stream = io.StringIO()
    logs.configure(Settings.from_env({"TAMS_AUTH": "none"} | variables), stream)
    return stream


def configured_text(**variables: str) -> io.StringIO:
    return configured(ENVIRONMENT="development", **variables)


ACCESS = {"request_id": "r1", "route": "/flows/<flow_id>", "status": 200, "milliseconds": 1.5, "principal": None}


def test_production_writes_one_json_object_per_line():
    stream = configured()
    logging.getLogger("tams.api").info("GET %s", "/flows", extra=ACCESS)
    logging.getLogger("tams.api").warning("second\nline")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first.pop("time").endswith("Z")
    assert first == {"level": "INFO", "logger": "tams.api", "message": "GET /flows", **ACCESS}
    assert second["message"] == "second\nline"


def test_development_writes_text_with_the_extra_fields_behind():
    stream = configured_text()
    logging.getLogger("tams.api").info("GET %s", "/flows", extra={"request_id": "r1", "status": 200})
    time, rest = stream.getvalue().rstrip("\n").split(" ", 1)
    assert time.endswith("Z")
    assert rest == "INFO tams.api GET /flows request_id=r1 status=200"


def test_times_are_utc_in_milliseconds():
    record = logging.makeLogRecord({"created": 1.2345, "msg": "x"})
    assert json.loads(logs.JsonFormatter().format(record))["time"] == "1970-01-01T00:00:01.234Z"
    assert logs.TextFormatter().format(record).startswith("1970-01-01T00:00:01.234Z ")


def test_a_line_break_in_a_message_does_not_start_a_line():
    stream = configured_text()
    logging.getLogger("tams").info("GET %s", "/a\nFAKE", extra={"id": "b\r\nFAKE"})
    assert len(stream.getvalue().splitlines()) == 1


def test_a_traceback_follows_the_text_and_is_a_field_in_json():
    for configure in (configured_text, configured):
        stream = configure()
        try:
            dict[str, int]()["missing"]
        except KeyError:
            logging.getLogger("tams").exception("failed")
        assert "KeyError: 'missing'" in stream.getvalue()
    assert "Traceback" in json.loads(stream.getvalue())["exception"]


@pytest.mark.parametrize("value", [object(), 2**70, "\ud800", {1: b"x"}, {"a": {1, 2}}])
def test_every_extra_value_can_be_written(value):
    for configure in (configured_text, configured):
        stream = configure()
        logging.getLogger("tams").info("x", extra={"odd": value})
        assert "odd" in stream.getvalue()


def test_an_extra_field_cannot_replace_the_level_or_the_time():
    stream = configured()
    logging.getLogger("tams").info("x", extra={"level": "FAKE", "time": "FAKE", "logger": "FAKE"})
    assert "FAKE" not in stream.getvalue()


def test_the_level_is_that_of_the_setting():
    stream = configured(LOG_LEVEL="ERROR")
    logging.getLogger("tams").warning("quiet")
    logging.getLogger("tams").error("loud")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["loud"]


def test_libraries_are_heard_from_warning_upwards_even_when_we_debug():
    stream = configured(LOG_LEVEL="DEBUG")
    logging.getLogger("botocore.auth").debug("a signature")
    logging.getLogger("botocore.auth").warning("trouble")
    logging.getLogger("tams.storage").debug("ours")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["trouble", "ours"]


def test_configuring_twice_writes_each_message_once():
    configured()
    stream = configured()
    logging.getLogger("tams").info("once")
    assert len(stream.getvalue().splitlines()) == 1

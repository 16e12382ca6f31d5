"""The store's gunicorn settings, tried with gunicorn's own parser."""

from __future__ import annotations

import gc

import pytest
from gunicorn.config import Config
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser

from tams.config import Settings
from tams.serving.application import gunicorn_settings


def received(body: bytes, settings: Settings) -> Request:
    """Return the request that a worker makes of this chunked body."""
    head = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    request: Request = next(RequestParser(Config(), iter([head + body]), ("127.0.0.1", 1)))
    gunicorn_settings(settings)["pre_request"](None, request)
    return request


@pytest.fixture
def settings() -> Settings:
    return Settings.from_env({}, environment="development")


def test_a_body_in_chunks_is_read(settings: Settings) -> None:
    request = received(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", settings)
    assert request.body is not None
    assert (request.body.read(8), request.body.read(8), request.body.read(8)) == (b"hello wo", b"rld", b"")
    assert not request.should_close()


@pytest.mark.parametrize("body", [b"zz\r\nhello\r\n", b"-5\r\nhello\r\n", b"5\r\nhello!\r\n0\r\n\r\n"])
def test_malformed_chunks_are_a_body_that_breaks_off(settings: Settings, body: bytes) -> None:
    request = received(body, settings)
    assert request.body is not None
    with pytest.raises(OSError, match="malformed chunks"):
        request.body.read(100)
    # What follows may be the rest of the body as well as the next request.
    assert request.should_close()


def test_a_worker_does_not_look_through_the_application_for_garbage(settings: Settings) -> None:
    usual, frozen = gc.get_threshold(), gc.get_freeze_count()
    try:
        gunicorn_settings(settings)["post_worker_init"](None)
        assert gc.get_freeze_count() > frozen + 1000
        assert gc.get_threshold()[0] > usual[0]
    finally:
        gc.unfreeze()
        gc.set_threshold(*usual)

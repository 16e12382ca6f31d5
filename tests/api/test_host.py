"""The Host of a request: checked, and sent back in URLs as the client sent it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tams.api.host import is_host
from tams.api.middleware.proxies import TrustedProxies
from tests.support.api_steps import make_flow

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

HOSTS = ("tams_store:8000", "a_b", "media.example.com", "192.0.2.1:8080", "[2001:db8::1]:8000", "[::1]")
NOT_HOSTS = (
    "",
    " ",
    "a b",
    "user@host",
    "a/b",
    "a?b",
    "a,b",
    "a:b",
    "a:65536",
    "a:",
    ":80",
    "[::1",
    "[:::]",
    "::1",
    "é",
)


def client_of(app: Flask, host: str) -> FlaskClient:
    """Return a client whose requests have this Host."""
    inner = app.wsgi_app

    def with_host(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return inner({**environ, "HTTP_HOST": host}, start_response)

    app.wsgi_app = with_host  # type: ignore[method-assign]
    return app.test_client()


@pytest.mark.parametrize("host", HOSTS)
def test_urls_have_the_host_as_it_was_sent(own_app: Flask, host: str) -> None:
    client = client_of(own_app, host)
    base = f"http://{host}/"
    flow_id = make_flow(client)
    make_flow(client)
    assert client.get("/flows?limit=1").headers["Link"].startswith(f"<{base}flows?")
    storage = client.post(f"/flows/{flow_id}/storage", json={"limit": 1}).json
    assert storage["media_objects"][0]["put_url"]["url"].startswith(base)
    object_id = storage["media_objects"][0]["object_id"]
    path = storage["media_objects"][0]["put_url"]["url"].removeprefix(base)
    assert (
        client.put(f"/{path}", data=b"media", headers={"Content-Type": "application/octet-stream"}).status_code == 200
    )
    segment = {"object_id": object_id, "timerange": "[0:0_1:0)"}
    assert client.post(f"/flows/{flow_id}/segments", json=segment).status_code == 201
    urls = client.get(f"/flows/{flow_id}/segments").json[0]["get_urls"]
    assert urls
    assert all(entry["url"].startswith(base) for entry in urls)
    deletion = client.delete(f"/flows/{flow_id}/segments")
    if "Location" in deletion.headers:
        assert deletion.headers["Location"].startswith(base)
    created = client.post("/sources", json={"format": "urn:x-nmos:format:video"})
    assert created.headers["Location"].startswith(f"{base}sources/")
    assert client.get("/openapi.json").json["servers"] == [{"url": base.rstrip("/")}]
    page = client.get("/docs")
    assert f'src="{base}docs/' in page.text
    assert page.headers["Content-Security-Policy"].count(" 'self'") == 4
    assert client.get("/service").json["event_stream_mechanisms"][0]["docs"] == f"{base}docs"


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("header", ["X-Forwarded-Host", "Forwarded"])
def test_a_trusted_proxy_names_any_host(own_app: Flask, header: str, host: str) -> None:
    own_app.wsgi_app = TrustedProxies(own_app.wsgi_app, ["127.0.0.1"])  # type: ignore[method-assign]
    client = own_app.test_client()
    for _ in range(2):
        make_flow(client)
    value = f'host="{host}"' if header == "Forwarded" else host
    answer = client.get("/flows?limit=1", headers={header: value})
    assert answer.headers["Link"].startswith(f"<http://{host}/flows?")


@pytest.mark.parametrize("host", NOT_HOSTS)
def test_anything_else_is_refused(own_app: Flask, host: str) -> None:
    assert not is_host(host)
    client = client_of(own_app, host)
    for path in ("/flows", "/docs", "/openapi.json", "/health/live", "/nothing"):
        answer = client.get(path)
        assert (answer.status_code, list(answer.json["errors"])) == (400, ["Host"]), path


def test_the_host_of_an_absolute_target_replaces_the_header(client: FlaskClient) -> None:
    for target, expected in (
        ("http://tams_store:8000/openapi.json", 200),
        ("http://user@host/openapi.json", 400),
        ("http:///openapi.json", 400),
    ):
        answer = client.get("/openapi.json", environ_overrides={"RAW_URI": target, "REQUEST_URI": target})
        assert answer.status_code == expected, target
        if expected == 200:
            assert answer.get_json()["servers"] == [{"url": "http://tams_store:8000"}]

"""Paths: ids and names may hold any character; nothing is merged, resolved or redirected."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote_to_bytes

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tams.api.middleware.raw_path import RawPath, path_info, raw_path
from tams.api.responses import json_response


@pytest.fixture
def echo(own_app: Flask) -> FlaskClient:
    """Return a client of the application with two more routes, which return what they read from the path."""
    own_app.add_url_rule("/echo/<text:name>", "echo", lambda name: json_response([name]))
    own_app.add_url_rule("/echo/<text:name>/instances", "instances", lambda name: json_response([name, "instances"]))
    return own_app.test_client()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("plain", ["plain"]),
        ("a%2Finstances", ["a/instances"]),
        ("a%2Finstances/instances", ["a/instances", "instances"]),
        ("%2Fa", ["/a"]),
        ("a%2F", ["a/"]),
        ("a%2F%2Fb", ["a//b"]),
        ("..", [".."]),
        ("%2e%2e", [".."]),
        (".", ["."]),
        ("%2E%2E%2F%2E%2E%2Fetc", ["../../etc"]),
        ("%252F", ["%2F"]),
        ("%25", ["%"]),
        ("%", ["%"]),
        ("%zz", ["%zz"]),
        ("%2525", ["%25"]),
        ("a%3Fb%23c", ["a?b#c"]),
        ("a+b%20c", ["a+b c"]),
        ("a;b,c=d&e", ["a;b,c=d&e"]),
        ("[0:0_10:0)", ["[0:0_10:0)"]),
        ("%5B0:0%5D", ["[0:0]"]),
        ("caf%C3%A9", ["café"]),
        ("%F0%9F%8E%AC", ["🎬"]),
        ("a%0Ab", ["a\nb"]),
        ("%0A", ["\n"]),
        ("a%0D%0ASet-Cookie:%20x", ["a\r\nSet-Cookie: x"]),
        ("<id:x>", ["<id:x>"]),
    ],
)
def test_a_segment_is_what_it_decodes_to(echo: FlaskClient, raw: str, expected: list[str]) -> None:
    answer = echo.get("/echo/" + raw)
    assert (answer.status_code, answer.json) == (200, expected)


@pytest.mark.parametrize(
    "path",
    [
        "/echo",
        "/echo/",
        "/echo//",
        "/echo//a",
        "/echo/a/",
        "/echo/a//instances",
        "/echo/a/b",
        "/echo/%FF",
        "/echo/a%C3",
        "/echo/%ED%A0%80",
        "/echo/a%00b",
        "/echo/../echo/a",
        "/echo%2Fa",
        "/%2Fecho/a",
        "/flows/",
        "/flows//",
        "/service/../flows",
        "/service/webhooks/",
        "/%",
        "/%25",
    ],
)
def test_other_paths_are_not_found_and_never_redirected(echo: FlaskClient, path: str) -> None:
    answer = echo.get(path)
    assert answer.status_code == 404
    assert "Location" not in answer.headers


@given(name=st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_path_can_hold_any_text(echo: FlaskClient, name: str) -> None:
    answer = echo.get("/echo/" + quote(name, safe=""))
    assert (answer.status_code, answer.json) == (200, [name])


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("http://example.com/echo/a%2Fb", ["a/b"]),
        ("http://example.com/echo/a%2Fb?x=1", ["a/b"]),
        ("/echo/a%2Fb?x=/echo/c", ["a/b"]),
    ],
)
def test_the_absolute_form_of_a_target_is_accepted(echo: FlaskClient, target: str, expected: list[str]) -> None:
    answer = echo.get("/echo/b", environ_overrides={"RAW_URI": target})
    assert answer.json == expected


def test_a_double_slash_at_the_start_is_not_a_host(echo: FlaskClient) -> None:
    assert echo.get("/echo/a", environ_overrides={"RAW_URI": "//echo/a"}).status_code == 404


def test_the_prefix_of_a_mounted_application_is_left_out(echo: FlaskClient) -> None:
    answer = echo.get("/echo/x", environ_overrides={"RAW_URI": "/tams/echo/a%2Fb", "SCRIPT_NAME": "/tams"})
    assert answer.json == ["a/b"]


def test_a_double_slash_after_the_prefix_is_not_merged(echo: FlaskClient) -> None:
    target = {"RAW_URI": "/tams//echo/a", "SCRIPT_NAME": "/tams", "PATH_INFO": "//echo/a"}
    assert echo.get("/", environ_overrides=target).status_code == 404


def test_without_a_raw_target_the_decoded_path_is_used(echo: FlaskClient) -> None:
    answer = echo.get("/echo/a", environ_overrides={"RAW_URI": "", "REQUEST_URI": ""})
    assert answer.json == ["a"]


@pytest.mark.parametrize(
    "profile_id",
    [
        "329B98D6-ADEB-418C-8EAF-ECA14EDC1706",
        "329b98d6-adeb-718c-8eaf-eca14edc1706",
        "329b98d6-adeb-418c-8eaf-eca14edc1706%0A",
        "329b98d6adeb418c8eafeca14edc1706",
        "x",
    ],
)
def test_a_malformed_id_in_a_path_is_not_found(client: FlaskClient, profile_id: str) -> None:
    assert client.get(f"/service/profiles/{profile_id}").status_code == 404
    assert client.post(f"/service/profiles/{profile_id}", json={}).status_code == 404


segments = st.text(st.sampled_from("ab.;[:%2F5é?#"), max_size=4)


@given(
    parts=st.lists(segments, max_size=4),
    query=st.sampled_from(["", "?", "?x=%2F", "#a"]),
    mounted_at=st.sampled_from(["", "/tams"]),
)
def test_the_fast_way_sets_the_path_of_the_plain_one(parts: list[str], query: str, mounted_at: str) -> None:
    target = f"{mounted_at}/{'/'.join(parts)}{query}".encode().decode("latin-1")
    path = raw_path(target)
    server_path = unquote_to_bytes(path[len(mounted_at) :].encode("latin-1")).decode("latin-1")
    environ: dict[str, Any] = {"RAW_URI": target, "SCRIPT_NAME": mounted_at, "PATH_INFO": server_path}
    RawPath(lambda _environ, _start: [])(environ, lambda *_: lambda _: None)
    assert environ["PATH_INFO"] == path_info(path, mounted_at)


@pytest.mark.parametrize("malformed", ["abc", "4F1C0B6E-0000-4000-8000-000000000001", "a%2Fb", "x" * 500])
@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/flows/{}", "flow_id"),
        ("/flows/{}/segments", "flow_id"),
        ("/flows/{}/tags/a", "flow_id"),
        ("/sources/{}/label", "source_id"),
        ("/service/webhooks/{}", "webhook_id"),
        ("/service/profiles/{}", "profile_id"),
    ],
)
def test_a_malformed_id_is_named(client: FlaskClient, path: str, name: str, malformed: str) -> None:
    answer = client.get(path.format(malformed))
    assert answer.status_code == 404
    assert answer.json["summary"].startswith(f"{name}: '")
    assert "is not an id; an id is a UUID" in answer.json["summary"]
    assert len(answer.data) < 1000


@pytest.mark.parametrize("path", ["/nothing", "/flows/a/b/c/d", "/flows/", "/%"])
def test_a_path_that_leads_nowhere_says_where_the_paths_are(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json["summary"]) == (
        404,
        "there is nothing at this path; /openapi.json lists all paths",
    )

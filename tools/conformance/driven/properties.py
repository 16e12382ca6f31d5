"""Child endpoints of Sources and Flows: label, description, bit rates, tags, read_only, flow_collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.conformance.driven.documents import AUDIO, MULTI, flow, new_id, put_flow
from tools.conformance.session import Session

TAG_NAMES = ("plain", "with space & sign", "a/b", "ü=?#%25+;", "{name}")

_INVALID_TEXTS: tuple[Any, ...] = (5, None, ["a"], {"a": "b"})
_INVALID_RATES: tuple[Any, ...] = (-1, "5", 1.5, True, None)


def source_properties(session: Session) -> None:
    """Use the label, description and tags of a Source."""
    names = {"sourceId": put_flow(session)["source_id"]}
    for name in ("label", "description"):
        _property(session, f"/sources/{{sourceId}}/{name}", names, "A text: ü", _INVALID_TEXTS)
    _tags(session, "/sources/{sourceId}", names)


def flow_properties(session: Session) -> None:
    """Use the label, description, bit rates and tags of a Flow."""
    document = put_flow(session)
    names = {"flowId": document["id"]}
    for name in ("label", "description"):
        _property(session, f"/flows/{{flowId}}/{name}", names, "A text: ü", _INVALID_TEXTS)
    for name in ("max_bit_rate", "avg_bit_rate"):
        _property(session, f"/flows/{{flowId}}/{name}", names, 5000, _INVALID_RATES)
    _tags(session, "/flows/{flowId}", names)


def read_only(session: Session) -> None:
    """Change a read-only Flow, which refuses every change except to `read_only` itself."""
    document = put_flow(session, label="read-only", tags={"kept": "yes"})
    names = {"flowId": document["id"]}
    one = "/flows/{flowId}"
    initial = session.call("GET", f"{one}/read_only", names, expect=200)
    session.expect("not read-only", False, initial.json(), initial)
    invalid_flags: tuple[Any, ...] = ("true", 1, None, [])
    for invalid_flag in invalid_flags:
        session.call("PUT", f"{one}/read_only", names, body=invalid_flag, expect=400)
    for unknown_names in ({"flowId": new_id()}, {"flowId": "not-an-id"}):
        session.call("GET", f"{one}/read_only", unknown_names, expect=404)
        session.call("PUT", f"{one}/read_only", unknown_names, body=True, expect=404)
    session.call("PUT", f"{one}/read_only", names, body=True, expect=204)
    read = session.call("GET", f"{one}/read_only", names, expect=200)
    session.expect("read-only", True, read.json(), read)
    segment = {"object_id": new_id(), "timerange": "[0:0_1:0)"}
    tag = {**names, "name": "kept"}
    for method, path, path_names, body in (
        ("PUT", one, names, document),
        ("PUT", f"{one}/tags/{{name}}", tag, "no"),
        ("PUT", f"{one}/label", names, "no"),
        ("PUT", f"{one}/description", names, "no"),
        ("PUT", f"{one}/flow_collection", names, []),
        ("PUT", f"{one}/max_bit_rate", names, 1),
        ("PUT", f"{one}/avg_bit_rate", names, 1),
        ("POST", f"{one}/segments", names, segment),
        ("POST", f"{one}/segments", names, [segment]),
        ("POST", f"{one}/storage", names, {"limit": 1}),
    ):
        session.call(method, path, path_names, body=body, expect=403)
    for child in (
        "",
        "/label",
        "/description",
        "/flow_collection",
        "/max_bit_rate",
        "/avg_bit_rate",
        "/segments",
    ):
        session.call("DELETE", f"{one}{child}", names, expect=403)
    session.call("DELETE", f"{one}/tags/{{name}}", tag, expect=403)
    session.call("PUT", f"{one}/read_only", names, body=False, expect=204)
    session.call("PUT", f"{one}/label", names, body="changed", expect=204)


def flow_collection(session: Session) -> None:
    """Set an ordered list of existing Flows; a collection must not lead back to its collector."""
    members = [put_flow(session)["id"], put_flow(session, AUDIO)["id"]]
    collector = put_flow(session, MULTI)
    names = {"flowId": collector["id"]}
    path = "/flows/{flowId}/flow_collection"
    empty = session.call("GET", path, names, expect=200)
    session.expect("no collection", [], empty.json(), empty)
    collection = [
        {"id": members[1], "role": "sound", "container_mapping": {"mp2ts_container": {"pid": 257}}},
        {"id": members[0]},
    ]
    session.call("PUT", path, names, body=collection, expect=204)
    read = session.call("GET", path, names, expect=200)
    session.expect("the collection in its order", collection, read.json(), read)
    member = session.call("GET", "/flows/{flowId}", {"flowId": members[0]}, expect=200)
    session.expect("collected_by", [collector["id"]], member.json().get("collected_by"), member)
    source = session.call("GET", "/sources/{sourceId}", {"sourceId": collector["source_id"]}, expect=200)
    session.expect("source_collection", 2, len(source.json().get("source_collection", [])), source)
    for invalid_collection in (
        [{"id": new_id()}],
        [{"id": collector["id"]}],
        [{"role": "sound"}],
        {"id": members[0]},
        None,
        ["x"],
    ):
        session.call("PUT", path, names, body=invalid_collection, expect=400)
    session.call("PUT", path, {"flowId": members[0]}, body=[{"id": collector["id"]}], expect=400)
    session.call("DELETE", path, names, expect=204)
    session.call("DELETE", path, names, expect=204)
    after = session.call("GET", path, names, expect=200)
    session.expect("no collection", [], after.json(), after)
    for unknown_names in ({"flowId": new_id()}, {"flowId": flow()["id"].upper()}):
        session.call("GET", path, unknown_names, expect=404)
        session.call("PUT", path, unknown_names, body=[], expect=404)
        session.call("DELETE", path, unknown_names, expect=404)


def _property(
    session: Session, path: str, names: Mapping[str, str], value: Any, invalid_values: tuple[Any, ...]
) -> None:
    """Set, read and delete a property, send invalid values, and use it on an unknown resource (404)."""
    session.call("PUT", path, names, body=value, expect=204)
    read = session.call("GET", path, names, expect=200)
    session.expect("GET returns what was set", value, read.json() if read.status == 200 else None, read)
    for invalid_value in invalid_values:
        session.call("PUT", path, names, body=invalid_value, expect=400)
    session.call("PUT", path, names, content=b"value", headers={"Content-Type": "application/json"}, expect=400)
    session.call("PUT", path, names, content=b"value", headers={"Content-Type": "text/plain"}, expect=415)
    for condition in ({"If-Match": '"stale"'}, {"If-None-Match": "*"}):
        session.call("PUT", path, names, body=value, headers=condition, expect=412)
    session.call("DELETE", path, names, headers={"If-Match": '"stale"'}, expect=412)
    session.call("DELETE", path, names, headers={"If-Match": read.headers.get("etag", "")}, expect=204)
    session.call("GET", path, names, expect=404)
    session.call("DELETE", path, names, expect=204)
    for unknown_names in (dict.fromkeys(names, new_id()), dict.fromkeys(names, "not-an-id")):
        session.call("GET", path, unknown_names, expect=404)
        session.call("PUT", path, unknown_names, body=value, expect=404)
        session.call("DELETE", path, unknown_names, expect=404)


def _tags(session: Session, one: str, names: Mapping[str, str]) -> None:
    """Use all tags together and one by one, with names that need encoding."""
    all_tags, single = f"{one}/tags", f"{one}/tags/{{name}}"
    expected: dict[str, Any] = {}
    for name in TAG_NAMES:
        for value in ("a value", ["one", "two"]):
            session.call("PUT", single, {**names, "name": name}, body=value, expect=204)
            read = session.call("GET", single, {**names, "name": name}, expect=200)
            session.expect("the tag's value", value, read.json() if read.status == 200 else None, read)
            expected[name] = value
    read = session.call("GET", all_tags, names, expect=200)
    session.expect("all tags", expected, read.json(), read)
    tag = {**names, "name": TAG_NAMES[0]}
    for invalid_tag in (5, None, {"a": "b"}, ["a", 5]):
        session.call("PUT", single, tag, body=invalid_tag, expect=400)
    session.call("DELETE", single, tag, expect=204)
    session.call("GET", single, tag, expect=404)
    session.call("DELETE", single, tag, expect=404)
    for value in (new_id(), "not-an-id"):
        unknown_names = {**dict.fromkeys(names, value), "name": TAG_NAMES[0]}
        session.call("GET", all_tags, unknown_names, expect=404)
        session.call("GET", single, unknown_names, expect=404)
        session.call("PUT", single, unknown_names, body="a value", expect=404)
        session.call("DELETE", single, unknown_names, expect=404)

"""`docs/reference/api.md` describes every operation that the store adds to the specification, and no other."""

from __future__ import annotations

import json
import re
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient

from tams.domain.identifiers import new_id

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "api.md"

SPECIFIED = """
GET /
GET POST /service
GET /service/storage-backends
GET /service/profiles
GET POST /service/profiles/{profileId}
GET POST /service/webhooks
GET PUT DELETE /service/webhooks/{webhookId}
GET /sources
GET /sources/{sourceId}
GET /sources/{sourceId}/tags
GET PUT DELETE /sources/{sourceId}/tags/{name}
GET PUT DELETE /sources/{sourceId}/description
GET PUT DELETE /sources/{sourceId}/label
GET /flows
GET PUT DELETE /flows/{flowId}
GET /flows/{flowId}/tags
GET PUT DELETE /flows/{flowId}/tags/{name}
GET PUT DELETE /flows/{flowId}/description
GET PUT DELETE /flows/{flowId}/label
GET PUT /flows/{flowId}/read_only
GET PUT DELETE /flows/{flowId}/flow_collection
GET PUT DELETE /flows/{flowId}/max_bit_rate
GET PUT DELETE /flows/{flowId}/avg_bit_rate
GET POST DELETE /flows/{flowId}/segments
POST /flows/{flowId}/storage
GET /objects/{objectId}
POST DELETE /objects/{objectId}/instances
GET /flow-delete-requests
GET /flow-delete-requests/{requestId}
"""
"""The operations of the specification 8.2; every GET has a HEAD."""


def _with_plain_parameters(operation: str) -> str:
    return re.sub(r"\{[^}]*\}|<[^>]*>", "{}", operation)


def specified() -> set[str]:
    """Return the operations of the specification as `METHOD /path/{}`."""
    operations = set()
    for line in SPECIFIED.strip().splitlines():
        *methods, path = line.split()
        operations |= {_with_plain_parameters(f"{method} {path}") for method in methods}
    return operations


def described() -> set[str]:
    """Return the first column of the table of additional operations."""
    rows = re.findall(r"^\| `([A-Z]+ /[^`]*)` \| [^|]+ \| [^|]+ \|$", PAGE.read_text(), re.MULTILINE)
    return {_with_plain_parameters(row) for row in rows}


def served(app: Flask) -> set[str]:
    """Return the operations of the application, without the HEAD and OPTIONS that the framework adds."""
    return {
        _with_plain_parameters(f"{method} {rule.rule}")
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_every_operation_is_specified_or_described(app: Flask) -> None:
    assert served(app) - specified() - described() == set()


def test_every_operation_that_is_described_exists_and_goes_beyond_the_specification(app: Flask) -> None:
    assert described() - served(app) == set()
    assert described() & specified() == set()


def test_every_get_has_its_head(app: Flask) -> None:
    gets = [rule for rule in app.url_map.iter_rules() if "GET" in (rule.methods or set())]
    assert [rule.rule for rule in gets if "HEAD" not in (rule.methods or set())] == []


def test_an_error_looks_as_it_is_shown(client: FlaskClient) -> None:
    example = re.search(r"## Errors.*?```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert example is not None
    flow_id = new_id()
    document = {
        "id": flow_id,
        "source_id": new_id(),
        "format": "urn:x-nmos:format:video",
        "codec": "video/h264",
        "essence_parameters": {"frame_width": 640, "frame_height": 360},
    }
    answer = client.put(f"/flows/{flow_id}", json=document)
    assert answer.status_code == 400
    body, expected = answer.get_json(), json.loads(example[1])
    expected |= {name: body[name] for name in ("time", "request_id")}
    assert body == expected


def test_every_deletion_is_in_the_table_of_cascade() -> None:
    table = PAGE.read_text().partition("## Deleting")[2].partition("## ")[0]
    rows = re.findall(r"^\| `(DELETE /[^`]*)` \|", table, re.MULTILINE)
    assert rows == [
        "DELETE /flows/{flowId}",
        "DELETE /flows/{flowId}/segments",
        "DELETE /sources/{sourceId}",
        "DELETE /objects/{objectId}",
    ]

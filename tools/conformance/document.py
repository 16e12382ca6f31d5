"""The OpenAPI document: its operations and the schemas of their responses, resolved file by file on demand."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

METHODS = ("get", "head", "put", "post", "delete")
JSON_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class Header:
    """A documented response header, with the JSON pointer of its schema."""

    name: str
    schema: str
    type: str


@dataclass(frozen=True, slots=True)
class DocumentedResponse:
    """An operation's documentation of one status; `schema` is the JSON pointer of the body's schema."""

    status: int
    has_content: bool
    schema: str | None
    headers: tuple[Header, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of a path."""

    method: str
    path: str
    definition: Mapping[str, Any]
    parameters: tuple[Mapping[str, Any], ...]
    """The parameters of its path and its own, with references resolved."""
    responses: Mapping[int, DocumentedResponse]

    @property
    def label(self) -> str:
        """Return the name that reports and allowances use, such as `GET /flows/{flowId}`."""
        return f"{self.method} {self.path}"

    @property
    def query_parameters(self) -> tuple[str, ...]:
        """Return the names of its query parameters."""
        return tuple(parameter["name"] for parameter in self.parameters if parameter["in"] == "query")


@dataclass(frozen=True, slots=True)
class Example:
    """An example of the document."""

    operation: Operation
    status: int | None
    """The status of the response; None for the example of a request."""
    file: str | None
    """The name of its file; None if it is part of the document itself."""
    value: Any

    @property
    def name(self) -> str:
        """Return the name of the file, or of the operation for an example without a file."""
        return self.file or f"the example of {self.operation.label}"


class ApiDocument:
    """An OpenAPI 3.1 document on disk, and the JSON Schema files that it refers to."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._uri = self.path.as_uri()
        self._content = _read(self.path)
        self._registry: Registry[Any] = Registry(retrieve=_retrieve)  # type: ignore[call-arg]
        self._validators: dict[str, Draft202012Validator] = {}
        self.title = f"{self._content['info']['title']} {self._content['info']['version']}"
        self.version = str(self._content["info"]["version"])
        self.operations = {operation.label: operation for operation in self._operations()}

    def faults(self, schema: str, value: Any) -> list[str]:
        """Return the errors of `value` under a schema: a JSON pointer within the document, or a path relative to it."""
        if schema not in self._validators:
            uri = f"{self._uri}#{schema}" if schema.startswith("/") else (self.path.parent / schema).as_uri()
            self._validators[schema] = Draft202012Validator(
                {"$ref": uri}, registry=self._registry, format_checker=Draft202012Validator.FORMAT_CHECKER
            )
        errors = self._validators[schema].iter_errors(value)
        return [f"{error.json_path}: {error.message[:300]}" for error in errors]

    def request_examples(self) -> Iterator[Example]:
        """Yield every example of a request body."""
        for operation in self.operations.values():
            for content in operation.definition.get("requestBody", {}).get("content", {}).values():
                yield from self._examples(operation, None, content)

    def response_examples(self) -> Iterator[Example]:
        """Yield every example of a response body."""
        for operation in self.operations.values():
            for status, response in operation.definition["responses"].items():
                for content in response.get("content", {}).values():
                    yield from self._examples(operation, int(status), content)

    def _examples(self, operation: Operation, status: int | None, content: Mapping[str, Any]) -> Iterator[Example]:
        for example in [content["example"]] if "example" in content else []:
            file = example.get("$ref") if isinstance(example, dict) else None
            yield Example(operation, status, *self._load(file, example))
        for example in content.get("examples", {}).values():
            yield Example(operation, status, *self._load(example.get("externalValue"), example.get("value")))

    def _load(self, file: str | None, value: Any) -> tuple[str | None, Any]:
        if file is not None:
            return Path(file).name, json.loads((self.path.parent / file).read_text())
        # The document's short examples are block texts that contain JSON: `"new_value"` with its quotes.
        return None, json.loads(value) if isinstance(value, str) else value

    def _operations(self) -> Iterator[Operation]:
        for path, item in self._content["paths"].items():
            for method in METHODS:
                if method in item:
                    pointer = f"/paths/{_escaped(path)}/{method}/responses"
                    responses = {
                        int(status): self._response(int(status), definition, f"{pointer}/{status}")
                        for status, definition in item[method]["responses"].items()
                    }
                    parameter_definitions = (*item.get("parameters", []), *item[method].get("parameters", []))
                    parameters = tuple(self._resolved(parameter) for parameter in parameter_definitions)
                    yield Operation(method.upper(), path, item[method], parameters, responses)

    def _response(self, status: int, definition: Mapping[str, Any], pointer: str) -> DocumentedResponse:
        # Some responses have headers beside a `$ref`, where OpenAPI ignores them. The document clearly means both.
        headers = tuple(
            Header(name, f"{pointer}/headers/{name}/schema", _type_of(header["schema"]))
            for name, header in definition.get("headers", {}).items()
        )
        if "$ref" in definition:
            pointer = definition["$ref"].removeprefix("#")
            definition = self._resolved(definition)
        content = definition.get("content", {})
        schema = f"{pointer}/content/{_escaped(JSON_TYPE)}/schema" if JSON_TYPE in content else None
        return DocumentedResponse(status, bool(content), schema, headers)

    def _resolved(self, definition: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the target of a reference within the document, or the definition itself."""
        if "$ref" not in definition:
            return definition
        names = definition["$ref"].removeprefix("#/").split("/")
        return cast("Mapping[str, Any]", functools.reduce(lambda node, name: node[name], names, self._content))


def _type_of(schema: Mapping[str, Any]) -> str:
    return cast("str", schema.get("type", "string"))


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")


def _read(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    return yaml.safe_load(text) if path.suffix in {".yaml", ".yml"} else json.loads(text)


@functools.cache
def _retrieve(uri: str) -> Resource[Any]:
    return DRAFT202012.create_resource(_read(Path(unquote(urlsplit(uri).path))))

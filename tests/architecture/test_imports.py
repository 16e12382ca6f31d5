"""The rules of `docs/architecture.md` that can be read from imports: they point down only, and there is no cycle."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "tams"

ROOMS = {
    "tams.domain": set(),
    "tams.config": {"tams.domain"},
    "tams.repository": {"tams.domain"},
    "tams.storage": {"tams.domain", "tams.config"},
    "tams.services": {"tams.domain", "tams.config", "tams.repository.port", "tams.storage.port"},
    "tams.worker": {"tams.domain", "tams.config", "tams.repository.port", "tams.storage.port", "tams.services"},
    "tams.api": {"tams.domain", "tams.config", "tams.repository.port", "tams.storage.port", "tams.services"},
}
"""Rooms, and what each may import besides itself. Where modules of a room are named, only these are allowed."""

ENTRY_POINTS = {"tams.app", "tams.wsgi", "tams.adapters", "tams.logs", "tams.serving", "tams.commands"}
"""Modules that put the rooms together. No room imports them."""

LOCAL_STORAGE = {"tams.storage.local", "tams.storage.checksums"}

EXCEPTIONS = {
    "tams.api.resources.media": LOCAL_STORAGE,
    "tams.api.digests": LOCAL_STORAGE,
}
"""The HTTP half of the local storage adapter."""

ENGINES = {"tams.repository.sql", "tams.repository.vast"}

ENGINE_USERS = {"tams.adapters", "tams.commands.vast"}
"""The one module that knows which engines exist, and the commands about a single one of them."""

LIBRARIES = {
    "flask": {"tams.api", "tams.app", "tams.serving"},
    "flask_smorest": {"tams.api"},
    "marshmallow": {"tams.api"},
    "werkzeug": {"tams.api"},
    "webargs": {"tams.api"},
    "sqlalchemy": {"tams.repository.sql"},
    "alembic": {"tams.repository.sql"},
    "boto3": {"tams.storage.s3"},
    "botocore": {"tams.storage.s3"},
    "vastdb": {"tams.repository.vast"},
    "pyarrow": {"tams.repository.vast"},
    "gunicorn": {"tams.serving"},
    "click": {"tams.commands"},
    "jwt": {"tams.api.authentication"},
    "argon2": {"tams.services.access"},
}
"""Libraries, and the modules that may import each."""


@cache
def modules() -> dict[str, Path]:
    """Return every module of the package by its name."""
    by_name = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        by_name[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return by_name


@cache
def imports(name: str) -> frozenset[str]:
    """Return the modules that a module imports anywhere in it, also for type checking."""
    return frozenset(_imports(ast.walk(ast.parse(modules()[name].read_text())), name))


@cache
def imports_when_loaded(name: str) -> frozenset[str]:
    """Return the modules that are imported while the module itself is being imported."""
    tree = ast.parse(modules()[name].read_text())
    return frozenset(_imports(_executed(tree.body), name))


def _executed(statements: list[ast.stmt]) -> Iterator[ast.AST]:
    for statement in statements:
        if isinstance(statement, ast.If):
            if not (isinstance(statement.test, ast.Name) and statement.test.id == "TYPE_CHECKING"):
                yield from _executed(statement.body)
            yield from _executed(statement.orelse)
        elif isinstance(statement, ast.Try):
            yield from _executed(statement.body)
        else:
            yield statement


def _imports(nodes: Iterator[ast.AST], name: str) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative imports hide the room"
            assert node.module is not None
            for alias in node.names:
                # Either a module of a package, or something in a module.
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules() else node.module


def is_in(module: str, places: set[str]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_is_below_it(room: str) -> None:
    members = [name for name in modules() if is_in(name, {room})]
    assert members
    wrong = [
        (name, imported)
        for name in members
        for imported in imports(name)
        # The version belongs to no room.
        if is_in(imported, {"tams"}) and imported != "tams"
        if not is_in(imported, {room} | ROOMS[room] | EXCEPTIONS.get(name, set()))
    ]
    assert wrong == []


def test_no_modules_import_each_other() -> None:
    graph = {
        name: {imported for imported in imports_when_loaded(name) if imported in modules() and imported != name}
        for name in modules()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")


def test_every_module_is_in_a_room_or_puts_rooms_together() -> None:
    assert [name for name in modules() if name != "tams" if not is_in(name, set(ROOMS) | ENTRY_POINTS)] == []


def test_one_module_knows_which_engines_exist() -> None:
    outside = [name for name in modules() if not is_in(name, {"tams.repository"})]
    users = {name for name in outside if any(is_in(imported, ENGINES) for imported in imports(name))}
    assert "tams.adapters" in users
    assert users <= ENGINE_USERS


def test_no_other_module_asks_which_engine_is_chosen() -> None:
    askers = [
        name
        for name in modules()
        if not is_in(name, {"tams.config", "tams.adapters"})
        for node in ast.walk(ast.parse(modules()[name].read_text()))
        if isinstance(node, ast.Compare)
        if any(isinstance(side, ast.Attribute) and side.attr == "repository" for side in (node.left, *node.comparators))
    ]
    assert askers == []


def test_the_domain_needs_nothing_but_python() -> None:
    domain = [name for name in modules() if is_in(name, {"tams.domain"})]
    used = {imported.partition(".")[0] for name in domain for imported in imports(name)}
    assert used - {"tams"} <= sys.stdlib_module_names


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_imported_only_where_it_belongs(library: str) -> None:
    users = {name for name in modules() if any(is_in(imported, {library}) for imported in imports(name))}
    assert [name for name in users if not is_in(name, LIBRARIES[library])] == []


def test_ports_and_the_packages_around_them_import_no_adapter() -> None:
    for name in ("tams.repository", "tams.repository.port", "tams.storage", "tams.storage.port"):
        assert [imported for imported in imports(name) if is_in(imported, {"tams.repository", "tams.storage"})] == []


def test_the_project_uses_no_relative_imports() -> None:
    files = [path for folder in ("tams", "tests", "tools", "migrations") for path in (ROOT / folder).rglob("*.py")]
    relative = [
        str(path.relative_to(ROOT))
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


def test_tests_share_code_only_through_support() -> None:
    """No test module or conftest is imported by another module."""
    shared = {"tests.support", "tools"}
    wrong = [
        (str(path.relative_to(ROOT)), imported)
        for path in (ROOT / "tests").rglob("*.py")
        for imported in _imports(ast.walk(ast.parse(path.read_text())), str(path))
        if is_in(imported, {"tests"}) and imported != "tests" and not is_in(imported, shared)
    ]
    assert wrong == []


def test_everything_under_tests_is_collected_or_support() -> None:
    stray = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("*.py")
        if not path.is_relative_to(ROOT / "tests" / "support")
        if path.name not in {"conftest.py", "__init__.py"} and not path.name.startswith("test_")
    ]
    assert stray == []

"""Imports point down only, as `docs/architecture.md` says, and its list of folders is the truth."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
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
"""What each room may import besides itself; modules that are named with their room are the only ones of it."""

LOCAL_STORAGE = {"tams.storage.local", "tams.storage.files", "tams.storage.signing", "tams.storage.checksums"}

EXCEPTIONS = {
    "tams.api.media": LOCAL_STORAGE,
    "tams.api.digests": LOCAL_STORAGE,
}
"""The HTTP half of the local storage adapter."""

ADAPTERS = {"tams.repository.sql", "tams.repository.vast", "tams.storage"}

COMMANDS = re.compile(r"tams\.(cli|\w+_commands)")
"""The `tams` command. Some of it is about adapters."""

LIBRARIES = {
    "flask": {"tams.api", "tams.app", "tams.one_process"},
    "flask_smorest": {"tams.api"},
    "marshmallow": {"tams.api"},
    "werkzeug": {"tams.api"},
    "webargs": {"tams.api"},
    "sqlalchemy": {"tams.repository.sql", "tams.config", "tams.cli"},
    "alembic": {"tams.repository.sql", "tams.cli"},
    "boto3": {"tams.storage.s3"},
    "botocore": {"tams.storage.s3"},
    "vastdb": {"tams.repository.vast"},
    "pyarrow": {"tams.repository.vast"},
    "gunicorn": {"tams.server"},
    "jwt": {"tams.api.authentication"},
    "argon2": {"tams.services.users"},
}
"""Who may import which library."""


@cache
def modules() -> dict[str, Path]:
    """Every module by its name."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports(name: str) -> frozenset[str]:
    """The modules that a module imports anywhere in it, those for type checking included."""
    return frozenset(_imports(name))


def _imports(name: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(modules()[name].read_text())):
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
        # The version is no room's.
        if is_in(imported, {"tams"}) and imported != "tams"
        if not is_in(imported, {room} | ROOMS[room] | EXCEPTIONS.get(name, set()))
    ]
    assert wrong == []


def test_only_the_doors_that_are_about_adapters_import_them() -> None:
    doors = [name for name in modules() if not is_in(name, set(ROOMS))]
    users = {name for name in doors if any(is_in(imported, ADAPTERS) for imported in imports(name))}
    assert "tams.app" in users
    assert [name for name in users - {"tams.app"} if not COMMANDS.fullmatch(name)] == []


def test_every_folder_is_a_room() -> None:
    folders = {name for name, path in modules().items() if path.name == "__init__.py" and name.count(".") == 1}
    assert folders == set(ROOMS)


def test_the_domain_needs_nothing_but_python() -> None:
    domain = [name for name in modules() if is_in(name, {"tams.domain"})]
    used = {imported.partition(".")[0] for name in domain for imported in imports(name)}
    assert used - {"tams", "mediatimestamp"} <= sys.stdlib_module_names


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_imported_only_where_it_belongs(library: str) -> None:
    users = {name for name in modules() if any(is_in(imported, {library}) for imported in imports(name))}
    assert [name for name in users if not is_in(name, LIBRARIES[library])] == []


def test_only_the_command_line_uses_its_library() -> None:
    users = {name for name in modules() if any(is_in(imported, {"click"}) for imported in imports(name))}
    assert [name for name in users if not COMMANDS.fullmatch(name)] == []


def test_ports_and_the_packages_around_them_import_no_adapter() -> None:
    for name in ("tams.repository", "tams.repository.port", "tams.storage", "tams.storage.port"):
        assert [imported for imported in imports(name) if is_in(imported, {"tams.repository", "tams.storage"})] == []


class TestTheDocument:
    """`docs/architecture.md`."""

    @pytest.fixture
    def listed(self) -> list[str]:
        """The paths in its first block; an indented line is inside the folder above it."""
        block = re.search(r"```text\n(.*?)```", (ROOT / "docs" / "architecture.md").read_text(), re.DOTALL)
        assert block is not None
        paths: list[str] = []
        for line in re.findall(r"^ {0,2}\S+", block[1], re.MULTILINE):
            paths.append(_top(paths) + line.strip() if line.startswith(" ") else line)
        return paths

    def test_everything_in_the_list_exists(self, listed: list[str]) -> None:
        assert [path for path in listed if not list(ROOT.glob(path))] == []

    def test_every_folder_of_the_code_is_in_the_list(self, listed: list[str]) -> None:
        rooms = {f"tams/{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
        adapters = {
            f"tams/{port}/{path.parent.name}/"
            for port in ("repository", "storage")
            for path in (PACKAGE / port).glob("*/__init__.py")
        }
        assert {path for path in listed if re.fullmatch(r"tams/.*/", path)} == rooms | adapters

    def test_the_rooms_are_the_folders(self, listed: list[str]) -> None:
        rooms = {path.removeprefix("tams/").removesuffix("/") for path in listed if re.fullmatch(r"tams/\w+/", path)}
        assert {f"tams.{room}" for room in rooms} == set(ROOMS)
        assert len(rooms) == 7


def _top(paths: list[str]) -> str:
    """The last folder that stands at the beginning of a line."""
    return next(path for path in reversed(paths) if re.fullmatch(r"\w+/(\w+/)?", path))

"""The file of classes and the permissions of groups: TOML, one `[classes.NAME]` table for each class."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from tams.config.fields import ConfigurationError
from tams.domain.access import PERMISSIONS, ClassMap, Permission

_TABLE: Final = "classes"
_LONGEST_NAME: Final = 1024
_EXAMPLE: Final = 'read = ["newsroom"]'


def read_classes(path: Path) -> ClassMap:
    """Return the permissions that the file gives to groups, by class.

    Raises:
        ConfigurationError: the message names the file, the class, and what to write.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error}): name the file of the classes with TAMS_AUTH_CLASSES."
        ) from error
    except tomllib.TOMLDecodeError as error:
        # Its message says the line and column.
        raise ConfigurationError(
            f"{path} is not TOML: {error}. See docs/how-to/share-by-access-classes.md for an example."
        ) from error
    for name in document:
        if name != _TABLE:
            raise ConfigurationError(
                f"{path}: {name} is not known here: write [classes.NAME] above the keys of a class."
            )
    tables = document.get(_TABLE)
    if not isinstance(tables, dict) or not tables:
        raise ConfigurationError(
            f"{path}: there is no class: write [classes.NAME] with a name of your own, and below it {_EXAMPLE}."
        )
    return ClassMap({name: _class(path, name, table) for name, table in tables.items()})


def _class(path: Path, name: str, table: Any) -> Mapping[Permission, list[str]]:
    where = f"{path}, class {name!r}"
    if not name.strip() or not name.isprintable() or len(name.encode()) > _LONGEST_NAME:
        raise ConfigurationError(
            f"{where}: a name has 1 to {_LONGEST_NAME} bytes, all of them printable: write another."
        )
    if not isinstance(table, dict):
        raise ConfigurationError(f"{where}: this is not a table: write [classes.{name}], and below it {_EXAMPLE}.")
    groups_by_permission: dict[Permission, list[str]] = {}
    for word, groups in table.items():
        permission = next((permission for permission in PERMISSIONS if permission == word), None)
        if permission is None:
            near = get_close_matches(word, PERMISSIONS, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"there are {', '.join(PERMISSIONS)}."
            raise ConfigurationError(f"{where}: {word} is not a permission: {remedy}")
        if not isinstance(groups, list) or not all(isinstance(group, str) and group.strip() for group in groups):
            raise ConfigurationError(
                f"{where}: {word} is {groups!r}, which is not a list of groups: "
                f'write {word} = ["newsroom"], or [] for none.'
            )
        groups_by_permission[permission] = groups
    if not any(groups_by_permission.values()):
        raise ConfigurationError(f"{where}: no group may do anything with it: write {_EXAMPLE}, or remove the class.")
    return groups_by_permission

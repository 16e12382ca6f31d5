"""The file of classes, and what it grants."""

from __future__ import annotations

from pathlib import Path

import pytest

from tams.config import ConfigurationError, Settings
from tams.config.classes import read_classes
from tams.domain.access import EVERYTHING, Access, classes_of
from tams.domain.errors import Forbidden, Invalid

FILE = """
[classes.news]
read = ["newsroom", "archive"]
write = ["newsroom"]

[classes."drama/unaired"]
read = ["drama"]
delete = ["drama"]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "classes.toml"


def test_groups_have_what_the_file_gives_them(path: Path) -> None:
    path.write_text(FILE)
    classes = read_classes(path)
    assert classes.names == {"news", "drama/unaired"}
    news, drama = frozenset({"news"}), frozenset({"drama/unaired"})
    nothing: frozenset[str] = frozenset()
    assert classes.access(["archive"]) == Access(news, nothing, nothing)
    assert classes.access(["newsroom", "drama"]) == Access(news | drama, news, drama)
    assert classes.access([]) == classes.access(["unheard of"]) == Access(nothing, nothing, nothing)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "there is no class: write [classes.NAME]"),
        ("classes = 5", "there is no class: write [classes.NAME]"),
        ('[news]\nread = ["a"]', "news is not known here: write [classes.NAME]"),
        ("[classes]\nnews = 5", "class 'news': this is not a table: write [classes.news]"),
        ('[classes.news]\nraed = ["a"]', "raed is not a permission: did you mean read?"),
        ('[classes.news]\nx = ["a"]', "x is not a permission: there are read, write, delete."),
        ('[classes.news]\nread = "a"', "read is 'a', which is not a list of groups: write read = "),
        ("[classes.news]\nread = [5]", "read is [5], which is not a list of groups"),
        ('[classes.news]\nread = [" "]', "which is not a list of groups"),
        ("[classes.news]", "no group may do anything with it: write read = "),
        ("[classes.news]\nread = []", "no group may do anything with it"),
        ('[classes.""]\nread = ["a"]', "a name has 1 to 1024 bytes"),
        ('[classes."a\\nb"]\nread = ["a"]', "all of them printable"),
        ("[classes.news", "is not TOML: "),
    ],
)
def test_a_wrong_file_is_refused_with_what_to_write(path: Path, content: str, expected: str) -> None:
    path.write_text(content)
    with pytest.raises(ConfigurationError) as refusal:
        read_classes(path)
    assert str(refusal.value).startswith(str(path))
    assert expected in str(refusal.value)


def test_a_file_that_is_not_there_is_refused(path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be read .*: name the file of the classes with TAMS_AUTH_CL"):
        read_classes(path)


def test_classes_need_somebody_who_has_groups(path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"TAMS_AUTH_CLASSES is set, but without authentication.*basic, token"):
        Settings.from_env({"TAMS_AUTH": "none", "TAMS_AUTH_CLASSES": str(path)})
    assert Settings.from_env({"TAMS_AUTH": "basic", "TAMS_AUTH_CLASSES": str(path)}).auth_classes == path


def test_classes_are_one_text_or_a_list() -> None:
    assert classes_of({"auth_classes": "news"}) == ("news",)
    assert classes_of({"auth_classes": ["news", "drama"]}) == ("news", "drama")
    assert classes_of({"auth_classes": []}) == classes_of({"x": "y"}) == ()


def test_one_class_is_enough_and_none_is_nobodys() -> None:
    access = Access(frozenset({"a"}), frozenset({"b"}), frozenset())
    assert access.may("read", ["x", "a"])
    assert not access.may("read", ["b"])
    assert not access.may("read", [])
    assert access.knows(["b"])
    assert not access.knows([])
    assert EVERYTHING.may("delete", [])
    assert access.may_use("write", {})
    assert not access.may_use("write", {"auth_classes": "a"})


def test_only_classes_that_one_writes_come_and_go() -> None:
    access = Access(frozenset(), frozenset({"a", "b"}), frozenset())
    access.check_change(["a", "x"], ["b", "x"])
    access.check_change([], ["a"])
    for before, after in ((["a"], ["a", "x"]), (["a", "x"], ["a"]), ([], ["x"])):
        with pytest.raises(Forbidden):
            access.check_change(before, after)
    with pytest.raises(Invalid, match=r"tags.auth_classes: required: .*: a, b"):
        access.check_change(["a"], [])
    EVERYTHING.check_change(["x"], [])

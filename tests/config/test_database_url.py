"""Database URLs, compared with SQLAlchemy's reading of them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import URL, make_url

from tams.config.database_url import DatabaseUrl, parse_database_url

DRIVERS = ["sqlite", "postgresql", "postgresql+psycopg", "mysql", "sqlite3_x"]
# Every character that means something in a URL, quotes, white space, and some that have to be encoded.
PART = st.text(alphabet="aZ0:/?#[]@!$&'()*+,;=%- ._~\"\\\n\té€😀", max_size=8)
LINE = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30)


@given(
    st.builds(
        "".join,
        st.tuples(
            st.sampled_from([*DRIVERS, "", "no driver"]),
            st.sampled_from(["://", ":///", ":////", ":", "//"]),
            st.one_of(st.just(""), st.builds("{}@".format, PART), st.builds("{}:{}@".format, PART, PART)),
            st.one_of(PART, st.sampled_from(["localhost", "[::1]", "127.0.0.1"])),
            st.one_of(st.just(""), st.sampled_from([":", ":5432", ":x", ":5_4", ": 5"])),
            st.one_of(st.just(""), st.builds("/{}".format, PART)),
            st.one_of(st.just(""), st.builds("?{}".format, PART), st.sampled_from(["?a=1&b=&a=2", "?host=%2Ftmp"])),
        ),
    )
    | LINE
)
@example("sqlite:///relative/tams.db")
@example("sqlite:////absolute/50%25 a%3Fb#c/tams.db")
@example("sqlite://")
@example("postgresql://tams:p%40ss@[::1]:5432/tams?host=/tmp&connect_timeout=10&host=/run")
@example("postgresql+psycopg://tams@/tams")
def test_a_url_is_read_and_rendered_as_sqlalchemy_does(text: str) -> None:
    try:
        theirs = make_url(text)
    except Exception:  # noqa: BLE001 - it raises several types, TypeError for an empty port among them
        with pytest.raises(ValueError):  # noqa: PT011 - the error is for the reader of settings, who words it
            parse_database_url(text)
        return
    ours = parse_database_url(text)
    assert (ours.driver, ours.user, ours.password) == (theirs.drivername, theirs.username, theirs.password)
    assert (ours.host, ours.port, ours.database) == (theirs.host, theirs.port, theirs.database)
    assert ours.render() == theirs.render_as_string(hide_password=False)
    assert ours.render(hide_password=True) == theirs.render_as_string(hide_password=True)


@given(st.builds("/{}".format, PART))
def test_the_url_of_a_path_leads_to_that_path(path: str) -> None:
    text = DatabaseUrl(driver="sqlite", database=path).render()
    assert text == URL.create("sqlite", database=path).render_as_string(hide_password=False)
    assert make_url(text).database == parse_database_url(text).database == path


def test_the_password_is_not_in_the_representation() -> None:
    assert "secret" not in repr(parse_database_url("postgresql://tams:secret@db/tams"))


def test_reading_settings_imports_no_database_library() -> None:
    program = (
        "import sys; from tams.config import Settings; Settings.from_env({}, environment='development');"
        "print([name for name in ('sqlalchemy', 'psycopg', 'vastdb') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.strip() == "[]"

"""The commands and settings of `README.md` work as printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tams.config import documentation
from tests.support.documents import Reader, Shell, curls, examples
from tests.support.http_client import Client
from tests.support.servers import TamsStore

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def section(title: str) -> str:
    """Return the text under a heading, up to the next heading of the same level."""
    match = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert match, title
    return match[1]


@pytest.mark.parametrize("own_curl", curls(), ids=lambda own_curl: "stand-in" if own_curl else "curl")
def test_the_first_upload_works_in_five_steps(store: TamsStore, tmp_path: Path, own_curl: bool) -> None:
    text = section("First upload").replace("http://127.0.0.1:8000", store.url)
    assert re.findall(r"^\*\*(\d)\.", text, re.MULTILINE) == ["1", "2", "3", "4", "5"]
    directory = tmp_path / "work"
    directory.mkdir()
    with Shell(directory, own_curl=own_curl) as shell:
        reader = Reader(shell)
        for example in examples(text):
            reader.follow(example)
        client = Client(store.url)
        (flow,) = client.listed("/flows")
        assert flow["label"] == "My first Flow"
        assert len(client.segments(flow["id"])) == 1
        (deletion,) = re.findall(r"`(curl -X DELETE .*?)`", text)
        shell.run(deletion.replace("curl ", "curl -sf "))
    assert client.listed("/flows") == []


def test_the_two_commands_are_targets_of_make() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"(?:^|`)make ([a-z]+)", section("Two commands"), re.MULTILINE))
    assert targets == {"run", "test"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_settings_that_it_names_exist_with_the_defaults_that_it_shows() -> None:
    defaults = {document.variable: document.default for document in documentation()}
    rows = re.findall(r"^\| (`[^|]*`) \|([^|]*)\| [^|]+ \|$", section("Configure"), re.MULTILINE)
    assert len(rows) >= 5
    for names, default in rows:
        variables = re.findall(r"`(.*?)`", names)
        assert re.findall(r"`(.*?)`", default) == [defaults[name] for name in variables if defaults[name]]


def test_the_page_about_nginx_shows_the_file_as_it_is() -> None:
    file = ROOT / "deploy" / "nginx" / "tams.conf"
    (block,) = re.findall(
        r"```nginx\n(.*?)```", (ROOT / "docs" / "how-to" / "run-behind-nginx.md").read_text(), re.DOTALL
    )
    assert block == file.read_text()
    assert "](deploy/nginx/tams.conf)" in README

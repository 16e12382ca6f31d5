"""`docs/reference/configuration.md` documents the settings as the code declares them."""

import re
from pathlib import Path

from tams.config import documentation

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "configuration.md"
ROW = re.compile(r"\| `(?P<variable>[A-Z0-9_]+)` \| (?P<default>.*?) \| (?P<expects>.*?) \| (?P<explanation>.*) \|")


def test_the_page_documents_every_setting_as_the_code_does_and_in_its_order():
    rows = [match.groupdict() for line in PAGE.read_text().splitlines() if (match := ROW.fullmatch(line))]
    assert rows == [
        {
            "variable": document.variable,
            "default": f"`{document.default}`" if document.default else "",
            "expects": document.expects,
            "explanation": document.explanation,
        }
        for document in documentation()
    ]


def test_the_page_names_no_variable_that_is_not_a_setting():
    known = {document.variable for document in documentation()} | {"TAMS_HOST", "TAMS_PORT"}
    known |= {f"{document.variable}_FILE" for document in documentation() if document.secret}
    named = set(re.findall(r"TAMS_[A-Z0-9_]+[A-Z0-9]", PAGE.read_text()))
    assert named <= known | {"TAMS_CLIENT", "TAMS_TEST", "TAMS_STORAGE", "TAMS_S3"}

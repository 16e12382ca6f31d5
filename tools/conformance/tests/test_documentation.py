"""`docs/reference/conformance.md` lists every allowance that the command makes, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from tools.conformance import allowances

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "conformance.md"


def rows_under(heading: str) -> list[list[str]]:
    """Return the cells of the table in the section with this heading, without its first two lines."""
    section = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)
    (text,) = (part for part in section if part.startswith(f"{heading}\n"))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_the_page_lists_the_added_statuses() -> None:
    expected = [[str(added.status), added.name, added.reason] for added in allowances.ADDED_STATUSES]
    assert rows_under("Statuses beyond the document") == expected


def test_the_page_lists_the_statuses_that_cannot_be_seen() -> None:
    expected = [list(row) for row in allowances.UNSEEN_STATUSES.items()]
    assert rows_under("Documented statuses that the session cannot bring about") == expected


def test_the_page_lists_the_faults_of_the_document() -> None:
    expected = [[fault.name, fault.reason] for fault in allowances.DOCUMENT_FAULTS]
    assert rows_under("Where the document itself is at fault") == expected


def test_the_page_lists_the_examples_that_are_refused() -> None:
    expected = [[f"`{name}`", reason] for name, reason in allowances.EXAMPLES.items()]
    assert rows_under("Examples that a store cannot accept") == expected

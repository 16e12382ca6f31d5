"""The command that generates the page of figures from its data file: `python -m tools.bench.table`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from tools.bench import documented, report

ROOT: Final = Path(__file__).parents[2]
DATA: Final = ROOT / "docs" / "data" / "performance.json"
PAGE: Final = ROOT / "docs" / "reference" / "performance.md"


def main() -> int:
    """Write the table and the chart of `docs/data/performance.json` into the page; return the exit code."""
    documented.write_into(PAGE, report.read(DATA))
    print(f"Wrote {PAGE.relative_to(ROOT)} and its chart from {DATA.relative_to(ROOT)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The command: `python -m tools.conformance --spec PATH [--url URL] [--json FILE]`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

import httpx
import requests
from hypothesis.errors import HypothesisException
from schemathesis.errors import SchemathesisError

from tools.conformance.document import ApiDocument
from tools.conformance.driven import STEPS
from tools.conformance.generated import generated
from tools.conformance.replay import replay
from tools.conformance.report import as_json, check_coverage, lines
from tools.conformance.results import Results
from tools.conformance.server import own_server
from tools.conformance.session import Session

DRIVEN, EXAMPLES, GENERATED = "driven", "examples", "generated"

_BROKEN_ANSWER = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    httpx.HTTPError,
    requests.RequestException,
    HypothesisException,
    SchemathesisError,
)
"""What a step may raise where an answer is not at all what it reads, or does not come."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts and print the report; 1 where anything failed, 2 where nothing could be run."""
    parser = argparse.ArgumentParser(prog="python -m tools.conformance", description=__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="the OpenAPI document, with its schemas beside it")
    parser.add_argument(
        "--url", help="a server to drive, with a store that can be thrown away [default: one of its own]"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there too, as JSON")
    options = parser.parse_args(arguments)
    if not options.spec.is_file():
        print(f"There is no document at {options.spec}", file=sys.stderr)
        return 2
    document = ApiDocument(options.spec)
    results = Results()
    started = time.monotonic()
    with own_server() if options.url is None else nullcontext(options.url.rstrip("/")) as url:
        run(document, url, results)
    check_coverage(document, results, DRIVEN)
    seconds = time.monotonic() - started
    for line in lines(document, results, url, DRIVEN, seconds):
        print(line)
    if options.json is not None:
        report = as_json(document, results, url, DRIVEN, seconds)
        options.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    return 1 if results.failed else 0


def run(document: ApiDocument, url: str, results: Results) -> None:
    """The three parts, one after the other."""
    driven = Session(document, url, results, DRIVEN)
    _steps(driven, ((step.__name__, partial(step, driven)) for step in STEPS))
    examples = Session(document, url, results, EXAMPLES)
    _steps(examples, replay(examples))
    requested = Session(document, url, results, GENERATED)
    _steps(requested, generated(document, requested))


def _steps(session: Session, steps: Iterable[tuple[str, Callable[[], None]]]) -> None:
    """Take each step; one that an answer breaks is a failure, and the next one goes on."""
    print(f"{session.part} …", file=sys.stderr)
    with _breaking(session, session.part):
        for name, step in steps:
            with _breaking(session, name):
                step()
    session.close()


@contextmanager
def _breaking(session: Session, name: str) -> Iterator[None]:
    """Record it where an answer breaks what is done here."""
    try:
        yield
    except _BROKEN_ANSWER as error:
        fault = f"the step to reach its end, got {type(error).__name__}: {error}"
        session.results.record(session.part, name, "the step is whole", fault, session.last)


if __name__ == "__main__":
    sys.exit(main())

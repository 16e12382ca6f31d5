"""The command `python -m tools.conformance --spec PATH [--url URL] [--json FILE]`."""

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

_STEP_ERRORS = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    httpx.HTTPError,
    requests.RequestException,
    HypothesisException,
    SchemathesisError,
)
"""Exceptions that a step may raise if a response is missing or unlike anything that the step can read."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the three parts and print the report; return 1 if a check failed, 2 if the document does not exist."""
    parser = argparse.ArgumentParser(prog="python -m tools.conformance", description=__doc__)
    parser.add_argument(
        "--spec", type=Path, required=True, help="the OpenAPI document; the schemas it refers to are beside it"
    )
    parser.add_argument("--url", help="base URL of a server whose data may be lost [default: start a server]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the report to FILE as JSON")
    options = parser.parse_args(arguments)
    if not options.spec.is_file():
        print(f"{options.spec} is not a file; --spec takes the path of the OpenAPI document.", file=sys.stderr)
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
    """Run the three parts one after the other."""
    driven_session = Session(document, url, results, DRIVEN)
    _run_steps(driven_session, ((step.__name__, partial(step, driven_session)) for step in STEPS))
    examples_session = Session(document, url, results, EXAMPLES)
    _run_steps(examples_session, replay(examples_session))
    generated_session = Session(document, url, results, GENERATED)
    _run_steps(generated_session, generated(document, generated_session))


def _run_steps(session: Session, steps: Iterable[tuple[str, Callable[[], None]]]) -> None:
    """Run each step. A step that a response breaks is recorded as a failure, and the next one follows."""
    print(f"{session.part} …", file=sys.stderr)
    with _recording_errors(session, session.part):
        for name, step in steps:
            with _recording_errors(session, name):
                step()
    session.close()


@contextmanager
def _recording_errors(session: Session, name: str) -> Iterator[None]:
    """Record a failure if a response breaks the block."""
    try:
        yield
    except _STEP_ERRORS as error:
        fault = f"the step to reach its end, got {type(error).__name__}: {error}"
        session.results.record(session.part, name, "the step is whole", fault, session.last)


if __name__ == "__main__":
    sys.exit(main())

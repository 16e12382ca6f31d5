"""What `tams vast` does."""

from __future__ import annotations

import logging
import os
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
import orjson

from tams.adapters import vast_address
from tams.config import ConfigurationError
from tams.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from tams.config import Settings
    from tams.repository.vast.probe import Advice, Finding

_CODES = {"claims": 0, "stripes": 10, "single": 20, "none": 30}
_INTERRUPTED = 130


def probe(settings: Settings, idle_seconds: float, profile: Path | None) -> int:
    """Ask the cluster; the exit code. Raises ConfigurationError where that cannot be done."""
    from tams.repository.vast.probe import CHECKS, NotRemoved, advised, scratch

    if profile is not None and not os.access(profile.absolute().parent, os.W_OK):
        raise ConfigurationError(f"The profile cannot be written to {profile}: name a file in a directory that can.")
    address = vast_address(settings)
    findings: dict[str, Finding] = {}
    try:
        with interruptible(), scratch(address, idle_seconds) as place:
            click.echo(f"Probing {address.endpoint}, in schema {place.name} of bucket {address.bucket}", err=True)
            for number, check in enumerate(CHECKS, start=1):
                click.echo(f"{number:3}/{len(CHECKS)}  {check.question}", err=True)
                findings[check.name] = check.made(place)
    except NotRemoved as error:
        raise ConfigurationError(str(error)) from error
    except Unavailable as error:
        raise ConfigurationError(_cannot_probe(settings, error)) from error
    except KeyboardInterrupt:
        click.echo("Interrupted. The schema of the probe was removed.", err=True)
        return _INTERRUPTED
    advice = advised(findings)
    _show(findings)
    if profile is not None:
        profile.write_bytes(_profile(settings, findings, advice, idle_seconds))
        click.echo(f"The findings are in {profile}.", err=True)
    _conclude(settings, advice)
    return _CODES[advice.concurrency]


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM is as polite as Ctrl-C: what was made is removed first. What is refused on purpose is not logged."""
    for name in ("vastdb", "backoff"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _cannot_probe(settings: Settings, error: Unavailable) -> str:
    return (
        f"{settings.vast_endpoint} cannot be probed. {error} The user of TAMS_VAST_ACCESS_KEY has to be allowed to "
        f"make and drop schemas and tables in bucket {settings.vast_bucket}, which has to be enabled as a database. "
        "TAMS_VAST_ENDPOINT has to be an address that this machine reaches."
    )


def _show(findings: dict[str, Finding]) -> None:
    width = max(len(each.question) for each in findings.values())
    for each in findings.values():
        found = ", ".join(each.finding) if isinstance(each.finding, list) else str(each.finding)
        click.echo(f"{each.question:{width}}  {found:22}  {each.evidence}")


def _conclude(settings: Settings, advice: Advice) -> None:
    click.echo()
    for reason in advice.reasons:
        click.echo(reason)
    if advice.concurrency == "none":
        click.echo("No TAMS_VAST_CONCURRENCY suits this cluster: do not keep the metadata in it.")
    else:
        is_set = settings.vast_concurrency == advice.concurrency
        said = "as it is set" if is_set else f"not {settings.vast_concurrency}"
        click.echo(f"The results call for TAMS_VAST_CONCURRENCY={advice.concurrency} ({said}).")


def _profile(settings: Settings, findings: dict[str, Finding], advice: Advice, idle_seconds: float) -> bytes:
    profile: dict[str, Any] = {
        "endpoint": settings.vast_endpoint,
        "idle_seconds": idle_seconds,
        "concurrency": advice.concurrency,
        "reasons": advice.reasons,
        "findings": {name: each.as_dict() for name, each in findings.items()},
    }
    return orjson.dumps(profile, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

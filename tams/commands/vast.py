"""`tams vast`: finding out what a VAST cluster supports."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from tams.adapters import vast_address
from tams.commands import options
from tams.commands.interruption import interruptible
from tams.commands.startup import start
from tams.config import ConfigurationError
from tams.domain.errors import Unavailable

if TYPE_CHECKING:
    from tams.config import Settings
    from tams.repository.vast.probe import Advice, Finding

_CODES = {"claims": 0, "stripes": 10, "single": 20, "none": 30}
_INTERRUPTED = 130


@click.group()
def vast() -> None:
    """Manage VAST Database."""


@vast.command("probe", short_help="Find out what a cluster supports.")
@options.data_dir
@click.option(
    "--idle-seconds",
    type=click.FloatRange(0.1),
    default=3.0,
    show_default=True,
    help="How long to leave a transaction idle, to see whether the cluster ends it.",
)
@click.option(
    "--json", "profile", type=click.Path(dir_okay=False, path_type=Path), help="Write the findings to this file."
)
def probe_command(data_dir: Path | None, idle_seconds: float, profile: Path | None) -> None:
    """Find out what a cluster supports, and which TAMS_VAST_CONCURRENCY suits it.

    Works in a schema with a random name, which it removes at the end, and touches nothing else. Needs the TAMS_VAST_…
    variables. The last line names the setting, and so does the exit code: 0 claims, 10 stripes, 20 single, 30 if none
    of them suits, 2 if the cluster could not be probed.
    """
    sys.exit(probe(start(data_dir=data_dir, repository="vast"), idle_seconds, profile))


def probe(settings: Settings, idle_seconds: float, profile: Path | None) -> int:
    """Probe the cluster and print the findings; return the exit code.

    Raises:
        ConfigurationError: the cluster cannot be probed, or the profile cannot be written.
    """
    from tams.repository.vast.probe import CHECKS, NotRemoved, advise, scratch

    if profile is not None and not os.access(profile.absolute().parent, os.W_OK):
        raise ConfigurationError(f"The profile cannot be written to {profile}: name a file in a writable directory.")
    address = vast_address(settings)
    findings: dict[str, Finding] = {}
    try:
        with interruptible(), scratch(address, idle_seconds) as place:
            click.echo(f"Probing {address.endpoint}, in schema {place.name} of bucket {address.bucket}", err=True)
            for number, check in enumerate(CHECKS, start=1):
                click.echo(f"{number:3}/{len(CHECKS)}  {check.question}", err=True)
                findings[check.name] = check.run(place)
    except NotRemoved as error:
        raise ConfigurationError(str(error)) from error
    except Unavailable as error:
        raise ConfigurationError(_cannot_probe(settings, error)) from error
    except KeyboardInterrupt:
        click.echo("Interrupted. The schema of the probe was removed.", err=True)
        return _INTERRUPTED
    advice = advise(findings)
    _show(findings)
    if profile is not None:
        profile.write_bytes(_profile(settings, findings, advice, idle_seconds))
        click.echo(f"The findings are in {profile}.", err=True)
    _conclude(settings, advice)
    return _CODES[advice.concurrency]


def _cannot_probe(settings: Settings, error: Unavailable) -> str:
    return (
        f"{settings.vast_endpoint} cannot be probed. {error} The user of TAMS_VAST_ACCESS_KEY has to be allowed to "
        f"make and drop schemas and tables in bucket {settings.vast_bucket}, which has to be enabled as a database. "
        "TAMS_VAST_ENDPOINT has to be an address that this machine reaches."
    )


def _show(findings: dict[str, Finding]) -> None:
    width = max(len(finding.question) for finding in findings.values())
    for finding in findings.values():
        answer = ", ".join(finding.finding) if isinstance(finding.finding, list) else str(finding.finding)
        click.echo(f"{finding.question:{width}}  {answer:22}  {finding.evidence}")


def _conclude(settings: Settings, advice: Advice) -> None:
    click.echo()
    for reason in advice.reasons:
        click.echo(reason)
    if advice.concurrency == "none":
        click.echo("No TAMS_VAST_CONCURRENCY suits this cluster: do not keep the metadata in it.")
    else:
        is_set = settings.vast_concurrency == advice.concurrency
        comparison = "as it is set" if is_set else f"not {settings.vast_concurrency}"
        click.echo(f"The results call for TAMS_VAST_CONCURRENCY={advice.concurrency} ({comparison}).")


def _profile(settings: Settings, findings: dict[str, Finding], advice: Advice, idle_seconds: float) -> bytes:
    profile: dict[str, Any] = {
        "endpoint": settings.vast_endpoint,
        "idle_seconds": idle_seconds,
        "concurrency": advice.concurrency,
        "reasons": advice.reasons,
        "findings": {name: finding.as_dict() for name, finding in findings.items()},
    }
    return orjson.dumps(profile, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

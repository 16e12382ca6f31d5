"""The configuration of a Storage Backend, of either kind (docs/reference/backends-file.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tams.storage.port import Backend

AWS_PROVIDER: Final = "AWS"

_DEFAULT_SIGNING_REGION: Final = "us-east-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalConfiguration:
    """A Storage Backend in a directory of this machine."""

    backend: Backend
    directory: Path
    public_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Configuration:
    """A Storage Backend in an S3 bucket. `endpoint` None is AWS.

    Without `access_key_id`, credentials are searched for as AWS tools do, by `profile` if there is one. Timeouts are in
    seconds, fractions allowed. `attempts` includes the first one; `connections` is the number kept open to the server.
    """

    backend: Backend
    bucket: str
    endpoint: str | None = None
    signing_region: str = _DEFAULT_SIGNING_REGION
    addressing: str | None = None
    prefix: str = ""
    public_url: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    profile: str | None = None
    verify_tls: bool = True
    ca_file: Path | None = None
    connect_timeout: float = 5
    read_timeout: float = 30
    attempts: int = 3
    connections: int = 16

    @property
    def server(self) -> tuple[object, ...]:
        """Return what two backends have in common if one request can copy between them: server and credentials."""
        return (self.endpoint, self.signing_region, self.access_key_id, self.profile)


BackendConfiguration = LocalConfiguration | S3Configuration


def default_signing_region(endpoint: str | None, region: str | None) -> str | None:
    """Return the region that requests are signed for by default; None if it has to be configured."""
    if region is not None:
        return region
    return None if endpoint is None else _DEFAULT_SIGNING_REGION

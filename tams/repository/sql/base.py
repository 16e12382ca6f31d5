"""Base classes of the parts that make up the port's `Read` and `Write`."""

from __future__ import annotations

from tams.repository.port import Read, Write
from tams.repository.sql.engine import Session


class ReadPart(Read):
    """A part of the port's `Read`, for one kind of resource."""

    _session: Session


class WritePart(ReadPart, Write):
    """A part of the port's `Write`, for one kind of resource."""

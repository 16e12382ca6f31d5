"""Conditions under which a client wants a Flow or Source to be changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tams.domain.flows import Flow, Source

Stored = TypeVar("Stored", Flow, Source)

Condition = Callable[[Stored | None], None]
"""Raises `PreconditionFailed` unless the stored resource (None if it does not exist) is as the client expects it.

A service calls it in the transaction of the change, after its claim, so that nothing changes in between.
"""

"""Profiles as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tams.domain.clock import format_time


def profile_json(profile: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored Profile, whose `created` is in microseconds, as `profile.json` describes it."""
    return {**profile, "created": format_time(profile["created"])}

"""Profiles of property tests: HYPOTHESIS_PROFILE=quick (`make check`) tries fewer examples. A pytest plugin."""

from __future__ import annotations

import os

from hypothesis import settings

_QUICK = os.environ.get("HYPOTHESIS_PROFILE") == "quick"

settings.register_profile("quick", max_examples=15, deadline=None)
settings.register_profile("full", deadline=None)
settings.load_profile("quick" if _QUICK else "full")


def examples(count: int) -> int:
    """Return `count`, or a quarter of it with the quick profile (at least 3), for a test that sets its own number."""
    return max(3, count // 4) if _QUICK else count

"""Credentials that are not accepted."""

from __future__ import annotations


class Refused(Exception):
    """These credentials prove nothing. `str(error)` says why, and holds no part of them."""

"""A Time-addressable Media Store: timed media segments, kept and addressed by time."""

__version__ = "0.1.0"

"""A Time-addressable Media Store: media stored in segments, and addressed by time."""

__version__ = "0.1.0"

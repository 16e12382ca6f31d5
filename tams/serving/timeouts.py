"""The time limits of the server's processes and connections, in seconds."""

from typing import Final

IDLE_TIMEOUT: Final = 30
"""Seconds without traffic after which a connection is closed: between requests, and within one."""

STOP_TIMEOUT: Final = 20
"""Seconds that requests and the background worker have to finish once the server is asked to stop."""

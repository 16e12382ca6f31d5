"""Closing connections whose clients may still be sending, so that each of them can read its answer."""

from __future__ import annotations

import contextlib
import logging
import queue
import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

logger = logging.getLogger(__name__)

MAX_BYTES: Final = 64 * 1024 * 1024
"""Bytes that are discarded of one connection. A client that sends more may lose its answer."""

MAX_SECONDS: Final = 30.0
"""Seconds after which a connection is closed, whatever its client still sends."""

IDLE_SECONDS: Final = 5.0
"""Seconds without a byte after which a connection is closed."""

_PIECE: Final = 256 * 1024


@dataclass(slots=True)
class _Connection:
    end: float
    idle_end: float
    bytes_left: int = MAX_BYTES


class Lingerer:
    """Close connections in the background: end the answer, then discard what arrives until the client closes too.

    If a socket is closed while bytes are unread, the kernel resets the connection, and the client may lose an answer
    that it has received but not read. One thread serves all connections (RFC 9112, section 9.6), so that neither the
    threads that answer requests nor the one that accepts connections wait for a client. `on_closed` is called, in that
    thread, for each connection that is closed.
    """

    def __init__(self, on_closed: Callable[[], None]) -> None:
        self._on_closed = on_closed
        self._incoming: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._woken.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._buffer = bytearray(_PIECE)
        threading.Thread(target=self._run, name="lingering-close", daemon=True).start()

    def close(self, connection: socket.socket) -> None:
        """Close the connection once its client has, or a limit is reached. Returns at once."""
        self._incoming.put(connection)
        # A full pipe wakes the thread as well.
        with contextlib.suppress(BlockingIOError):
            self._wake.send(b"\0")

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select(self._timeout()):
                try:
                    if key.data is None:
                        self._admit()
                    else:
                        self._discard(key.fileobj, key.data)  # type: ignore[arg-type]
                except Exception:
                    # The thread has to outlive any fault of one connection.
                    logger.exception("a connection could not be closed gently")
            self._close_expired()

    def _timeout(self) -> float | None:
        return 1.0 if len(self._selector.get_map()) > 1 else None

    def _admit(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(4096)
        while True:
            try:
                connection = self._incoming.get_nowait()
            except queue.Empty:
                return
            try:
                connection.setblocking(False)
                connection.shutdown(socket.SHUT_WR)
                now = time.monotonic()
                self._selector.register(
                    connection, selectors.EVENT_READ, _Connection(now + MAX_SECONDS, now + IDLE_SECONDS)
                )
            except (OSError, ValueError):
                # The client is gone.
                self._end(connection)

    def _discard(self, connection: socket.socket, state: _Connection) -> None:
        try:
            count = connection.recv_into(self._buffer, min(_PIECE, state.bytes_left))
        except BlockingIOError:
            return
        except OSError:
            count = 0
        state.bytes_left -= count
        state.idle_end = time.monotonic() + IDLE_SECONDS
        if not count or not state.bytes_left:
            self._selector.unregister(connection)
            self._end(connection)

    def _close_expired(self) -> None:
        now = time.monotonic()
        for key in list(self._selector.get_map().values()):
            if key.data is not None and min(key.data.end, key.data.idle_end) < now:
                self._selector.unregister(key.fileobj)
                self._end(key.fileobj)  # type: ignore[arg-type]

    def _end(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.close()
        self._on_closed()

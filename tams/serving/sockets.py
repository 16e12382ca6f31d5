"""The listening socket of the server."""

from __future__ import annotations

import errno
import socket
import struct

from tams.config import ConfigurationError
from tams.serving.timeouts import IDLE_TIMEOUT


def listen(host: str, port: int) -> socket.socket:
    """Return a listening TCP socket; port 0 chooses a free one.

    Raises:
        ConfigurationError: the address or the port cannot be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(2048)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        remedy = (
            "another program listens there: stop it, or name another port with --port (with make: PORT=)"
            if error.errno == errno.EADDRINUSE
            else "name an address of this machine with --host and a port that this user may use with --port"
        )
        raise ConfigurationError(f"Cannot listen on {host} port {port} ({error.strerror}): {remedy}.") from error
    return listener


def base_url(listener: socket.socket) -> str:
    """Return the URL under which this machine itself reaches the socket."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - shown, not listened on
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def close_idle_connections(listener: socket.socket) -> None:
    """Limit each wait for a client in the kernel: connections inherit the timeouts of their listening socket.

    gunicorn watches connections only between requests. A read or a write that waits longer raises BlockingIOError.
    """
    timeout = struct.pack("@ll", IDLE_TIMEOUT, 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)

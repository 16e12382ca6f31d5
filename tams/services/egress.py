"""Requests to URLs that clients chose.

A name is resolved once, each address is judged (see `tams.domain.destinations`), and the connection is made to an
address that was judged, under the name: what a name server answers a moment later changes nothing. Redirects are
answers like any other, proxies are not used, and a peer that trickles cannot hold a request beyond its time.
"""

from __future__ import annotations

import http.client
import ipaddress
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from io import BufferedReader, RawIOBase
from typing import TYPE_CHECKING, Final, TypeAlias

from tams.domain.destinations import Allowed, Destination, parse_destination

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Resolve: TypeAlias = Callable[[str, int, float], Sequence[str]]
"""The addresses of a name, asked for a port, within seconds. `OSError`; `TimeoutError` where there is no answer."""

# Names that are being looked up at once: a lookup cannot be ended, and each holds a thread.
_LOOKUPS: Final = threading.BoundedSemaphore(32)
_LOOKUP_AT_REGISTRATION: Final = 2.0


class Refused(OSError):
    """The store does not send requests there. `str(error)` says why, and is shown to clients."""


class Outbound:
    """The way out. `allowed` is what an operator permits beyond the internet."""

    def __init__(self, allowed: Allowed, resolve: Resolve | None = None) -> None:
        self._allowed = allowed
        self._resolve = resolve or resolve_name

    def check(self, url: object) -> None:
        """`ValueError` where the URL is none, `Refused` where it leads inside.

        A name that does not resolve within two seconds passes: where a connection leads to is judged each time.
        """
        destination = parse_destination(url)
        if destination.address is not None:
            self._judged(destination, [destination.host])
            return
        try:
            addresses = self._resolve(destination.host, destination.port, _LOOKUP_AT_REGISTRATION)
        except OSError:
            return
        if len(self._judged(destination, addresses)) != len(addresses):
            raise Refused(_inside(destination))

    def channel(self, url: str) -> Channel:
        """A way to the URL; nothing is connected yet. `ValueError` where it is none."""
        return Channel(parse_destination(url), self._addresses)

    def _addresses(self, destination: Destination, seconds: float) -> list[str]:
        if destination.address is not None:
            return self._judged(destination, [destination.host])
        return self._judged(destination, self._resolve(destination.host, destination.port, seconds))

    def _judged(self, destination: Destination, addresses: Sequence[str]) -> list[str]:
        """Those that may be connected to. `Refused` where there are none."""
        permitted = [
            address for address in addresses if self._allowed.permits(destination.host, ipaddress.ip_address(address))
        ]
        if not permitted:
            raise Refused(_inside(destination))
        return permitted


class Channel(http.client.HTTPConnection):
    """A connection to one URL, made when it is needed, and used again for as long as the peer keeps it open.

    Everything that fails is an `OSError` or an `http.client.HTTPException`; `TimeoutError` is out of time.
    """

    def __init__(self, destination: Destination, addresses: Callable[[Destination, float], list[str]]) -> None:
        super().__init__(destination.host, destination.port)
        self._destination = destination
        self._addresses = addresses
        self._until = 0.0
        self._silence = 0.0
        # The base class writes the port unless it is this one.
        self.default_port = 443 if destination.scheme == "https" else 80

    def send_request(
        self, method: str, headers: Mapping[str, str], body: bytes | None, seconds: float, silence: float = math.inf
    ) -> http.client.HTTPResponse:
        """Send a request; its answer is to be read, or this closed, before the next one.

        All of it, the reading included, has to be done within `seconds`, and nothing may be waited for longer than
        `silence`. A connection that the peer closed between two
        requests is made anew.
        """
        self._until = time.monotonic() + seconds
        self._silence = silence
        used_before = self.sock is not None
        try:
            return self._exchange(method, headers, body)
        except ConnectionError:
            self.close()
            if not used_before:
                raise
        except BaseException:
            self.close()
            raise
        try:
            return self._exchange(method, headers, body)
        except BaseException:
            self.close()
            raise

    def connect(self) -> None:
        """Connect to the first of the judged addresses that answers, and speak TLS where the URL says so."""
        plain = self._connected()
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.settimeout(self._left())
            if self._destination.scheme == "https":
                plain = _tls().wrap_socket(plain, server_hostname=self._destination.host.rstrip("."))
        except BaseException:
            plain.close()
            raise
        self.sock = _Wire(plain, self._left)

    def _exchange(self, method: str, headers: Mapping[str, str], body: bytes | None) -> http.client.HTTPResponse:
        self.request(method, self._destination.target, body, dict(headers))
        return self.getresponse()

    def _connected(self) -> socket.socket:
        addresses = self._addresses(self._destination, self._left())
        failure: OSError = ConnectionError("the host has no address")
        for tried, address in enumerate(addresses):
            # One that does not answer leaves time for the others.
            seconds = self._left() / (len(addresses) - tried)
            try:
                # A numeric address: nothing is looked up again.
                return socket.create_connection((address, self._destination.port), timeout=seconds)
            except OSError as error:
                failure = error
        raise failure

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("out of time")
        return min(left, self._silence)


class _Wire:
    """What `http.client` needs of a socket, with one end of time over everything that passes."""

    def __init__(self, connected: socket.socket, left: Callable[[], float]) -> None:
        self._connected = connected
        self._left = left

    def sendall(self, data: bytes) -> None:
        """Send all of it."""
        view = memoryview(data)
        while view:
            self._connected.settimeout(self._left())
            view = view[self._connected.send(view) :]

    def makefile(self, _mode: str) -> BufferedReader:
        """The reading end, which keeps the connection open for itself until it is closed."""
        return BufferedReader(_Incoming(self._connected, self._left))

    def close(self) -> None:
        """Close the connection."""
        self._connected.close()


class _Incoming(RawIOBase):
    """The reading end of a `_Wire`."""

    def __init__(self, connected: socket.socket, left: Callable[[], float]) -> None:
        super().__init__()
        self._connected = connected
        self._raw = connected.makefile("rb", buffering=0)
        self._left = left

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        """Read what has come."""
        self._connected.settimeout(self._left())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Let the connection go."""
        self._raw.close()
        super().close()


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def resolve_name(
    host: str, port: int, seconds: float, look_up: Callable[[str, int], list[str]] = _look_up
) -> list[str]:
    """The addresses of a name as `look_up`, which may take longer, has them: the resolver of this machine."""
    answers: list[list[str] | OSError] = []
    done = threading.Event()

    def ask() -> None:
        try:
            answers.append(look_up(host, port))
        except (OSError, UnicodeError) as error:
            answers.append(error if isinstance(error, OSError) else OSError(str(error)))
        finally:
            _LOOKUPS.release()
            done.set()

    until = time.monotonic() + seconds
    if not _LOOKUPS.acquire(timeout=seconds):
        raise TimeoutError("too many names are being looked up")
    threading.Thread(target=ask, name="look-up", daemon=True).start()
    if not done.wait(max(0.0, until - time.monotonic())):
        raise TimeoutError("the name was not resolved in time")
    if isinstance(answers[0], OSError):
        raise answers[0]
    return answers[0]


def _inside(destination: Destination) -> str:
    return f"{destination.host} is no address on the internet, and the operator has not allowed it"


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()

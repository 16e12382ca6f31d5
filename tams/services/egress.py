"""HTTP requests to URLs that clients chose, guarded against server-side request forgery.

A name is resolved once, each address is checked (see `tams.domain.destinations`), and the connection is made to a
checked address under the name, so that a later answer of a name server changes nothing. Redirects are not followed,
proxies are not used, and a peer that sends slowly cannot hold a request beyond its time.
"""

from __future__ import annotations

import http
import http.client
import ipaddress
import math
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from io import BufferedReader, RawIOBase
from typing import TYPE_CHECKING, Final, TypeAlias

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt
from typing_extensions import override

from tams.domain.destinations import Allowed, Destination, parse_destination
from tams.services.name_lookups import NameLookups

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Resolve: TypeAlias = Callable[[str, int, float, str], Sequence[str]]
"""Resolve a name for a port within some seconds, on behalf of an owner.

Raises OSError; TimeoutError if there is no answer in time.
"""

# One for the process: it bounds the threads that look names up.
_LOOKUPS: Final = NameLookups()
_CHECK_SECONDS: Final = 2.0
# Interim responses before the final one that are passed over: each may hold a hundred headers.
_MOST_INTERIM_RESPONSES: Final = 16


class DestinationRefused(OSError):
    """The store sends no requests to this destination. `str(error)` says why, and is shown to clients."""


class Egress:
    """Makes connections to the internet, and to what an operator allows beyond it (`allowed`).

    Each method takes the principal on whose behalf the store acts (`owner`): names that resolve slowly delay their
    owner, and no other.
    """

    def __init__(self, allowed: Allowed, resolve: Resolve | None = None) -> None:
        self._allowed = allowed
        self._resolve = resolve or _LOOKUPS.resolve

    def check(self, url: object, owner: str) -> None:
        """Check a URL when it is registered.

        A name that does not resolve within two seconds passes, because addresses are checked again for each connection.

        Raises:
            ValueError: This is not a URL that requests can be sent to.
            DestinationRefused: One of its addresses is neither on the internet nor allowed.
        """
        destination = parse_destination(url)
        if destination.address is not None:
            self._permitted(destination, [destination.host])
            return
        try:
            addresses = self._resolve(destination.host, destination.port, _CHECK_SECONDS, owner)
        except OSError:
            return
        if len(self._permitted(destination, addresses)) != len(addresses):
            raise DestinationRefused(_refusal(destination))

    def connection(self, url: str, owner: str) -> Connection:
        """Return a connection to the URL, which is opened by its first request.

        Raises:
            ValueError: This is not a URL that requests can be sent to.
        """

        def addresses(destination: Destination, seconds: float) -> list[str]:
            if destination.address is not None:
                return self._permitted(destination, [destination.host])
            return self._permitted(destination, self._resolve(destination.host, destination.port, seconds, owner))

        return Connection(parse_destination(url), addresses)

    def _permitted(self, destination: Destination, addresses: Sequence[str]) -> list[str]:
        """Return the addresses that may be connected to. Raises DestinationRefused if there are none."""
        permitted = [
            address for address in addresses if self._allowed.permits(destination.host, ipaddress.ip_address(address))
        ]
        if not permitted:
            raise DestinationRefused(_refusal(destination))
        return permitted


class FinalResponse(http.client.HTTPResponse):
    """The response to a request, without the interim responses before it (RFC 9110, section 15.2).

    The base class passes over 100 alone, and takes 102 and 103 for the final response.
    """

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(_MOST_INTERIM_RESPONSES):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            # 101 is final: it answers a request to change the protocol, which the store does not send.
            if not 100 <= status < 200 or status == http.HTTPStatus.SWITCHING_PROTOCOLS:
                return version, status, reason
            http.client.parse_headers(self.fp)
        raise http.client.HTTPException("too many interim responses")


class Connection(http.client.HTTPConnection):
    """A connection to one URL, opened when it is needed and reused for as long as the peer keeps it open.

    Every failure is an `OSError` or an `http.client.HTTPException`; `TimeoutError` means out of time.
    """

    response_class = FinalResponse

    def __init__(self, destination: Destination, addresses: Callable[[Destination, float], list[str]]) -> None:
        super().__init__(destination.host, destination.port)
        self._destination = destination
        self._addresses = addresses
        self._deadline = 0.0
        self._longest_wait = 0.0
        # The base class adds the port to the Host header unless it is the default port.
        self.default_port = 443 if destination.scheme == "https" else 80

    def send_request(
        self,
        method: str,
        headers: Mapping[str, str],
        body: bytes | None,
        seconds: float,
        longest_wait: float = math.inf,
    ) -> http.client.HTTPResponse:
        """Send a request and return the response. Read it, or close the connection, before the next request.

        The whole exchange, reading included, has to end within `seconds`, and no single wait may take longer than
        `longest_wait` seconds. A connection that the peer closed between two requests is opened anew.
        """
        self._deadline = time.monotonic() + seconds
        self._longest_wait = longest_wait
        # Only a connection that was open before can have been closed by the peer between two requests.
        attempts = 1 if self.sock is None else 2
        retrying = Retrying(
            retry=retry_if_exception_type(ConnectionError), stop=stop_after_attempt(attempts), reraise=True
        )
        return retrying(self._exchange, method, headers, body)

    def connect(self) -> None:
        """Connect to the first permitted address that answers, and start TLS for an https URL."""
        connected = self._open_socket()
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.settimeout(self._seconds_left())
            if self._destination.scheme == "https":
                connected = _tls().wrap_socket(connected, server_hostname=self._destination.host.rstrip("."))
        except BaseException:
            connected.close()
            raise
        self.sock = _DeadlineSocket(connected, self._seconds_left)

    def _exchange(self, method: str, headers: Mapping[str, str], body: bytes | None) -> http.client.HTTPResponse:
        try:
            self.request(method, self._destination.target, body, dict(headers))
            return self.getresponse()
        except BaseException:
            self.close()
            raise

    def _open_socket(self) -> socket.socket:
        addresses = self._addresses(self._destination, self._seconds_left())
        failure: OSError = ConnectionError("the host has no address")
        for index, address in enumerate(addresses):
            # An address that does not answer has to leave time for the others.
            seconds = self._seconds_left() / (len(addresses) - index)
            try:
                # The address is numeric, so that no name is looked up again.
                return socket.create_connection((address, self._destination.port), timeout=seconds)
            except OSError as error:
                failure = error
        raise failure

    def _seconds_left(self) -> float:
        seconds = self._deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("out of time")
        return min(seconds, self._longest_wait)


class _DeadlineSocket:
    """The part of a socket that `http.client` uses, with one deadline for everything that is sent and received."""

    def __init__(self, connected: socket.socket, seconds_left: Callable[[], float]) -> None:
        self._connected = connected
        self._seconds_left = seconds_left

    def sendall(self, data: bytes) -> None:
        """Send all of the data."""
        view = memoryview(data)
        while view:
            self._connected.settimeout(self._seconds_left())
            view = view[self._connected.send(view) :]

    def makefile(self, _mode: str) -> BufferedReader:
        """Return a reader, which keeps the connection open until the reader itself is closed."""
        return BufferedReader(_DeadlineReader(self._connected, self._seconds_left))

    def close(self) -> None:
        """Close the connection."""
        self._connected.close()


class _DeadlineReader(RawIOBase):
    """The reading side of a `_DeadlineSocket`."""

    def __init__(self, connected: socket.socket, seconds_left: Callable[[], float]) -> None:
        super().__init__()
        self._connected = connected
        self._raw = connected.makefile("rb", buffering=0)
        self._seconds_left = seconds_left

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: WriteableBuffer) -> int | None:
        self._connected.settimeout(self._seconds_left())
        return self._raw.readinto(buffer)

    @override
    def close(self) -> None:
        self._raw.close()
        super().close()


def _refusal(destination: Destination) -> str:
    return f"{destination.host} is not an address on the internet, and the operator has not allowed it"


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()

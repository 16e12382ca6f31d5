"""Destinations of requests to URLs that clients choose: hosts on the internet only, besides what an operator allows.

Without this rule a client could have the store send requests to places that only the store can reach: the machine
itself, its network, the metadata service of a cloud (server-side request forgery).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

from tams.domain.get_urls import check_url

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*"
    r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?",
    re.ASCII,
)
# Resolvers read such a name as an address: in decimal, octal, hexadecimal, or with parts left out.
_NUMBER_AT_THE_END: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?", re.ASCII | re.DOTALL)

# Networks that Python's `is_global` accepts, or accepted in an older release.
_INSIDE_V4: Final = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "224.0.0.0/3",
        "168.63.129.16/32",  # serves secrets to virtual machines of one cloud
    )
)
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_INSIDE_V6: Final = tuple(IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "3fff::/20"))
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_TRANSLATED: Final = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")
# The interface identifier of an address that tunnels IPv4 (ISATAP), with and without its "universal" bit.
_TUNNEL: Final = (0x0000_5EFE, 0x0200_5EFE)
_32_BITS: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Destination:
    """A parsed URL: `host` is a name in lower case or an address, `target` is path and query."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    target: str

    @property
    def address(self) -> Address | None:
        """The host if it is an address, else None."""
        return _address(self.host)


@dataclass(frozen=True, slots=True)
class Allowed:
    """Destinations that an operator allows beyond the internet: host names, whatever their address, and networks."""

    names: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def permits(self, host: str, address: Address) -> bool:
        """Return True if the store may connect to the address in order to reach the host."""
        if host.rstrip(".") in self.names or is_global(address):
            return True
        forms = {address, _ipv4_of_mapped(address)}
        return any(form in network for form in forms for network in self.networks if form.version == network.version)


def parse_destination(value: object) -> Destination:
    """Return the destination of an http or https URL.

    Two programs must never read a URL differently, so only plain ones are accepted: no credentials, no percent-encoding
    or zone in the host, addresses in their usual form, names in ASCII.

    Raises:
        ValueError: This is not such a URL.
    """
    url = check_url(value)
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ValueError("must not contain credentials")
    if not url.isascii():
        raise ValueError("expected ASCII: other characters percent-encoded, and a name as xn--…")
    try:
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise ValueError("expected a port from 1 to 65535") from error
    if port == 0:
        raise ValueError("expected a port from 1 to 65535")
    if host is None or not _is_host(host, in_brackets="[" in parts.netloc):
        raise ValueError("expected the name of a host, or an address in its usual form")
    scheme: Literal["http", "https"] = "https" if parts.scheme.lower() == "https" else "http"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Destination(scheme, host, port or (443 if scheme == "https" else 80), target)


def parse_allowed(items: tuple[str, ...]) -> Allowed:
    """Return the hosts and networks that the items name. Raises ValueError for an item that is neither."""
    names: set[str] = set()
    networks: list[Network] = []
    for item in items:
        try:
            networks.append(ipaddress.ip_network(item))
        except ValueError:
            name = item.lower().rstrip(".")
            if not _NAME.fullmatch(name) or _NUMBER_AT_THE_END.fullmatch(name):
                raise
            names.add(name)
    return Allowed(frozenset(names), tuple(networks))


def is_global(address: Address) -> bool:
    """Return True if the address is that of one host on the internet, and so is any IPv4 address embedded in it."""
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in network for network in _INSIDE_V4)
    if address.scope_id is not None:
        return False
    number = int(address)
    if address in _MAPPED or address in _TRANSLATED:
        return is_global(IPv4Address(number & _32_BITS))
    if address not in _GLOBAL_UNICAST or any(address in network for network in _INSIDE_V6):
        return False
    if address in _SIX_TO_FOUR:
        return is_global(IPv4Address((number >> 80) & _32_BITS))
    if (number >> 32) & _32_BITS in _TUNNEL:
        return is_global(IPv4Address(number & _32_BITS))
    return address.is_global


def _is_host(host: str, *, in_brackets: bool) -> bool:
    if in_brackets:
        return "%" not in host and isinstance(_address(host), IPv6Address)
    if _NUMBER_AT_THE_END.fullmatch(host):
        return isinstance(_address(host), IPv4Address)
    return _NAME.fullmatch(host) is not None


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _ipv4_of_mapped(address: Address) -> Address:
    if isinstance(address, IPv6Address) and address in _MAPPED:
        return IPv4Address(int(address) & _32_BITS)
    return address

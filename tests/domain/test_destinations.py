"""Permitted destinations of requests to URLs that clients chose."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tams.domain.destinations import Allowed, Destination, is_global, parse_allowed, parse_destination


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("http://example.com", Destination("http", "example.com", 80, "/")),
            ("HTTPS://Example.COM:8443/a?b=c#d", Destination("https", "example.com", 8443, "/a?b=c")),
            ("https://example.com.", Destination("https", "example.com.", 443, "/")),
            ("http://a_b-c.example?x", Destination("http", "a_b-c.example", 80, "/?x")),
            ("http://8.8.8.8:1/", Destination("http", "8.8.8.8", 1, "/")),
            ("http://[2606:4700::1111]:65535/", Destination("http", "2606:4700::1111", 65535, "/")),
        ],
    )
    def test_are_taken_apart(self, url: str, expected: Destination) -> None:
        assert parse_destination(url) == expected

    @pytest.mark.parametrize(
        "url",
        [
            5,
            "",
            "example.com",
            "//example.com/",
            "ftp://example.com/",
            "file:///etc/passwd",
            "gopher://example.com/",
            "http:///path",
            "http://",
            "http://example.com:0/",
            "http://example.com:65536/",
            "http://user@example.com/",
            "http://user:password@example.com/",
            "http://8.8.8.8@127.0.0.1/",
            "http://example.com\\@127.0.0.1/",
            "http://example.com\n/",
            "http://example.com\r\nHost: x/",
            "http://exa mple.com/",
            "http://exämple.com/",
            "http://①②⑦.0.0.1/",
            "http://example.com/ü",
            "http://127%2e0%2e0%2e1/",
            "http://.example.com/",
            "http://a..b/",
            "http://-a.example/",
            f"http://{'a' * 64}.example/",
            f"http://{'a.' * 127}example/",
            # Addresses that only some programs take for such.
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7f.0.0.1/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://127.0.1/",
            "http://127.0.0.1./",
            "http://0/",
            "http://1.2.3.256/",
            "http://a.b.c.1/",
            "http://0x/",
            "http://[::1%25eth0]/",
            "http://[fe80::1%eth0]/",
            "http://[127.0.0.1]/",
            "http://[v1.x]/",
            "http://[]/",
        ],
    )
    def test_that_programs_may_read_differently_are_refused(self, url: object) -> None:
        with pytest.raises(ValueError, match=r"."):
            parse_destination(url)


INSIDE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
]


class TestAddresses:
    @pytest.mark.parametrize("address", INSIDE)
    def test_inside_are_refused_in_every_disguise(self, address: str) -> None:
        assert not is_global(ip_address(address))
        high, low = (f"{int(ip_address(address)) >> shift & 0xFFFF:x}" for shift in (16, 0))
        for disguise in (
            f"::ffff:{address}",
            f"::{address}",
            f"::ffff:0:{address}",
            f"64:ff9b::{address}",
            f"64:ff9b:1::{address}",
            f"2002:{high}:{low}::1",
            f"2606:4700::5efe:{address}",
            f"2606:4700::200:5efe:{address}",
            f"2001:0:{high}:{low}::1",
        ):
            assert not is_global(ip_address(disguise)), disguise

    @pytest.mark.parametrize(
        "address",
        [
            "::",
            "::1",
            "::1%1",
            "fe80::1",
            "fe80::1%eth0",
            "2606:4700::1111%eth0",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "ff0e::1",
            "100::1",
            "2001:db8::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "3fff::1",
            "5f00::1",
            "4000::1",
        ],
    )
    def test_of_ipv6_inside_are_refused(self, address: str) -> None:
        assert not is_global(ip_address(address))

    @pytest.mark.parametrize(
        "address",
        [
            "8.8.8.8",
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450:4001::200e",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ],
    )
    def test_of_the_internet_pass(self, address: str) -> None:
        assert is_global(ip_address(address))

    @given(st.ip_addresses(v=4))
    def test_that_python_finds_private_never_pass(self, address: object) -> None:
        parsed = ip_address(str(address))
        assert parsed.is_global or not is_global(parsed)


class TestTheAllowList:
    def test_opens_names_addresses_and_networks(self) -> None:
        allowed = parse_allowed(("Hooks.Internal.", "localhost", "10.0.0.0/8", "127.0.0.1", "fd00::/8"))
        for host, address, permitted in (
            ("hooks.internal", "192.168.0.1", True),
            ("hooks.internal.", "192.168.0.1", True),
            ("other.internal", "192.168.0.1", False),
            ("x.hooks.internal", "192.168.0.1", False),
            ("any", "10.255.0.1", True),
            ("any", "::ffff:10.255.0.1", True),
            ("any", "11.0.0.1", True),
            ("any", "127.0.0.1", True),
            ("any", "127.0.0.2", False),
            ("any", "fd12::1", True),
            ("any", "::1", False),
            ("any", "::10.0.0.1", False),
        ):
            assert allowed.permits(host, ip_address(address)) is permitted, (host, address)

    def test_is_empty_at_first(self) -> None:
        assert not Allowed().permits("localhost", ip_address("127.0.0.1"))

    @pytest.mark.parametrize("item", ["10.0.0.1/8", "127.1", "*", "*.internal", "http://a", "a:80", "0x7f", "-a"])
    def test_takes_nothing_else(self, item: str) -> None:
        with pytest.raises(ValueError, match=r"."):
            parse_allowed((item,))

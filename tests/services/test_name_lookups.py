"""Look-ups of names: their time, and how owners share the places."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tams.services.name_lookups import NameLookups


class Resolver:
    """A resolver whose names below `slow.example` do not answer before `release` is set."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.names: list[str] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.names.append(host)
        if host.endswith("slow.example"):
            self.release.wait(30)
        return [f"{host}:{port}"]


@contextmanager
def waiting(lookups: NameLookups, resolver: Resolver, owners: int, names: int) -> Iterator[None]:
    """Have each owner wait for slow names until the block ends."""
    with ThreadPoolExecutor(owners * names) as pool:
        attempts = [
            pool.submit(lookups.resolve, f"{owner}-{name}.slow.example", 80, 20, f"owner-{owner}")
            for owner in range(owners)
            for name in range(names)
        ]
        time.sleep(0.3)
        try:
            yield
        finally:
            resolver.release.set()
            for attempt in attempts:
                attempt.result()


def test_a_name_has_a_deadline_of_its_own() -> None:
    resolver = Resolver()
    lookups = NameLookups(longest=0.3, look_up=resolver)
    start = time.monotonic()
    with pytest.raises(TimeoutError, match="not resolved in time"):
        lookups.resolve("slow.example", 80, 20, "ana")
    assert time.monotonic() - start < 5
    resolver.release.set()


@pytest.mark.parametrize("owners", [1, 3])
def test_slow_names_of_some_owners_leave_places_for_another(owners: int) -> None:
    resolver = Resolver()
    lookups = NameLookups(16, look_up=resolver)
    with waiting(lookups, resolver, owners, 40):
        for number in range(5):
            start = time.monotonic()
            assert lookups.resolve(f"quick-{number}.example", 80, 5, "ana") == [f"quick-{number}.example:80"]
            assert time.monotonic() - start < 1


def test_an_owner_without_a_place_waits_for_one_and_is_told_when_none_becomes_free() -> None:
    resolver = Resolver()
    lookups = NameLookups(4, look_up=resolver)
    with waiting(lookups, resolver, 1, 2):
        with pytest.raises(TimeoutError, match="too many names"):
            lookups.resolve("quick.example", 80, 0.2, "owner-0")
        threading.Timer(0.2, resolver.release.set).start()
        assert lookups.resolve("quick.example", 80, 5, "owner-0") == ["quick.example:80"]


def test_a_slow_name_takes_one_place_however_many_callers_wait_for_it() -> None:
    resolver = Resolver()
    lookups = NameLookups(4, look_up=resolver)
    with ThreadPoolExecutor(20) as pool:
        attempts = [pool.submit(lookups.resolve, "slow.example", 80, 20, f"owner-{number}") for number in range(20)]
        time.sleep(0.3)
        assert resolver.names == ["slow.example"]
        resolver.release.set()
        assert {tuple(attempt.result()) for attempt in attempts} == {("slow.example:80",)}


def test_places_are_given_back() -> None:
    lookups = NameLookups(2, look_up=Resolver())
    for number in range(200):
        assert lookups.resolve(f"{number}.example", 80, 5, f"owner-{number}")


@pytest.mark.parametrize("error", [OSError(-2, "Name or service not known"), UnicodeError("label too long")])
def test_a_name_without_address_is_an_error_for_each_caller(error: Exception) -> None:
    def look_up(_host: str, _port: int) -> list[str]:
        raise error

    lookups = NameLookups(look_up=look_up)
    for _ in range(2):
        with pytest.raises(OSError, match=str(error.args[-1])):
            lookups.resolve("a.example", 80, 5, "ana")


def test_the_resolver_of_this_machine() -> None:
    lookups = NameLookups()
    assert {"127.0.0.1", "::1"} & set(lookups.resolve("localhost", 80, 5, "ana"))
    for name in ("does-not-exist.invalid", "a" * 70 + ".example"):
        with pytest.raises(OSError, match=r"."):
            lookups.resolve(name, 80, 5, "ana")

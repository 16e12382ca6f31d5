"""The cache of authentication results: expiry, bounds and threads."""

from __future__ import annotations

import threading

from tams.api.authentication.ttl_cache import TtlCache


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_each_value_expires_at_its_own_time() -> None:
    clock = Clock()
    cache: TtlCache[str] = TtlCache(10, clock)
    cache.put(b"a", "short", expires=5)
    cache.put(b"b", "long", expires=9)
    clock.now = 4.9
    assert (cache.get(b"a"), cache.get(b"b")) == ("short", "long")
    clock.now = 5
    assert (cache.get(b"a"), cache.get(b"b")) == (None, "long")
    clock.now = 9
    assert cache.get(b"b") is None


def test_an_expired_value_stays_away_if_the_clock_is_set_back() -> None:
    clock = Clock()
    cache: TtlCache[str] = TtlCache(10, clock)
    cache.put(b"a", "value", expires=5)
    clock.now = 5
    assert cache.get(b"a") is None
    clock.now = 4
    assert cache.get(b"a") is None


def test_a_value_that_is_put_again_has_the_new_expiry() -> None:
    clock = Clock()
    cache: TtlCache[str] = TtlCache(10, clock)
    cache.put(b"a", "old", expires=5)
    cache.put(b"a", "new", expires=8)
    clock.now = 6
    assert cache.get(b"a") == "new"
    cache.put(b"a", "expired already", expires=6)
    assert cache.get(b"a") is None


def test_a_full_cache_drops_the_least_recently_used_value() -> None:
    cache: TtlCache[int] = TtlCache(2, Clock())
    for number, key in enumerate((b"a", b"b")):
        cache.put(key, number, expires=5)
    cache.get(b"a")
    cache.put(b"c", 2, expires=5)
    assert [cache.get(key) for key in (b"a", b"b", b"c")] == [0, None, 2]


def test_a_full_cache_drops_expired_values_first() -> None:
    clock = Clock()
    cache: TtlCache[int] = TtlCache(2, clock)
    cache.put(b"a", 0, expires=9)
    cache.put(b"b", 1, expires=5)
    clock.now = 6
    cache.put(b"c", 2, expires=9)
    assert [cache.get(key) for key in (b"a", b"b", b"c")] == [0, None, 2]


def test_threads_share_a_cache() -> None:
    cache: TtlCache[int] = TtlCache(16)
    wrong: list[object] = []

    def work(first: int) -> None:
        try:
            for number in range(2000):
                name = (first * 7 + number) % 64
                cache.put(b"%d" % name, name, expires=4e9 if number % 3 else 0.0)
                value = cache.get(b"%d" % (number % 64))
                if value not in {None, number % 64}:
                    wrong.append(value)
        except Exception as error:  # noqa: BLE001 - collected for the assertion
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sum(cache.get(b"%d" % name) is not None for name in range(64)) <= 16

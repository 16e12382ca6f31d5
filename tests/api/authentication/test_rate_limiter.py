"""How often somebody may do something, and what is remembered for a while."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from tams.api.authentication.rate_limiter import Pace
from tams.api.authentication.ttl_cache import Remembered


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.integers(1, 5), st.lists(st.floats(0, 3), max_size=60))
def test_never_more_than_the_burst_and_what_time_brings(burst: int, pauses: list[float]) -> None:
    clock = Clock()
    pace = Pace(burst, per_second=2, clock=clock)
    taken: list[float] = []
    for pause in pauses:
        clock.now += pause
        wait = pace.take("key")
        if wait == 0:
            taken.append(clock.now)
        else:
            clock.now += wait + 1e-9
            assert pace.take("key") == 0
            taken.append(clock.now)
    for index, start in enumerate(taken):
        for count, end in enumerate(taken[index:], start=1):
            assert count <= burst + 2 * (end - start) + 1e-6


def test_what_is_given_back_can_be_taken_again() -> None:
    pace = Pace(1, per_second=1, clock=Clock())
    assert pace.take("a") == 0
    assert pace.take("a") == 1
    assert pace.take("b") == 0
    pace.give_back("a")
    assert pace.take("a") == 0


def test_only_so_many_keys_are_kept() -> None:
    pace = Pace(1, per_second=1, most=10, clock=Clock())
    for number in range(1000):
        assert pace.take(number) == 0
    assert pace.take(999) > 0
    assert pace.take(0) == 0


def test_threads_together_take_no_more_than_there_is() -> None:
    pace = Pace(50, per_second=0.001)
    taken: list[bool] = []
    threads = [
        threading.Thread(target=lambda: taken.extend(pace.take("key") == 0 for _ in range(20))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 50


def test_values_are_remembered_until_their_time() -> None:
    remembered: Remembered[str] = Remembered(10)
    remembered.put(b"a", "value", until=5)
    assert remembered.get(b"a", 4.9) == "value"
    assert remembered.get(b"a", 5) is None
    assert remembered.get(b"a", 4) is None


def test_the_least_recently_used_is_forgotten() -> None:
    remembered: Remembered[int] = Remembered(2)
    for number, key in enumerate((b"a", b"b")):
        remembered.put(key, number, until=5)
    remembered.get(b"a", 0)
    remembered.put(b"c", 2, until=5)
    assert [remembered.get(key, 0) for key in (b"a", b"b", b"c")] == [0, None, 2]

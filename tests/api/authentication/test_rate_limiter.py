"""The rate limiter: a burst at once, a steady rate over time, and a bounded number of keys."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from tams.api.authentication.rate_limiter import RateLimiter


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.integers(1, 5), st.lists(st.floats(0, 3), max_size=60))
def test_a_key_never_exceeds_its_burst_and_rate(burst: int, pauses: list[float]) -> None:
    clock = Clock()
    limiter = RateLimiter(burst, per_second=2, clock=clock)
    taken: list[float] = []
    for pause in pauses:
        clock.now += pause
        wait = limiter.take("key")
        if wait == 0:
            taken.append(clock.now)
        else:
            clock.now += wait + 1e-9
            assert limiter.take("key") == 0
            taken.append(clock.now)
    for index, start in enumerate(taken):
        for count, end in enumerate(taken[index:], start=1):
            assert count <= burst + 2 * (end - start) + 1e-6


def test_an_action_that_was_given_back_can_be_taken_again() -> None:
    limiter = RateLimiter(1, per_second=1, clock=Clock())
    assert limiter.take("a") == 0
    assert limiter.take("a") == 1
    assert limiter.take("b") == 0
    limiter.give_back("a")
    assert limiter.take("a") == 0


def test_the_number_of_keys_is_bounded() -> None:
    limiter = RateLimiter(1, per_second=1, max_keys=10, clock=Clock())
    for number in range(1000):
        assert limiter.take(number) == 0
    assert limiter.take(999) > 0
    assert limiter.take(0) == 0


def test_threads_together_stay_within_the_limit() -> None:
    limiter = RateLimiter(50, per_second=0.001)
    taken: list[bool] = []
    threads = [
        threading.Thread(target=lambda: taken.extend(limiter.take("key") == 0 for _ in range(20))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 50

"""The retries of a write and of a question to the cluster: what is repeated, how often, and until when."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from tams.domain.errors import Contended, Unavailable
from tams.repository.vast.concurrency.clock import boot_clock
from tams.repository.vast.concurrency.operation import Operation
from tams.repository.vast.concurrency.retries import WriteRetries, retry_until
from tams.repository.vast.failures import Broken, LostRace

pytestmark = pytest.mark.vast


def failing(error: Exception, times: int | None = None) -> tuple[Callable[[], str], list[float]]:
    """Return a function that raises the error, at first or always, and the list of the times of its calls."""
    calls: list[float] = []

    def attempt() -> str:
        calls.append(boot_clock())
        if times is None or len(calls) <= times:
            raise error
        return "done"

    return attempt, calls


def test_a_lost_race_is_repeated_until_it_is_won() -> None:
    operation = Operation("op", 30)
    attempt, calls = failing(LostRace("lost"), times=6)
    assert WriteRetries(operation).call(attempt) == "done"
    assert len(calls) == 7
    assert operation.races == 6


def test_lost_races_end_with_contended_at_the_deadline() -> None:
    attempt, calls = failing(LostRace("lost"))
    begun = boot_clock()
    with pytest.raises(Contended, match="try again") as raised:
        WriteRetries(Operation("op", 0.3)).call(attempt)
    assert type(raised.value) is Contended
    assert boot_clock() - begun >= 0.3
    assert len(calls) > 2


def test_a_failed_request_is_repeated_three_times() -> None:
    error = Broken("no answer")
    attempt, calls = failing(error)
    with pytest.raises(Broken) as raised:
        WriteRetries(Operation("op", 30)).call(attempt)
    assert raised.value is error
    assert len(calls) == 4


def test_any_other_error_is_not_repeated() -> None:
    for error in (Unavailable("refused"), Contended("no time left"), KeyError("callback")):
        attempt, calls = failing(error)
        with pytest.raises(type(error)):
            WriteRetries(Operation("op", 30)).call(attempt)
        assert len(calls) == 1


def test_a_question_is_repeated_with_growing_pauses_until_the_deadline() -> None:
    attempt, calls = failing(Unavailable("no answer"), times=4)
    assert retry_until(boot_clock() + 30, attempt) == "done"
    pauses = [later - earlier for earlier, later in pairwise(calls)]
    assert all(pause >= expected for pause, expected in zip(pauses, (0.02, 0.04, 0.08, 0.16), strict=True))
    attempt, calls = failing(Unavailable("no answer"))
    with pytest.raises(Unavailable):
        retry_until(boot_clock() + 0.1, attempt)
    assert calls[-1] - calls[0] >= 0.1

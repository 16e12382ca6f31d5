"""Retries: of a question until a deadline, and of a write whose attempt failed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential

from tams.domain.errors import Unavailable
from tams.repository.vast.concurrency.clock import boot_clock
from tams.repository.vast.concurrency.operation import Operation
from tams.repository.vast.failures import Broken, LostRace

T = TypeVar("T")

PAUSE: Final = 0.02
"""Seconds between two looks at a cluster, at least."""
BRIEFLY: Final = 2.0
"""Seconds to insist on the end of a transaction while other operations wait."""
_MAX_QUESTION_PAUSE = 1.0

_MAX_FAILURES = 4
_MIN_WRITE_PAUSE, _MAX_WRITE_PAUSE = 0.01, 0.3


def retry_until(deadline: float, ask: Callable[[], T]) -> T:
    """Call `ask` again, with doubling pauses, while it raises `Unavailable`.

    After `deadline`, a time of `boot_clock`, that exception passes.
    """
    retrying = Retrying(
        retry=retry_if_exception_type(Unavailable),
        wait=wait_exponential(multiplier=PAUSE, max=_MAX_QUESTION_PAUSE),
        stop=lambda _state: boot_clock() > deadline,
        reraise=True,
    )
    return retrying(ask)


class WriteRetries:
    """The policy by which the attempts of one operation are repeated.

    A lost race is repeated until the deadline of the operation, which raises `Contended`. A failed request is repeated
    too, up to three times in all.
    """

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self._failures = 0
        self._retrying = Retrying(
            retry=retry_if_exception_type((LostRace, Broken)),
            after=self._count,
            wait=self._pause,
            stop=self._is_hopeless,
            reraise=True,
        )

    def call(self, attempt: Callable[[], T]) -> T:
        """Call `attempt` until it succeeds or is not worth repeating; return its result."""
        return self._retrying(attempt)

    def _count(self, state: RetryCallState) -> None:
        if _is_failure(state):
            self._failures += 1
        else:
            self._operation.races += 1
            self._operation.check_time()

    def _pause(self, state: RetryCallState) -> float:
        if _is_failure(state):
            pause = _MIN_WRITE_PAUSE * 4.0**self._failures
        else:
            pause = _MIN_WRITE_PAUSE * 2.0 ** min(self._operation.races, 3)
        return min(_MAX_WRITE_PAUSE, pause) * random.uniform(0.5, 1.5)  # noqa: S311 - no secret

    def _is_hopeless(self, state: RetryCallState) -> bool:
        if not _is_failure(state):
            return False
        return self._failures >= _MAX_FAILURES or boot_clock() > self._operation.deadline


def _is_failure(state: RetryCallState) -> bool:
    return state.outcome is not None and isinstance(state.outcome.exception(), Broken)

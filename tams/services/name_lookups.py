"""Look-ups of host names, within a time, by the resolver of this machine, which may take longer."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

LookUp: TypeAlias = Callable[[str, int], Sequence[str]]
"""Return the addresses of a name for a port. Raises OSError or UnicodeError."""

_PLACES: Final = 64
_LONGEST_LOOK_UP: Final = 10.0  # seconds


class _LookUp:
    """One look-up under way; several callers may wait for it."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.done = threading.Event()
        self.addresses: Sequence[str] = ()
        self.error: OSError | None = None

    def result(self) -> Sequence[str]:
        if self.error is not None:
            # Each caller gets an exception of its own, because raising one changes its traceback.
            raise type(self.error)(*self.error.args)
        return self.addresses


class NameLookups:
    """Looks names up in threads of their own, and shares their number fairly among owners. Thread-safe.

    A look-up cannot be cancelled: a name whose servers do not answer occupies its thread until the resolver gives up.
    So that such names do not crowd out others, a name is looked up once at a time, whatever the number of callers, and
    an owner may take a place only while it holds fewer places than are free. One owner alone can take half of the
    places, a second one half of the rest, and so on: a place remains for the next.
    """

    def __init__(
        self, places: int = _PLACES, *, longest: float = _LONGEST_LOOK_UP, look_up: LookUp | None = None
    ) -> None:
        self._places = places
        self._longest = longest
        self._look_up = look_up or _addresses
        self._changed = threading.Condition()
        self._running: dict[tuple[str, int], _LookUp] = {}
        self._held: Counter[str] = Counter()

    def resolve(self, host: str, port: int, seconds: float, owner: str) -> Sequence[str]:
        """Return the addresses of a name within `seconds`, and within ten seconds in any case.

        `owner` is the principal on whose behalf the name is looked up.

        Raises:
            TimeoutError: There is no answer in time, or too many names of this owner are being looked up.
            OSError: The name has no address.
        """
        deadline = time.monotonic() + min(seconds, self._longest)
        look_up = self._join(host, port, owner, deadline)
        if not look_up.done.wait(max(0.0, deadline - time.monotonic())):
            raise TimeoutError("the name was not resolved in time")
        return look_up.result()

    def _join(self, host: str, port: int, owner: str, deadline: float) -> _LookUp:
        """Return the look-up of the name, which is started unless it is under way."""
        name = (host, port)
        with self._changed:
            while name not in self._running and not self._has_place(owner):
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError("too many names are being looked up; try again")
            look_up = self._running.get(name)
            if look_up is None:
                look_up = self._running[name] = _LookUp(owner)
                self._held[owner] += 1
                threading.Thread(target=self._run, args=(name, look_up), name="look-up", daemon=True).start()
            return look_up

    def _has_place(self, owner: str) -> bool:
        return self._held[owner] < self._places - self._held.total()

    def _run(self, name: tuple[str, int], look_up: _LookUp) -> None:
        try:
            look_up.addresses = self._look_up(*name)
        except OSError as error:
            look_up.error = error
        except UnicodeError as error:
            look_up.error = OSError(str(error))
        finally:
            with self._changed:
                del self._running[name]
                self._held[look_up.owner] -= 1
                self._held += Counter()  # forget owners without a place
                self._changed.notify_all()
            look_up.done.set()


def _addresses(host: str, port: int) -> list[str]:
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))

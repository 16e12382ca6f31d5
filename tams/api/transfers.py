"""Uploads and downloads of local media, which hold a thread as long as their clients take.

They have threads of their own, so that they never stop the API, and the API never has more requests at work than
`TAMS_THREADS`, each of which may hold a connection to the database.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from flask import current_app, request

from tams.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from flask import Flask

    from tams.config import Settings

_TRANSFERS: Final = "tams.transfers"
_RELEASE: Final = "tams.release_request"


def install(app: Flask, settings: Settings) -> None:
    """Limit the transfers of the application, and its other requests."""
    app.extensions[_TRANSFERS] = _Transfers(settings.transfers, settings.transfer_wait)
    app.wsgi_app = _RequestPlaces(app.wsgi_app, settings.threads)  # type: ignore[method-assign]


def begin_transfer() -> Callable[[], None]:
    """Take a place among the transfers of this process, and return the function that releases it.

    Wait for a place, if they are all taken. The place among the requests is free from here on.

    Raises:
        Unavailable: no place was released in time, or too many transfers wait already.
    """
    transfers: _Transfers = current_app.extensions[_TRANSFERS]
    request.environ.get(_RELEASE, _nothing)()
    return transfers.take()


class _Places(queue.SimpleQueue[None]):
    """A number of places. A queue takes a tenth of the time of a semaphore, which Python code implements."""

    def __init__(self, count: int) -> None:
        for _ in range(count):
            self.put(None)

    def release(self) -> None:
        self.put(None)


class _Transfers:
    """The places of transfers. As many more wait `seconds` for one."""

    def __init__(self, count: int, seconds: int) -> None:
        self._places = _Places(count)
        self._waiting = _Places(count)
        self._seconds = seconds

    def take(self) -> Callable[[], None]:
        try:
            self._places.get_nowait()
        except queue.Empty:
            self._wait()
        return self._places.release

    def _wait(self) -> None:
        try:
            self._waiting.get_nowait()
            try:
                self._places.get(timeout=self._seconds)
            finally:
                self._waiting.release()
        except queue.Empty:
            raise Unavailable("Too many media transfers are in progress. Try again.", retry_after=1) from None


class _RequestPlaces:
    """WSGI middleware that lets `count` requests work at once, besides transfers; the others wait."""

    def __init__(self, app: WSGIApplication, count: int) -> None:
        self._app = app
        self._places = _Places(count)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self._places.get()
        release = environ[_RELEASE] = _Once(self._places.release)
        try:
            return self._app(environ, start_response)
        finally:
            release()


class _Once:
    """A function that has an effect the first time only."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function

    def __call__(self) -> None:
        function, self._function = self._function, _nothing
        function()


def _nothing() -> None:
    """Do nothing."""

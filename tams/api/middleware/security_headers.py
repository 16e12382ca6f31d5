"""Headers that make a browser careful, whatever an answer holds and whoever made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from flask import Flask

_HEADERS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    # Nothing of ours is a page but `/docs`, which has a policy of its own.
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("X-Frame-Options", "DENY"),
    # The URL may hold a token.
    ("Referrer-Policy", "no-referrer"),
)


class _Careful:
    """WSGI middleware: beneath the framework the headers of an answer are a plain list, which is quick to add to."""

    def __init__(
        self, app: WSGIApplication, headers: tuple[tuple[str, str], ...], always: tuple[tuple[str, str], ...]
    ) -> None:
        self._app = app
        self._headers = headers
        self._always = always

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer by the wrapped application."""

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Callable[[bytes], object]:
            present = {name.lower() for name, _ in headers}
            added = [header for header in self._headers if header[0].lower() not in present]
            added += self._always
            return start_response(status, headers + added, *error)

        return self._app(environ, start)


def install(app: Flask, *, private: bool) -> None:
    """Add the headers to every answer that does not have them; `private` where answers depend on who asks."""
    headers = (*_HEADERS, ("Cache-Control", "private")) if private else _HEADERS
    # Beside what else an answer varies by.
    always = (("Vary", "Authorization"),) if private else ()
    app.wsgi_app = _Careful(app.wsgi_app, headers, always)  # type: ignore[method-assign]

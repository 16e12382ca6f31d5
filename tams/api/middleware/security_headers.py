"""Headers that restrict what a browser may do with a response, added to every response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from flask import Flask

_HEADERS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    # The only page is `/docs`, which sets a policy of its own.
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("X-Frame-Options", "DENY"),
    # The URL may hold a token.
    ("Referrer-Policy", "no-referrer"),
)


class SecurityHeaders:
    """WSGI middleware that adds headers to every response: `defaults` if they are missing, `always` in any case.

    Speed-critical: at the level of WSGI a response's headers are a plain list, which takes less time to extend than
    Flask's `Headers`. tests/api/test_security_headers.py compares the two.
    """

    def __init__(
        self, app: WSGIApplication, defaults: tuple[tuple[str, str], ...], always: tuple[tuple[str, str], ...]
    ) -> None:
        self._app = app
        self._defaults = defaults
        self._always = always

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Call the wrapped application, and add the headers when it starts its response."""

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Callable[[bytes], object]:
            present = {name.lower() for name, _ in headers}
            added = [header for header in self._defaults if header[0].lower() not in present]
            added += self._always
            return start_response(status, headers + added, *error)

        return self._app(environ, start)


def install(app: Flask, *, private: bool) -> None:
    """Add the headers to every response that lacks them; `private` if responses depend on the principal."""
    defaults = (*_HEADERS, ("Cache-Control", "private")) if private else _HEADERS
    # Added to any existing `Vary`.
    always = (("Vary", "Authorization"),) if private else ()
    app.wsgi_app = SecurityHeaders(app.wsgi_app, defaults, always)  # type: ignore[method-assign]

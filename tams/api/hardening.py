"""Headers that make a browser careful, whatever an answer holds and whoever made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from flask import Flask, Response

_HEADERS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    # Nothing of ours is a page but `/docs`, which has a policy of its own.
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("X-Frame-Options", "DENY"),
    # The URL may hold a token.
    ("Referrer-Policy", "no-referrer"),
)


def install(app: Flask, *, private: bool) -> None:
    """Add the headers to every answer that does not have them; `private` where answers depend on who asks."""
    headers = (*_HEADERS, ("Cache-Control", "private")) if private else _HEADERS

    def harden(response: Response) -> Response:
        present = response.headers
        for name, value in headers:
            if name not in present:
                present[name] = value
        return response

    app.after_request(harden)

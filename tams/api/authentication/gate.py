"""The gate: every request passes it before anything else of the request is looked at.

First who asks (401), then whether there is such a resource at all (404, 405: the framework's), then whether they may
(403). What an operation needs stands in `tams.api.permissions`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from flask import Flask
from werkzeug.exceptions import TooManyRequests, Unauthorized

from tams.api import permissions
from tams.api.authentication.rate_limiter import Pace
from tams.api.authentication.refusal import Refused
from tams.api.authentication.schemes import challenges
from tams.api.authentication.url_tokens import LongLivedTokens
from tams.api.context import current_request, notes
from tams.api.resources.media import is_signed
from tams.config import DEVELOPMENT
from tams.config.authentication import BASIC, JWT, TOKEN
from tams.domain.errors import Forbidden
from tams.domain.principals import UNRESTRICTED, Principal
from tams.services.access.tokens import PREFIX

if TYPE_CHECKING:
    from tams.api.authentication.basic import Passwords
    from tams.api.authentication.bearer import JsonWebTokens
    from tams.config import Settings
    from tams.services.store import Store

_BURST: Final = 10
"""Seconds' worth of requests that a principal may make at once."""


def install(app: Flask, store: Store) -> None:
    """Let nobody in but by the configured methods. To be installed before whatever else looks at requests."""
    app.before_request(_Gate(store).pass_through)


class _Gate:
    def __init__(self, store: Store) -> None:
        settings = store.settings
        self._methods = settings.auth or ()
        self._development = settings.environment == DEVELOPMENT
        self._jwts = _json_web_tokens(settings) if JWT in self._methods else None
        self._passwords = _passwords(settings) if BASIC in self._methods else None
        self._tokens = LongLivedTokens(store) if TOKEN in self._methods else None
        limit = settings.rate_limit
        self._pace = Pace(limit * _BURST, limit) if limit is not None else None

    def pass_through(self) -> None:
        """Say in `g.principal` who asks, or raise."""
        request = current_request()
        method = request.method
        if method == "OPTIONS":
            # What a browser asks before it sends credentials; it tells nothing but the methods of a path.
            return
        if not self._methods:
            notes().principal = UNRESTRICTED
            self._keep_pace(("address", request.remote_addr))
            return
        rule = request.url_rule
        needed = permissions.needed(permissions.template(rule.rule), method) if rule is not None else None
        if needed is not None and self._is_open(needed):
            return
        principal = self._authenticated()
        notes().principal = principal
        self._keep_pace(("name", principal.name))
        if needed is not None and not needed.scopes & principal.scopes:
            raise Forbidden(_lacking(needed, principal))

    def _is_open(self, needed: permissions.Needed) -> bool:
        if not needed.scopes:
            return True
        if needed.unless == "signed":
            return is_signed()
        return needed.unless == "development" and self._development

    def _authenticated(self) -> Principal:
        """Whose the credentials are: those of the header, and only where there is none those of the URL."""
        request = current_request()
        if "HTTP_AUTHORIZATION" in request.environ:
            return self._by_header()
        if self._tokens is not None and "access_token" in request.args:
            given = set(request.args.getlist("access_token"))
            token = given.pop()
            if given:
                raise self._unauthorized("access_token is given more than once", bearer=True)
            try:
                principal = self._tokens.principal(token)
            except Refused as refused:
                raise self._unauthorized(str(refused), bearer=True) from refused
            notes().url_token = token
            return principal
        raise self._unauthorized("credentials are required")

    def _by_header(self) -> Principal:
        # Not `request.authorization`: a JWT may end in `=` or hold one, and is to be read in one way only.
        request = current_request()
        scheme, _, credentials = request.environ["HTTP_AUTHORIZATION"].strip().partition(" ")
        credentials = credentials.strip()
        scheme = scheme.lower()
        try:
            if scheme == "bearer":
                if self._tokens is not None and credentials.startswith(PREFIX):
                    return self._tokens.principal(credentials)
                if self._jwts is not None:
                    return self._jwts.principal(credentials)
            elif scheme == "basic" and self._passwords is not None:
                given = request.authorization
                if given is None or given.username is None or given.password is None:
                    raise Refused("the credentials cannot be read")
                return self._passwords.principal(given.username, given.password, request.remote_addr or "")
        except Refused as refused:
            raise self._unauthorized(str(refused), bearer=scheme == "bearer") from refused
        raise self._unauthorized("these credentials are of a kind that is not accepted")

    def _unauthorized(self, reason: str, *, bearer: bool = False) -> Unauthorized:
        return Unauthorized(reason, www_authenticate=challenges(self._methods, reason if bearer else None))

    def _keep_pace(self, key: tuple[str, str | None]) -> None:
        wait = self._pace.take(key) if self._pace is not None else 0.0
        if wait:
            raise TooManyRequests("more requests than one principal may make", retry_after=math.ceil(wait))


def _lacking(needed: permissions.Needed, principal: Principal) -> str:
    asked = " or ".join(sorted(needed.scopes))
    had = ", ".join(sorted(principal.scopes)) or "none"
    return f"this needs the scope {asked}; these credentials have: {had}"


def _json_web_tokens(settings: Settings) -> JsonWebTokens:
    # The libraries for either take memory, which only those pay who need it.
    from tams.api.authentication.bearer import JsonWebTokens, keys_of

    return JsonWebTokens(settings, keys_of(settings))


def _passwords(settings: Settings) -> Passwords:
    from tams.api.authentication.basic import Passwords
    from tams.services.access.users import check_users, users_of

    check_users(settings)
    return Passwords(users_of(settings))

"""The gate that every request passes before anything else reads the request.

It authenticates (401), then leaves unknown paths and methods to the framework (404, 405), then authorizes (403). The
scopes that an operation needs are in `tams.api.permissions`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from flask import Flask
from werkzeug.exceptions import TooManyRequests, Unauthorized

from tams.api import permissions
from tams.api.authentication.rate_limiter import RateLimiter
from tams.api.authentication.schemes import InvalidCredentials, challenges
from tams.api.authentication.url_tokens import LongLivedTokens
from tams.api.context import current_request, request_notes
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

_BURST_SECONDS: Final = 10
"""Seconds' worth of requests that a principal may make at once."""


def install(app: Flask, store: Store) -> None:
    """Admit only requests that the configured methods authenticate. Install it before anything that reads requests."""
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
        self._rate_limiter = RateLimiter(limit * _BURST_SECONDS, limit) if limit is not None else None

    def pass_through(self) -> None:
        """Set `g.principal`, or raise 401, 403 or 429."""
        request = current_request()
        method = request.method
        if method == "OPTIONS":
            # A browser sends OPTIONS before it sends credentials; the response holds nothing but the path's methods.
            return
        if not self._methods:
            request_notes().principal = UNRESTRICTED
            self._limit_rate(("address", request.remote_addr))
            return
        rule = request.url_rule
        requirement = permissions.requirement(permissions.template(rule.rule), method) if rule is not None else None
        if requirement is not None and self._is_open(requirement):
            return
        principal = self._authenticate()
        request_notes().principal = principal
        self._limit_rate(("name", principal.name))
        if requirement is not None and not requirement.scopes & principal.scopes:
            raise Forbidden(_missing_scope(requirement, principal))

    def _is_open(self, requirement: permissions.Requirement) -> bool:
        if not requirement.scopes:
            return True
        if requirement.unless == "signed":
            return is_signed()
        return requirement.unless == "development" and self._development

    def _authenticate(self) -> Principal:
        """Return the principal of the credentials: the header's, or without a header the URL's."""
        request = current_request()
        if "HTTP_AUTHORIZATION" in request.environ:
            return self._authenticate_by_header()
        if self._tokens is not None and "access_token" in request.args:
            token, *others = set(request.args.getlist("access_token"))
            if others:
                raise self._unauthorized("access_token is given more than once", bearer=True)
            try:
                principal = self._tokens.principal(token)
            except InvalidCredentials as error:
                raise self._unauthorized(str(error), bearer=True) from error
            request_notes().url_token = token
            return principal
        raise self._unauthorized("credentials are required")

    def _authenticate_by_header(self) -> Principal:
        # Not `request.authorization`, which reads a value with `=` as parameters; a JWT may hold one.
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
                basic = request.authorization
                if basic is None or basic.username is None or basic.password is None:
                    raise InvalidCredentials("the credentials cannot be read")
                return self._passwords.principal(basic.username, basic.password, request.remote_addr or "")
        except InvalidCredentials as error:
            raise self._unauthorized(str(error), bearer=scheme == "bearer") from error
        raise self._unauthorized("credentials of this kind are not accepted")

    def _unauthorized(self, reason: str, *, bearer: bool = False) -> Unauthorized:
        return Unauthorized(reason, www_authenticate=challenges(self._methods, reason if bearer else None))

    def _limit_rate(self, key: tuple[str, str | None]) -> None:
        wait = self._rate_limiter.take(key) if self._rate_limiter is not None else 0.0
        if wait:
            raise TooManyRequests(
                "the limit of requests per principal is reached: wait, then try again", retry_after=math.ceil(wait)
            )


def _missing_scope(requirement: permissions.Requirement, principal: Principal) -> str:
    required = " or ".join(sorted(requirement.scopes))
    present = ", ".join(sorted(principal.scopes)) or "none"
    return f"this needs the scope {required}; these credentials have: {present}"


def _json_web_tokens(settings: Settings) -> JsonWebTokens:
    # Imported only if configured: the libraries of either method take memory.
    from tams.api.authentication.bearer import JsonWebTokens, keys_of

    return JsonWebTokens(settings, keys_of(settings))


def _passwords(settings: Settings) -> Passwords:
    from tams.api.authentication.basic import Passwords
    from tams.services.access.configured_users import check_users, users_of

    check_users(settings)
    return Passwords(users_of(settings))

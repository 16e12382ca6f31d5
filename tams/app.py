"""The WSGI application and the Store behind it, assembled from the settings. Nothing here is global."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask.sessions import NullSession, SessionInterface
from typing_extensions import override

from tams.adapters import open_repository
from tams.api import authentication, converters, errors, host, openapi, transfers
from tams.api.context import STORE, health_monitor
from tams.api.middleware import access_log, cors, security_headers
from tams.api.middleware.proxies import TrustedProxies
from tams.api.middleware.raw_path import RawPath
from tams.api.paging import page_signing_key
from tams.api.query_string import PAGE_SIGNING_KEY
from tams.api.resources import (
    delete_requests,
    flow_properties,
    flow_storage,
    flows,
    health,
    media,
    objects,
    profiles,
    root,
    segments,
    service,
    sources,
    webhooks,
)
from tams.config import ConfigurationError
from tams.config.classes import read_classes
from tams.domain.errors import Unavailable
from tams.services.store import Store
from tams.storage.factory import open_storages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from flask import Request

    from tams.config import Settings
    from tams.repository.port import Repository
    from tams.storage.port import Storage

_RESOURCES = (
    root,
    service,
    profiles,
    webhooks,
    health,
    sources,
    flows,
    flow_properties,
    segments,
    flow_storage,
    objects,
    delete_requests,
)


class _NoSessions(SessionInterface):
    """Sessions that keep nothing between requests, so that no request pays for opening one."""

    _session = NullSession()

    @override
    def open_session(self, app: Flask, request: Request) -> NullSession:
        return self._session


class Application(Flask):
    """Flask without sessions and coroutine views: every request would pay for them, and none needs them."""

    session_interface = _NoSessions()

    # No view here is a coroutine.
    @override
    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func


def open_store(
    settings: Settings, repository: Repository | None = None, storages: Mapping[str, Storage] | None = None
) -> Store:
    """Return the Store that the settings describe, for a web process or a worker.

    Open it after a fork, because it holds connections.
    """
    if storages is None:
        storages = open_storages(settings)
    return Store(
        repository=open_repository(settings) if repository is None else repository,
        storages=storages,
        settings=settings,
        classes=None if settings.auth_classes is None else read_classes(settings.auth_classes),
    )


@contextmanager
def opened_store(settings: Settings, storages: Mapping[str, Storage] | None = None) -> Iterator[Store]:
    """Yield the Store for the duration of a command. Raises `ConfigurationError` if its database does not answer.

    `storages` replaces the storage backends that the settings describe, for a command that needs none of them.
    """
    store = open_store(settings, storages=storages)
    try:
        store.repository.check()
        yield store
    except Unavailable as error:
        raise ConfigurationError(f"{settings.shown_database_url()} cannot be used. {error}") from error
    finally:
        store.repository.close()


def create_app(
    settings: Settings, repository: Repository | None = None, storages: Mapping[str, Storage] | None = None
) -> Flask:
    """Return the WSGI application. `repository` and `storages` replace those that the settings describe.

    Raises:
        ConfigurationError: the settings do not allow serving (`Settings.check_serving`), or a file is not usable.
    """
    settings.check_serving()
    app = Application(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body
    app.extensions[STORE] = open_store(settings, repository, storages)
    health_monitor(app)
    app.extensions[PAGE_SIGNING_KEY] = page_signing_key(settings.signing_key())
    converters.install(app)
    access_log.install(app)
    host.install(app)
    security_headers.install(app, private=bool(settings.auth))
    cors.install(app, settings.cors_origins)
    authentication.install(app, app.extensions[STORE])
    errors.install(app)
    api = openapi.make_api(app)
    for resource in _RESOURCES:
        api.register_blueprint(resource.blp)
    # Clients use signed URLs as they receive them, so these are no part of the API document.
    app.register_blueprint(media.blp)
    openapi.install(app, api, settings.auth or ())
    transfers.install(app, settings)
    app.wsgi_app = RawPath(TrustedProxies(app.wsgi_app, settings.trusted_proxies))  # type: ignore[method-assign]
    return app

"""`get_urls` as JSON: filters are applied once per request, and only URLs that are shown are signed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tams.domain.access import Access
from tams.domain.get_urls import UrlFilter
from tams.domain.objects import Instance
from tams.services.store import Store
from tams.storage.port import Backend, Storage


@dataclass(frozen=True, slots=True)
class _BackendPlan:
    """The way to show the instances in one Storage Backend; `description` is added to the URL of each entry."""

    storage: Storage
    sign: Callable[[str], str] | None
    show_plain: bool
    description: dict[str, Any]


class UrlPlan:
    """The way to show `get_urls` in one response. `signed` is true once the response holds a presigned URL.

    Instances in Storage Backends are shown if `access` may read from the backend. `base_url` is put before URLs on this
    service itself. The validity of presigned URLs begins when the plan is made.
    """

    def __init__(self, store: Store, url_filter: UrlFilter, base_url: str, access: Access) -> None:
        self.signed = False
        self._filter = url_filter
        self._base_url = base_url
        now = store.now()
        self._backends: dict[str, _BackendPlan] = {}
        for storage_id, storage in store.shown_backends(access).items():
            backend = storage.backend
            if not url_filter.shows_nothing and url_filter.shows_backend(storage_id, backend.label, backend.tags):
                self._backends[storage_id] = _BackendPlan(
                    storage,
                    sign=None if url_filter.presigned is False else storage.get_signer(now),
                    show_plain=url_filter.presigned is not True,
                    description=_description(backend, verbose=url_filter.verbose),
                )

    @property
    def shows_nothing(self) -> bool:
        """True if no URL of any Object passes the filters, so that instances need not be read."""
        return self._filter.shows_nothing

    def entries(self, instances: Iterable[Instance]) -> list[dict[str, Any]]:
        """Return the `get_urls` of an Object with these instances, as `object-core.json` describes them."""
        entries: list[dict[str, Any]] = []
        for instance in instances:
            storage_key = instance.storage_key
            if not instance.ready:
                continue
            if storage_key is None or instance.storage_id is None:
                if self._filter.shows_uncontrolled(instance.label):
                    entries.append(self._uncontrolled(instance))
                continue
            backend = self._backends.get(instance.storage_id)
            if backend is None:
                continue
            if backend.sign is not None:
                self.signed = True
                url = backend.sign(storage_key)
                if url[0] == "/":
                    url = self._base_url + url
                entries.append({"url": url, "presigned": True, **backend.description})
            if backend.show_plain:
                public_url = backend.storage.public_url(storage_key)
                if public_url is not None:
                    url = self._base_url + public_url if public_url[0] == "/" else public_url
                    entries.append({"url": url, **backend.description})
        return entries

    def _uncontrolled(self, instance: Instance) -> dict[str, Any]:
        entry: dict[str, Any] = {"url": instance.url, "label": instance.label}
        if self._filter.verbose:
            entry["controlled"] = False
        return entry


def _description(backend: Backend, *, verbose: bool) -> dict[str, Any]:
    """Return what an entry says of its Storage Backend: its label, or with `verbose` all of `storage-backend.json`."""
    description: dict[str, Any] = {"label": backend.label}
    if verbose:
        description |= {
            "storage_id": backend.id,
            "controlled": True,
            "store_type": backend.store_type,
            "provider": backend.provider,
            "store_product": backend.store_product,
        }
        if backend.region is not None:
            description["region"] = backend.region
        if backend.availability_zone is not None:
            description["availability_zone"] = backend.availability_zone
        if backend.tags:
            description["tags"] = dict(backend.tags)
    return description

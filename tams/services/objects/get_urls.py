"""`get_urls` as they are shown: what a request asked for is decided once, and only what is shown is signed."""

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
class _Shown:
    """What is shown of the instances in one Storage Backend; the rest of an entry beside its URL."""

    storage: Storage
    sign: Callable[[str], str] | None
    plain: bool
    rest: dict[str, Any]


class UrlPlan:
    """How one request wants to see `get_urls`. Made for one answer; `signed` tells whether it holds a presigned URL.

    Of instances in Storage Backends those are shown that `access` lets be read. `base_url` is put in front of URLs on
    this service itself. Presigned URLs are valid from the plan's making.
    """

    def __init__(self, store: Store, wanted: UrlFilter, base_url: str, access: Access) -> None:
        self.signed = False
        self._wanted = wanted
        self._base_url = base_url
        now = store.now()
        self._backends: dict[str, _Shown] = {}
        for storage_id, storage in store.shown_backends(access).items():
            backend = storage.backend
            if not wanted.shows_nothing and wanted.shows_backend(storage_id, backend.label, backend.tags):
                self._backends[storage_id] = _Shown(
                    storage,
                    sign=None if wanted.presigned is False else storage.get_signer(now),
                    plain=wanted.presigned is not True,
                    rest=_rest(backend, verbose=wanted.verbose),
                )

    @property
    def shows_nothing(self) -> bool:
        """True where no Object has a URL to show, so that none needs to be read."""
        return self._wanted.shows_nothing

    def entries(self, instances: Iterable[Instance]) -> list[dict[str, Any]]:
        """The `get_urls` of an Object with these instances."""
        entries: list[dict[str, Any]] = []
        for instance in instances:
            key = instance.storage_key
            if not instance.ready:
                continue
            if key is None or instance.storage_id is None:
                if self._wanted.shows_uncontrolled(instance.label):
                    entries.append(self._uncontrolled(instance))
                continue
            shown = self._backends.get(instance.storage_id)
            if shown is None:
                continue
            if shown.sign is not None:
                self.signed = True
                url = shown.sign(key)
                if url[0] == "/":
                    url = self._base_url + url
                entries.append({"url": url, "presigned": True, **shown.rest})
            if shown.plain:
                public = shown.storage.public_url(key)
                if public is not None:
                    url = self._base_url + public if public[0] == "/" else public
                    entries.append({"url": url, **shown.rest})
        return entries

    def _uncontrolled(self, instance: Instance) -> dict[str, Any]:
        entry: dict[str, Any] = {"url": instance.url, "label": instance.label}
        if self._wanted.verbose:
            entry["controlled"] = False
        return entry


def _rest(backend: Backend, *, verbose: bool) -> dict[str, Any]:
    """An entry but for its URL: the label, and with `verbose` what `storage-backend.json` has of the backend."""
    rest: dict[str, Any] = {"label": backend.label}
    if verbose:
        rest |= {
            "storage_id": backend.id,
            "controlled": True,
            "store_type": backend.store_type,
            "provider": backend.provider,
            "store_product": backend.store_product,
        }
        if backend.region is not None:
            rest["region"] = backend.region
        if backend.availability_zone is not None:
            rest["availability_zone"] = backend.availability_zone
        if backend.tags:
            rest["tags"] = dict(backend.tags)
    return rest

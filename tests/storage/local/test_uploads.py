"""Uploads to the whole store, which accepts them while their Object is allocated, unregistered and not expired."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from tams.api.context import STORE
from tams.app import create_app
from tams.config import Settings
from tams.domain.objects import Instance, Object
from tams.repository.sql import upgrade

OBJECT_ID = "recordings/2026 ä?&.ts"


@pytest.fixture
def app(tmp_path):
    settings = Settings.from_env({}, environment="development", data_dir=tmp_path / "data", secret_key="k" * 32)
    settings.prepare_data_dir()
    upgrade(settings.database_url)
    app = create_app(settings)
    yield app
    app.extensions[STORE].repository.close()


@pytest.fixture
def store(app):
    return app.extensions[STORE]


@pytest.fixture
def storage(store):
    return store.storage(None)


@pytest.fixture
def allocated(store, storage):
    """Allocate storage for an Object whose bytes are not uploaded yet."""
    now = store.now()
    place = Instance(storage_id=storage.backend.id, storage_key=storage.new_key(OBJECT_ID), put_until=now + 60_000_000)
    item = Object(id=OBJECT_ID, created=now, instances=(place,), content_type="video/mp2t")
    keep(store, item)
    return item


def keep(store, item):
    def transact(tx):
        tx.claim(("object", item.id))
        tx.put_objects([item])

    store.write(transact)


def put(app, url, data=b"media"):
    return app.test_client().put(url, data=data, content_type="video/mp2t")


def put_slowly(app, url, meanwhile):
    """Upload in two halves, and call `meanwhile` between them."""

    def halves():
        yield b"half"
        meanwhile()
        yield b"rest"

    class Body:
        def __init__(self):
            self._halves = halves()

        def read(self, _size):
            return next(self._halves, b"")

    environ = {"wsgi.input": Body(), "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    return app.test_client().put(url, content_type="video/mp2t", environ_overrides=environ)


def test_the_plain_url_takes_the_bytes_of_an_allocated_object(app, storage, allocated):
    key = allocated.instances[0].storage_key
    answer = put(app, storage.plain_put_url(key, OBJECT_ID))
    assert answer.status_code == 200
    assert b"".join(storage.open(key)) == b"media"


def test_a_registered_object_takes_no_bytes(app, store, storage, allocated):
    keep(store, allocated._replace(kind="init", registered=store.now()))
    key = allocated.instances[0].storage_key
    assert put(app, storage.plain_put_url(key, OBJECT_ID)).status_code == 403
    assert storage.head(key) is None


def test_bytes_that_come_too_late_are_refused(app, store, storage, allocated):
    place = allocated.instances[0]._replace(put_until=store.now())
    keep(store, allocated._replace(instances=(place,)))
    assert put(app, storage.plain_put_url(place.storage_key, OBJECT_ID)).status_code == 403
    assert storage.head(place.storage_key) is None


def test_an_object_that_is_registered_during_its_upload_keeps_what_it_has(app, store, storage, allocated):
    key = allocated.instances[0].storage_key

    def register():
        keep(store, allocated._replace(kind="init", registered=store.now()))

    assert put_slowly(app, storage.plain_put_url(key, OBJECT_ID), register).status_code == 403
    assert storage.head(key) is None


@pytest.mark.parametrize(("late", "status"), [(0, 200), (1, 403)])
def test_a_signed_upload_may_end_within_the_grace_and_no_later(app, store, storage, allocated, late, status):
    key = allocated.instances[0].storage_key
    moments = [store.now()]
    app.extensions[STORE] = replace(store, now=lambda: moments[-1])
    url, end = storage.put_url(key, "video/mp2t", moments[-1])

    def wait():
        moments.append(end + store.settings.object_grace * 1_000_000 + late)

    assert put_slowly(app, url, wait).status_code == status
    assert (storage.head(key) is None) is (status == 403)


@pytest.mark.parametrize("change", ["", "object=", "object=!!!", "object=_w", "object=YWJj"])
def test_a_key_without_its_object_is_refused(app, storage, allocated, change):
    key = allocated.instances[0].storage_key
    url = storage.plain_put_url(key, OBJECT_ID).partition("?")[0]
    assert put(app, f"{url}?{change}").status_code in {403, 404}
    assert storage.head(key) is None


def test_another_key_than_the_objects_own_is_refused(app, storage, allocated):
    other = storage.new_key(OBJECT_ID)
    assert put(app, storage.plain_put_url(other, OBJECT_ID)).status_code == 404
    assert storage.head(other) is None


def test_a_refusal_is_an_error_in_the_one_form(app, storage, allocated):
    answer = put(app, storage.plain_put_url(allocated.instances[0].storage_key, "another"))
    assert answer.json["type"] == "NotFound"
    assert answer.json["summary"]


def test_head_of_media_has_its_length(app, storage, allocated):
    key = allocated.instances[0].storage_key
    put(app, storage.plain_put_url(key, OBJECT_ID))
    answer = app.test_client().head(storage.get_url(key, int(time.time() * 1e6)))
    assert (answer.status_code, answer.headers["Content-Length"]) == (200, "5")

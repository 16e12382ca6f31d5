"""The contract of the storage port, for every adapter."""

from __future__ import annotations

import base64
import hashlib
import io
import socket
import time
import zlib
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pytest
import requests

from tams.storage.port import BackendDown, ChecksumMismatch, MissingObject, TooLarge
from tests.support.local_storage_server import local_storage

MEDIA = bytes(range(256)) * 4000
TYPE = "video/mp2t"
SECOND = 1_000_000


def now():
    return time.time_ns() // 1000


def whole(storage, key):
    return b"".join(storage.open(key))


def put(subject, key, data=MEDIA, content_type=TYPE, headers=None):
    url = subject.put_url(key, content_type)
    return requests.put(url, data, headers={"Content-Type": content_type, **(headers or {})}, timeout=30)


def altered(url, name, change):
    """Return the URL with one query parameter changed."""
    parts = urlsplit(url)
    query = [(key, change(value) if key == name else value) for key, value in parse_qsl(parts.query)]
    return urlunsplit(parts._replace(query=urlencode(query)))


def another(text):
    """Return a different text of the same length and kind."""
    middle = len(text) // 2
    other = "2" if text[middle] == "1" else "1"
    return text[:middle] + other + text[middle + 1 :]


class Broken(io.RawIOBase):
    """A stream that fails before its end."""

    def __init__(self):
        super().__init__()
        self.pieces = [b"a" * 1000, b"b" * 1000]

    def read(self, size=-1):
        if not self.pieces:
            raise ConnectionResetError("the sender went away")
        return self.pieces.pop(0)


def test_what_was_put_is_read_back(storage):
    key = storage.new_key("one")
    before = int(time.time())

    stored = storage.put(key, io.BytesIO(MEDIA), TYPE)

    assert whole(storage, key) == MEDIA
    assert storage.head(key) == stored
    assert (stored.size, stored.content_type) == (len(MEDIA), TYPE)
    assert stored.etag.startswith('"')
    assert stored.etag.endswith('"')
    assert before - 2 <= stored.modified <= time.time() + 2


@pytest.mark.parametrize("data", [b"", b"x"])
def test_the_smallest_objects_are_objects(storage, data):
    key = storage.new_key("small")
    assert storage.put(key, io.BytesIO(data), TYPE).size == len(data)
    assert whole(storage, key) == data


def test_keys_are_never_made_twice(storage):
    keys = {storage.new_key("the same object") for _ in range(1000)}
    assert len(keys) == 1000


@pytest.mark.parametrize(
    "object_id", ["../../etc/passwd", "a/b", "%2e%2e", "\x01", "é" * 500, "-", "CON", " ", "a?b#c"]
)
def test_any_object_id_gives_a_key_that_works(subject, object_id):
    key = subject.storage.new_key(object_id)
    assert put(subject, key, b"bytes").status_code == 200
    assert requests.get(subject.get_url(key), timeout=30).content == b"bytes"


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (0, 10, MEDIA[:10]),
        (5, None, MEDIA[5:]),
        (300_000, 500_000, MEDIA[300_000:800_000]),
        (len(MEDIA) - 3, 100, MEDIA[-3:]),
        (len(MEDIA), None, b""),
        (7, 0, b""),
    ],
)
def test_a_range_is_read(storage, start, length, expected):
    key = storage.new_key("ranges")
    storage.put(key, io.BytesIO(MEDIA), TYPE)
    assert b"".join(storage.open(key, start, length)) == expected


def test_bytes_are_replaced_and_readers_of_the_old_ones_read_on(storage):
    key = storage.new_key("twice")
    first = storage.put(key, io.BytesIO(MEDIA), TYPE)
    reader = storage.open(key)
    beginning = next(reader)

    second = storage.put(key, io.BytesIO(b"new"), "audio/aac")

    assert beginning + b"".join(reader) == MEDIA
    assert whole(storage, key) == b"new"
    assert storage.head(key) == second
    assert first.etag != second.etag


def test_the_entity_tag_is_one_of_the_content(storage):
    one, other = storage.new_key("one"), storage.new_key("other")
    assert storage.put(one, io.BytesIO(MEDIA), TYPE).etag == storage.put(other, io.BytesIO(MEDIA), TYPE).etag


def test_an_unknown_key_has_no_bytes_and_no_metadata(storage):
    key = storage.new_key("never put")
    assert storage.head(key) is None
    with pytest.raises(MissingObject):
        storage.open(key)
    with pytest.raises(MissingObject):
        storage.copy(key, storage.new_key("never put"))
    storage.delete(key)


def test_a_copy_is_an_object_of_its_own(storage):
    source, target = storage.new_key("source"), storage.new_key("target")
    storage.put(source, io.BytesIO(MEDIA), TYPE)

    copied = storage.copy(source, target)
    storage.delete(source)

    assert whole(storage, target) == MEDIA
    assert storage.head(target) == copied
    assert copied.content_type == TYPE


def test_a_large_object_goes_in_comes_out_and_is_copied(subject):
    storage = subject.storage
    source, target = subject.new_key(), subject.new_key()
    data = (hashlib.sha512(b"large").digest() * (subject.large // 64 + 1))[: subject.large]

    stored = storage.put(source, io.BytesIO(data), TYPE, checksums={"sha256": hashlib.sha256(data).digest()})
    copied = storage.copy(source, target)

    assert (stored.size, stored.content_type) == (copied.size, copied.content_type) == (len(data), TYPE)
    assert storage.head(target) == copied
    assert whole(storage, source) == whole(storage, target) == data
    assert b"".join(storage.open(target, len(data) // 2, 1000)) == data[len(data) // 2 :][:1000]


def test_a_large_object_with_a_wrong_checksum_stores_nothing(subject):
    key = subject.new_key()
    with pytest.raises(ChecksumMismatch):
        subject.storage.put(key, io.BytesIO(bytes(subject.large)), TYPE, checksums={"sha256": bytes(32)})
    assert subject.storage.head(key) is None


def test_more_bytes_than_allowed_store_nothing(subject):
    key = subject.new_key()
    with pytest.raises(TooLarge):
        subject.storage.put(key, io.BytesIO(bytes(subject.large + 1)), TYPE)
    assert subject.storage.head(key) is None


def test_a_large_stream_that_fails_stores_nothing(subject):
    class Failing(io.BytesIO):
        def read(self, size=-1):
            piece = super().read(size)
            if not piece:
                raise ConnectionResetError("the sender went away")
            return piece

    key = subject.new_key()
    with pytest.raises(ConnectionResetError):
        subject.storage.put(key, Failing(bytes(subject.large)), TYPE)
    assert subject.storage.head(key) is None


def test_a_copy_from_another_backend(subject):
    key, target = subject.other.new_key("elsewhere"), subject.new_key()
    subject.other.put(key, io.BytesIO(MEDIA), TYPE)

    copied = subject.storage.copy(key, target, origin=subject.other)
    subject.other.delete(key)

    assert whole(subject.storage, target) == MEDIA
    assert subject.storage.head(target) == copied
    assert copied.content_type == TYPE
    with pytest.raises(MissingObject):
        subject.storage.copy(key, subject.new_key(), origin=subject.other)


def test_a_copy_from_a_backend_of_another_kind(subject, tmp_path):
    origin = local_storage(tmp_path)
    key, target = origin.new_key("elsewhere"), subject.new_key()
    origin.put(key, io.BytesIO(MEDIA), TYPE)
    assert subject.storage.copy(key, target, origin=origin).content_type == TYPE
    assert whole(subject.storage, target) == MEDIA
    back = origin.new_key("back")
    origin.copy(target, back, origin=subject.storage)
    assert whole(origin, back) == MEDIA


def test_a_backend_shares_its_server_with_itself_and_no_other_kind(subject, tmp_path):
    storage, stranger = subject.storage, local_storage(tmp_path)
    assert storage.shares_server(storage)
    assert not storage.shares_server(stranger)
    assert not stranger.shares_server(storage)


def test_a_copy_from_a_backend_that_is_down_raises_backend_down(subject):
    with pytest.raises(BackendDown):
        subject.storage.copy(subject.down.new_key("x"), subject.new_key(), origin=subject.down)


def test_the_checksums_that_a_backend_stores_are_right(storage):
    key = storage.new_key("digests")
    stored = storage.put(key, io.BytesIO(MEDIA), TYPE)
    assert stored.checksums
    for algorithm, digest in stored.checksums.items():
        assert digest == hashlib.new(algorithm, MEDIA).digest()


def test_the_keys_that_have_bytes_are_told_from_the_others(storage):
    present, absent = storage.new_key("present"), storage.new_key("absent")
    storage.put(present, io.BytesIO(b""), TYPE)
    assert storage.with_bytes([present, absent]) == {present}
    assert storage.with_bytes([absent]) == storage.with_bytes([]) == set()


# Listings and sweeps


def pages(storage, limit):
    items, page = [], storage.listing(limit=limit)
    while page:
        assert len(page) <= limit
        items += page
        page = storage.listing(after=page[-1].key, limit=limit)
    return items


def test_all_keys_are_listed_in_pages_and_in_order(subject):
    storage = subject.fresh()
    assert storage.listing() == []
    before = int(time.time())
    sizes = {storage.new_key(f"object {number}"): number for number in range(7)}
    for key, size in sizes.items():
        storage.put(key, io.BytesIO(bytes(size)), TYPE)

    for limit in (1, 3, 7, 1000):
        items = pages(storage, limit)
        assert {item.key: item.size for item in items} == sizes
        assert [item.key for item in items] == sorted(sizes)
        assert all(before - 2 <= item.modified <= time.time() + 2 for item in items)


def test_a_listing_goes_on_beyond_a_key_that_is_gone(subject):
    storage = subject.fresh()
    keys = sorted(storage.new_key("object") for _ in range(4))
    for key in keys:
        storage.put(key, io.BytesIO(b"x"), TYPE)
    storage.delete(keys[1])
    assert [item.key for item in storage.listing(after=keys[1])] == keys[2:]


def test_nothing_unfinished_means_nothing_to_sweep(subject):
    storage = subject.fresh()
    storage.put(storage.new_key("whole"), io.BytesIO(MEDIA), TYPE)
    assert storage.sweep(0) == 0
    assert len(storage.listing()) == 1


def test_a_key_gives_the_id_of_its_object_or_none(storage):
    for object_id in ("plain-id", "a/b ?é", "x" * 600):
        assert storage.object_id_of(storage.new_key(object_id)) in {object_id, None}
    assert storage.object_id_of("no key of ours") is None


def test_deleted_bytes_are_gone(subject):
    key = subject.new_key()
    subject.storage.put(key, io.BytesIO(MEDIA), TYPE)
    subject.storage.delete(key)
    assert subject.storage.head(key) is None
    assert requests.get(subject.get_url(key), timeout=30).status_code == 404
    subject.storage.delete(key)


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
def test_right_checksums_pass_and_wrong_ones_store_nothing(storage, algorithm):
    key = storage.new_key("checked")
    digest = hashlib.new(algorithm, MEDIA).digest()
    with pytest.raises(ChecksumMismatch):
        storage.put(key, io.BytesIO(MEDIA + b"!"), TYPE, checksums={algorithm: digest})
    assert storage.head(key) is None
    storage.put(key, io.BytesIO(MEDIA), TYPE, checksums={algorithm: digest})
    assert whole(storage, key) == MEDIA


def test_a_crc32_is_compared(storage):
    key = storage.new_key("checked")
    with pytest.raises(ChecksumMismatch):
        storage.put(key, io.BytesIO(MEDIA), TYPE, checksums={"crc32": bytes(4)})
    storage.put(key, io.BytesIO(MEDIA), TYPE, checksums={"crc32": zlib.crc32(MEDIA).to_bytes(4, "big")})


def test_a_stream_that_fails_stores_nothing_and_its_error_comes_through(storage):
    key = storage.new_key("broken")
    with pytest.raises(ConnectionResetError):
        storage.put(key, Broken(), TYPE)
    assert storage.head(key) is None


def test_a_stream_that_fails_leaves_the_old_bytes(storage):
    key = storage.new_key("broken")
    storage.put(key, io.BytesIO(MEDIA), TYPE)
    with pytest.raises(ConnectionResetError):
        storage.put(key, Broken(), TYPE)
    assert whole(storage, key) == MEDIA


def test_a_healthy_backend_passes_its_check(storage):
    storage.check()


def test_a_backend_that_is_down_raises_backend_down(subject):
    key = subject.new_key()
    for attempt in (
        lambda: subject.down.put(key, io.BytesIO(MEDIA), TYPE),
        lambda: subject.down.open(key),
        lambda: subject.down.head(key),
        lambda: subject.down.with_bytes([key]),
        lambda: subject.down.copy(key, subject.new_key()),
        lambda: subject.down.delete(key),
        subject.down.listing,
        lambda: subject.down.sweep(0),
        subject.down.check,
    ):
        with pytest.raises(BackendDown):
            attempt()


def test_a_backend_that_is_down_still_signs_urls(subject):
    key = subject.down.new_key("later")
    assert subject.down.get_url(key, now())
    assert subject.down.put_url(key, TYPE, now())


# Presigned URLs


def test_bytes_go_up_and_down_by_presigned_urls(subject):
    key = subject.new_key()

    answer = put(subject, key)

    assert answer.status_code == 200
    stored = subject.storage.head(key)
    assert answer.headers["ETag"] == stored.etag
    assert (stored.size, stored.content_type) == (len(MEDIA), TYPE)
    down = requests.get(subject.get_url(key), timeout=30)
    assert down.content == MEDIA
    assert down.headers["Content-Type"] == TYPE
    assert down.headers["ETag"] == stored.etag
    assert down.headers["Content-Length"] == str(len(MEDIA))


def test_a_presigned_url_gives_a_range(subject):
    key = subject.new_key()
    put(subject, key)
    answer = requests.get(subject.get_url(key), headers={"Range": "bytes=100-199"}, timeout=30)
    assert answer.status_code == 206
    assert answer.content == MEDIA[100:200]
    assert answer.headers["Content-Range"] == f"bytes 100-199/{len(MEDIA)}"


def test_a_presigned_url_of_unknown_bytes_is_404(subject):
    assert requests.get(subject.get_url(subject.new_key()), timeout=30).status_code == 404


def test_presigned_urls_are_short(subject):
    key = subject.storage.new_key("é" * 512)
    assert len(subject.get_url(key)) < 2048
    assert len(subject.put_url(key, TYPE)) < 2048


def test_presigned_urls_expire(subject):
    key = subject.new_key()
    put(subject, key)
    long_ago = now() - 24 * 3600 * SECOND
    assert requests.get(subject.get_url(key, long_ago), timeout=30).status_code == 403
    answer = requests.put(subject.put_url(key, TYPE, long_ago), b"!", headers={"Content-Type": TYPE}, timeout=30)
    assert answer.status_code == 403
    assert whole(subject.storage, key) == MEDIA


def test_a_put_url_comes_with_the_time_at_which_it_expires(subject):
    at = now()
    _, end = subject.storage.put_url(subject.new_key(), TYPE, at)
    assert 0 < end - at < 3600 * SECOND


def test_every_altered_part_of_a_presigned_url_is_refused(subject):
    key = subject.new_key()
    put(subject, key)
    get, upload = subject.get_url(key), subject.put_url(key, TYPE)
    for name, _ in parse_qsl(urlsplit(get).query):
        answer = requests.get(altered(get, name, another), timeout=30)
        assert answer.status_code in {400, 403}, name
    for name, _ in parse_qsl(urlsplit(upload).query):
        answer = requests.put(altered(upload, name, another), b"!", headers={"Content-Type": TYPE}, timeout=30)
        assert answer.status_code in {400, 403}, name
    assert whole(subject.storage, key) == MEDIA


def test_a_presigned_url_is_for_one_object_only(subject):
    key, other = subject.new_key(), subject.new_key()
    put(subject, key)
    put(subject, other)
    for url in (subject.get_url(key), subject.put_url(key, TYPE)):
        assert key in url
    moved = subject.get_url(key).replace(key, other)
    assert requests.get(moved, timeout=30).status_code == 403
    moved = subject.put_url(key, TYPE).replace(key, other)
    assert requests.put(moved, b"!", headers={"Content-Type": TYPE}, timeout=30).status_code == 403


def test_a_presigned_url_is_for_one_method_only(subject):
    key = subject.new_key()
    put(subject, key)
    answer = requests.put(subject.get_url(key), b"!", headers={"Content-Type": TYPE}, timeout=30)
    assert answer.status_code == 403
    assert requests.get(subject.put_url(key, TYPE), timeout=30).status_code == 403
    assert requests.delete(subject.get_url(key), timeout=30).status_code in {403, 405}
    assert whole(subject.storage, key) == MEDIA


@pytest.mark.parametrize("content_type", ["video/mp4", "video/mp2t; codecs=avc1", "VIDEO/MP2T", None])
def test_an_upload_of_another_content_type_is_refused(subject, content_type):
    key = subject.new_key()
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = requests.put(subject.put_url(key, TYPE), MEDIA, headers=headers, timeout=30)
    assert answer.status_code == 403
    assert subject.storage.head(key) is None


def test_a_content_type_with_parameters_is_kept_as_it_is(subject):
    key = subject.new_key()
    content_type = 'video/mp4; codecs="avc1.64001f, mp4a.40.2"'
    assert put(subject, key, content_type=content_type).status_code == 200
    assert requests.get(subject.get_url(key), timeout=30).headers["Content-Type"] == content_type


@pytest.mark.parametrize(
    ("header", "algorithm"),
    [("Content-MD5", "md5"), ("x-amz-checksum-sha256", "sha256"), ("x-amz-checksum-sha1", "sha1")],
)
def test_checksum_headers_of_an_upload_are_verified(subject, header, algorithm):
    key = subject.new_key()
    digest = base64.b64encode(hashlib.new(algorithm, MEDIA).digest()).decode()
    # A client may always send the header; a server that knows the algorithm compares.
    if header in subject.verifies:
        assert put(subject, key, MEDIA[:-1] + b"!", headers={header: digest}).status_code == 400
        assert subject.storage.head(key) is None
        assert put(subject, key, headers={header: "no checksum"}).status_code == 400
    assert put(subject, key, headers={header: digest}).status_code == 200
    assert whole(subject.storage, key) == MEDIA


def test_half_an_upload_is_never_visible(subject):
    key = subject.new_key()
    parts = urlsplit(subject.put_url(key, TYPE))
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.sendall(
            f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: {TYPE}\r\n"
            f"Content-Length: {len(MEDIA)}\r\n\r\n".encode()
        )
        connection.sendall(MEDIA[: len(MEDIA) // 2])
        time.sleep(0.3)
        assert subject.storage.head(key) is None
    time.sleep(0.3)
    assert subject.storage.head(key) is None
    assert requests.get(subject.get_url(key), timeout=30).status_code == 404

"""Files of local storage: after kills, on full and missing disks, with hostile names."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tams.storage.local import records
from tams.storage.port import BackendDown, ChecksumMismatch, MissingObject, TooLarge
from tests.support.local_storage_server import STORAGE_ID, local_storage

MEDIA = bytes(range(256)) * 4000
TYPE = "video/mp2t"

HOSTILE = [
    "",
    ".",
    "..",
    "../x",
    "/etc/passwd",
    ".incoming/x",
    "000/" + "0" * 38,
    "000/" + "0" * 37 + "\n",
    "\0",
    "a" * 9000,
]


def files(root):
    return sorted(path for path in Path(root).rglob("*") if not path.is_dir())


def path_of(storage, root, key):
    assert storage.is_key(key)
    return root / key


@pytest.fixture
def root(tmp_path, local):
    return tmp_path / "media"


@pytest.mark.parametrize("key", HOSTILE)
def test_only_our_own_keys_become_paths(local, root, key):
    assert local.head(key) is None
    with pytest.raises(MissingObject):
        local.open(key)
    with pytest.raises(MissingObject):
        local.put(key, io.BytesIO(MEDIA), TYPE)
    local.delete(key)
    assert files(root) == []


def test_a_link_in_place_of_a_file_is_not_followed(local, root, tmp_path):
    key, real = local.new_key("one"), local.new_key("two")
    local.put(real, io.BytesIO(MEDIA), TYPE)
    path_of(local, root, key).parent.mkdir(exist_ok=True)
    path_of(local, root, key).symlink_to(path_of(local, root, real))
    with pytest.raises(BackendDown):
        local.open(key)
    local.delete(key)
    assert local.head(real) is not None


def test_objects_are_spread_over_directories(local):
    assert len({local.new_key("the same").partition("/")[0] for _ in range(500)}) > 300


@pytest.mark.parametrize("checksums", [{"md5": bytes(16)}, None])
def test_refused_bytes_leave_no_file(local, root, checksums):
    key = local.new_key("one")
    data = io.BytesIO(MEDIA if checksums else bytes(4 * 1024 * 1024 + 1))
    with pytest.raises(ChecksumMismatch if checksums else TooLarge):
        local.put(key, data, TYPE, checksums=checksums)
    assert files(root) == []


def test_a_cut_upload_leaves_nothing(own_server):
    key = own_server.storage.new_key("one")
    with upload_half(own_server, key):
        wait_for_files(own_server.root, 1)
    wait_for_files(own_server.root, 0)
    assert own_server.storage.head(key) is None


def test_a_killed_upload_is_never_visible_and_swept_up_later(own_server):
    key = own_server.storage.new_key("one")
    own_server.storage.put(key, io.BytesIO(b"old"), TYPE)
    with upload_half(own_server, key):
        wait_for_files(own_server.root, 3)
        own_server.kill()

    assert b"".join(own_server.storage.open(key)) == b"old"
    assert len(files(own_server.root)) == 3
    assert own_server.storage.sweep(3600) == 0
    time.sleep(0.02)
    assert own_server.storage.sweep(0) == 1
    path = own_server.root / key
    assert files(own_server.root) == [path, records.path_of(path)]
    assert b"".join(own_server.storage.open(key)) == b"old"


def test_a_disk_that_goes_away_is_503_and_not_an_empty_store(own_server):
    storage = own_server.storage
    key = storage.new_key("one")
    storage.put(key, io.BytesIO(MEDIA), TYPE)
    get_url = own_server.base + storage.get_url(key, time.time_ns() // 1000)
    put_url = own_server.base + storage.put_url(key, TYPE, time.time_ns() // 1000)[0]

    own_server.root.rename(own_server.root.with_name("elsewhere"))

    assert requests.get(get_url, timeout=30).status_code == 503
    assert requests.put(put_url, b"!", headers={"Content-Type": TYPE}, timeout=30).status_code == 503
    with pytest.raises(BackendDown):
        storage.head(key)
    with pytest.raises(BackendDown):
        storage.delete(key)
    assert not own_server.root.exists()


def test_a_file_that_cannot_grow_is_backend_down_and_leaves_nothing(local, root):
    """A limit on file sizes stands for a full disk, which a test cannot make on every machine."""
    key = local.new_key("one")
    script = f"""
import io, resource, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
from tests.support.local_storage_server import local_storage
from tams.storage.port import BackendDown
storage = local_storage(Path({str(root)!r}))
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    storage.put({key!r}, io.BytesIO(bytes(1_000_000)), "video/mp2t")
except BackendDown as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert "EFBIG" in done.stdout
    assert str(root) not in done.stdout
    assert files(root) == []


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: b"", lambda data: data + b"x", lambda data: bytes(99)]
)
def test_a_damaged_file_raises_backend_down_and_is_never_served(local, root, damage):
    key = local.new_key("one")
    local.put(key, io.BytesIO(MEDIA), TYPE)
    path = path_of(local, root, key)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BackendDown):
        local.open(key)
    with pytest.raises(BackendDown):
        local.head(key)


def test_a_copy_of_bytes_that_rotted_is_refused(local, root):
    key, target = local.new_key("one"), local.new_key("one")
    local.put(key, io.BytesIO(MEDIA), TYPE)
    with path_of(local, root, key).open("r+b") as file:
        file.seek(1000)
        file.write(b"rot")
    with pytest.raises(ChecksumMismatch):
        local.copy(key, target)
    assert local.head(target) is None


def test_a_file_holds_the_media_and_nothing_else(local, root):
    key = local.new_key("one", TYPE)
    local.put(key, io.BytesIO(MEDIA), TYPE)
    assert path_of(local, root, key).read_bytes() == MEDIA
    assert key.endswith(".ts")


def test_a_deletion_leaves_neither_media_nor_records(local, root):
    key = local.new_key("one", TYPE)
    local.put(key, io.BytesIO(MEDIA), TYPE)
    local.delete(key)
    assert files(root) == []


def test_a_deletion_that_was_interrupted_is_completed_by_the_next(local, root):
    key = local.new_key("one", TYPE)
    local.put(key, io.BytesIO(MEDIA), TYPE)
    path_of(local, root, key).unlink()
    assert local.head(key) is None
    local.delete(key)
    assert files(root) == []


def test_the_type_of_the_key_is_that_of_the_bytes(local):
    key = local.new_key("one", TYPE)
    assert local.put(key, io.BytesIO(MEDIA), "text/html").content_type == TYPE
    assert local.head(key).content_type == TYPE


@pytest.mark.parametrize("content_type", ["video/MP2T", "video/mp4; codecs=avc1", "text/html", "image/svg+xml", None])
def test_a_type_without_an_extension_has_no_public_url(tmp_path, content_type):
    storage = local_storage(tmp_path / "media", public_base="https://cdn.example.com")
    key = storage.new_key("one", content_type)
    assert storage.public_url(key) is None
    assert storage.put(key, io.BytesIO(MEDIA), "video/x-own").content_type == "video/x-own"
    assert storage.public_url(storage.new_key("one", TYPE)).startswith(f"https://cdn.example.com/{STORAGE_ID}/")


class TestSeveralVersions:
    """A client may upload several times to one URL; a crash comes before or after the rename."""

    def test_the_bytes_before_stay_readable_if_a_crash_comes_between_record_and_rename(self, local, root):
        key = local.new_key("one")
        before = local.put(key, io.BytesIO(b"old bytes"), TYPE)
        for content in (b"new bytes", b"longer than before"):
            record = records.Record(len(content), time.time_ns(), hashlib.sha256(content).digest(), "video/mp4")
            records.append(path_of(local, root, key), record)
            assert local.head(key) == before
            assert b"".join(local.open(key)) == b"old bytes"

    def test_a_crash_before_the_first_rename_leaves_no_object(self, local, root):
        key = local.new_key("one")
        path_of(local, root, key).parent.mkdir()
        records.append(path_of(local, root, key), records.Record(3, 1, bytes(32), TYPE))
        assert local.head(key) is None
        assert local.listing() == []
        with pytest.raises(MissingObject):
            local.open(key)

    @pytest.mark.parametrize("keep_times", [True, False])
    def test_versions_of_one_size_are_told_apart_after_a_restore_that_lost_times_too(self, local, root, keep_times):
        key = local.new_key("one")
        local.put(key, io.BytesIO(b"first"), "video/mp4")
        second = local.put(key, io.BytesIO(b"again"), TYPE)
        local.put(key, io.BytesIO(b"third"), "audio/mp4")
        local.put(key, io.BytesIO(b"again"), TYPE)
        path = path_of(local, root, key)
        if not keep_times:
            os.utime(path, (1, 1))
        stored = local.head(key)
        assert (stored.etag, stored.content_type) == (second.etag, TYPE)
        assert stored.modified > 1

    def test_a_torn_record_hides_no_other(self, local, root):
        key = local.new_key("one")
        stored = local.put(key, io.BytesIO(MEDIA), TYPE)
        meta = records.path_of(path_of(local, root, key))
        line = meta.read_bytes().rstrip(b"\n")
        for length in range(1, len(line)):
            meta.write_bytes(line[:length])
            with pytest.raises(BackendDown):
                local.head(key)
            with meta.open("ab") as file:
                file.write(line + b"\n")
            assert local.head(key) == stored

    def test_uploads_at_once_leave_one_whole_version(self, local, root):
        key = local.new_key("one")
        contents = {bytes([number]) * 100_000: f"video/x-{number}" for number in range(8)}
        with ThreadPoolExecutor(8) as executor:
            for _ in range(5):
                list(executor.map(lambda item: local.put(key, io.BytesIO(item[0]), item[1]), contents.items()))
                content = b"".join(local.open(key))
                assert local.head(key).content_type == contents[content]
                assert local.head(key).etag == f'"{hashlib.sha256(content).hexdigest()}"'

    def test_a_full_disk_while_the_record_is_written_keeps_the_bytes_before(self, local, root):
        key = local.new_key("one")
        before = local.put(key, io.BytesIO(b"old"), TYPE)
        meta = records.path_of(path_of(local, root, key))
        size = meta.stat().st_size
        script = f"""
import io, resource, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
from tests.support.local_storage_server import local_storage
from tams.storage.port import BackendDown
storage = local_storage(Path({str(root)!r}))
resource.setrlimit(resource.RLIMIT_FSIZE, ({size + 20}, {size + 20}))
try:
    storage.put({key!r}, io.BytesIO(b"new"), "video/mp4")
except BackendDown as error:
    print(error)
"""
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
        assert "EFBIG" in done.stdout
        assert meta.stat().st_size == size + 20
        assert local.head(key) == before
        assert files(root) == [path_of(local, root, key), meta]
        assert local.put(key, io.BytesIO(b"new"), "video/mp4") == local.head(key)


class TestFilesOfVersion010:
    """Their footers stay readable, and the next upload replaces them."""

    def write(self, local, root, key, content=MEDIA, content_type=TYPE):
        path = path_of(local, root, key)
        path.parent.mkdir(exist_ok=True)
        type_bytes = content_type.encode()
        digest = hashlib.sha256(content).digest()
        footer = struct.pack(">32sQH6s", digest, len(content), len(type_bytes), b"TAMS1\n")
        path.write_bytes(content + type_bytes + footer)
        return digest

    def test_bytes_type_and_digest_are_read(self, local, root):
        key, target = local.new_key("one"), local.new_key("one")
        digest = self.write(local, root, key)
        stored = local.head(key)
        assert (stored.size, stored.content_type, stored.checksums) == (len(MEDIA), TYPE, {"sha256": digest})
        assert b"".join(local.open(key)) == MEDIA
        assert b"".join(local.open(key, len(MEDIA) - 3)) == MEDIA[-3:]
        assert [(item.key, item.size) for item in local.listing()] == [(key, len(MEDIA))]
        assert local.with_bytes([key]) == {key}
        local.copy(key, target)
        assert path_of(local, root, target).read_bytes() == MEDIA
        local.delete(key)
        local.delete(target)
        assert files(root) == []

    def test_an_upload_replaces_one(self, local, root):
        key = local.new_key("one")
        self.write(local, root, key)
        local.put(key, io.BytesIO(b"new"), "video/mp4")
        assert path_of(local, root, key).read_bytes() == b"new"
        assert local.head(key).content_type == "video/mp4"

    def test_a_crash_before_an_upload_replaces_one_keeps_it(self, local, root):
        key = local.new_key("one")
        self.write(local, root, key)
        records.append(path_of(local, root, key), records.Record(3, 1, bytes(32), "video/mp4"))
        assert b"".join(local.open(key)) == MEDIA

    def test_media_that_end_in_such_a_footer_stay_whole(self, local, root):
        old, key = local.new_key("one"), local.new_key("one")
        self.write(local, root, old)
        content = path_of(local, root, old).read_bytes()
        local.put(key, io.BytesIO(content), "application/x-backup")
        assert b"".join(local.open(key)) == content
        assert local.head(key).content_type == "application/x-backup"


def test_records_without_media_are_removed_once_they_are_old(local, root):
    kept, lost = local.new_key("one", TYPE), local.new_key("two", TYPE)
    for key in (kept, lost):
        local.put(key, io.BytesIO(MEDIA), TYPE)
    path_of(local, root, lost).unlink()
    assert local.tidy(3600) == 0
    assert local.tidy(-60) == 1
    assert files(root) == [path_of(local, root, kept), records.path_of(path_of(local, root, kept))]
    assert local.tidy(-60) == 0


def test_a_check_leaves_nothing(local, root):
    local.check()
    assert files(root) == []


def test_reading_closes_its_file(local):
    key = local.new_key("one")
    local.put(key, io.BytesIO(MEDIA), TYPE)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        next(local.open(key))
        local.open(key)
        local.head(key)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_large_object_is_not_held_in_memory(tmp_path):
    script = f"""
import resource, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
from tests.support.local_storage_server import local_storage
storage = local_storage(Path({str(tmp_path)!r}), max_upload=2**30)
class Zeros:
    left = 256
    def read(self, size):
        self.left -= 1
        return bytes(2**20) if self.left >= 0 else b""
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
key = storage.new_key("large")
stored = storage.put(key, Zeros(), "video/mp2t")
assert sum(len(piece) for piece in storage.open(key)) == stored.size == 2**28
storage.delete(key)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert int(done.stdout) < 8 * 1024


def upload_half(running, key):
    url = running.base + running.storage.put_url(key, TYPE, time.time_ns() // 1000)[0]
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port))
    connection.sendall(
        f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: {TYPE}\r\n"
        f"Content-Length: {len(MEDIA)}\r\n\r\n".encode()
    )
    connection.sendall(MEDIA[:-1])
    return connection


def wait_for_files(root, count):
    deadline = time.monotonic() + 10
    while len(files(root)) != count:
        assert time.monotonic() < deadline, files(root)
        time.sleep(0.02)

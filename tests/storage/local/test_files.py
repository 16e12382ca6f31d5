"""Files of local storage: after kills, on full and missing disks, with hostile names."""

from __future__ import annotations

import io
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tams.storage.port import BackendDown, ChecksumMismatch, MissingObject, TooLarge

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
        wait_for_files(own_server.root, 2)
        own_server.kill()

    assert b"".join(own_server.storage.open(key)) == b"old"
    assert len(files(own_server.root)) == 2
    assert own_server.storage.sweep(3600) == 0
    time.sleep(0.02)
    assert own_server.storage.sweep(0) == 1
    assert files(own_server.root) == [own_server.root / key]
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


def test_bytes_are_the_beginning_of_their_file(local, root):
    key = local.new_key("one")
    local.put(key, io.BytesIO(MEDIA), TYPE)
    assert path_of(local, root, key).read_bytes()[: len(MEDIA)] == MEDIA


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

"""Checksums that `hashlib` lacks, compared with published values and with their definition."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import threading
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tams.storage import checksums
from tams.storage.checksums import ALGORITHMS, SIZES, Verification
from tams.storage.port import ChecksumMismatch

IMPLEMENTATIONS = {
    **{f"portable {name}": make for name, make in checksums._PORTABLE.items()},
    **{f"native {name}": ALGORITHMS[name] for name in checksums._PORTABLE},
}
POLYNOMIALS = {"crc32c": (32, 0x1EDC6F41), "crc64nvme": (64, 0xAD93D23594C93659)}


def digest(algorithm, *pieces):
    checksum = ALGORITHMS[algorithm]()
    for piece in pieces:
        checksum.update(piece)
    return checksum.digest()


def bit_by_bit(algorithm, data):
    width, polynomial = POLYNOMIALS[algorithm]
    reflected = int(f"{polynomial:0{width}b}"[::-1], 2)
    ones = crc = (1 << width) - 1
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (reflected if crc & 1 else 0)
    return (crc ^ ones).to_bytes(width // 8, "big")


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [("crc32", "cbf43926"), ("crc32c", "e3069283"), ("crc64nvme", "ae8b14860a799888")],
)
def test_the_check_values_of_the_catalogue(algorithm, expected):
    assert digest(algorithm, b"123456789").hex() == expected


@pytest.mark.parametrize("name", sorted(POLYNOMIALS))
def test_the_extra_computes_what_its_twin_does(name):
    """The twin computes alone where the extra is not installed. Here it is, so both are compared."""
    assert isinstance(ALGORITHMS[name](), checksums._NativeCrc)
    source = random.Random(5)
    for _ in range(20):
        native, portable = ALGORITHMS[name](), checksums._PORTABLE[name]()
        for _ in range(source.randrange(5)):
            piece = source.randbytes(source.choice([0, 1, 7, 8, 4096, 262_144, 262_145, 600_000]))
            native.update(piece)
            portable.update(piece)
        assert native.digest() == portable.digest()


@pytest.mark.parametrize("name", sorted(POLYNOMIALS))
def test_the_portable_twin_lets_other_threads_work(name):
    """Without a pause, none would get Python's lock before the interval, which is 20 seconds here, ends."""
    turns, end = 0, threading.Event()

    def work():
        nonlocal turns
        while not end.is_set():
            turns += 1
            time.sleep(0.00001)

    interval = sys.getswitchinterval()
    worker = threading.Thread(target=work)
    worker.start()
    sys.setswitchinterval(20)
    try:
        before = turns
        checksums._PORTABLE[name]().update(bytes(8 * 1024 * 1024))
        after = turns
    finally:
        sys.setswitchinterval(interval)
        end.set()
        worker.join()
    assert after - before >= 16


def test_without_the_extra_the_twin_computes():
    program = (
        "import sys; sys.modules['awscrt'] = None\n"
        "from tams.storage.checksums import ALGORITHMS\n"
        "for name in ('crc32c', 'crc64nvme'):\n"
        "    digest = ALGORITHMS[name](); digest.update(b'123456789'); print(digest.digest().hex())"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output.split() == ["e3069283", "ae8b14860a799888"]


@pytest.mark.parametrize("implementation", sorted(IMPLEMENTATIONS))
@given(pieces=st.lists(st.binary(max_size=400), max_size=6))
def test_a_crc_follows_its_definition_however_the_bytes_are_split(implementation, pieces):
    checksum = IMPLEMENTATIONS[implementation]()
    for piece in pieces:
        checksum.update(piece)
    assert checksum.digest() == bit_by_bit(implementation.split()[1], b"".join(pieces))


def test_known_algorithms_agree_with_the_standard_library():
    data = b"media" * 1000
    assert digest("crc32", data) == zlib.crc32(data).to_bytes(4, "big")
    for name in ("md5", "sha1", "sha256"):
        assert digest(name, data) == hashlib.new(name, data).digest()
    assert SIZES == {"md5": 16, "sha1": 20, "sha256": 32, "crc32": 4, "crc32c": 4, "crc64nvme": 8}


def test_the_first_digest_that_differs_is_named():
    verification = Verification({"md5": hashlib.md5(b"ab").digest(), "crc32": bytes(4)})
    verification.update(b"a")
    verification.update(b"b")
    with pytest.raises(ChecksumMismatch, match="crc32"):
        verification.finish()

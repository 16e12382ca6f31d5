"""Checksums that `hashlib` lacks, compared with published values and with their definition."""

from __future__ import annotations

import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tams.storage.checksums import ALGORITHMS, SIZES, Verification
from tams.storage.port import ChecksumMismatch

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


@pytest.mark.parametrize("algorithm", sorted(POLYNOMIALS))
@given(pieces=st.lists(st.binary(max_size=400), max_size=6))
def test_a_crc_follows_its_definition_however_the_bytes_are_split(algorithm, pieces):
    assert digest(algorithm, *pieces) == bit_by_bit(algorithm, b"".join(pieces))


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

"""The storage keys of Objects in a bucket."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tams.config.parsers import LONGEST_PREFIX
from tams.storage.s3.keys import LONGEST_LEGIBLE, Keys

STORE_ID = "7c0d2a5e-11d4-4b62-9a9f-6a0c1f7e5b3d"
KEYS = Keys("tams/media/", STORE_ID)
LONGEST = Keys("p" * LONGEST_PREFIX + "/", STORE_ID)


def test_a_key_is_below_the_prefix_and_the_store():
    assert KEYS.new("6f9619ff-8b86-4d01-b42d-00c04fc964ff").startswith(f"tams/media/{STORE_ID}/")


def test_a_usual_id_is_legible_in_its_key():
    assert KEYS.new("6f9619ff-8b86-4d01-b42d-00c04fc964ff").endswith(".id.6f9619ff-8b86-4d01-b42d-00c04fc964ff")


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=1024).filter(
        lambda t: len(t.encode()) <= 1024
    )
)
def test_any_key_is_valid_and_leads_back_to_its_object(object_id):
    key = LONGEST.new(object_id)
    assert len(key) <= 1024
    assert re.fullmatch(r"[A-Za-z0-9._/-]+", key)
    assert all(0 < len(part) <= 255 for part in key.split("/"))
    assert not {".", ".."} & set(key.split("/"))
    legible = len(object_id.encode()) <= LONGEST_LEGIBLE
    assert LONGEST.object_id(key) == (object_id if legible else None)


@pytest.mark.parametrize("object_id", ["é" * 512, "x" * 1024, "🎬" * 256])
def test_the_longest_ids_have_keys(object_id):
    assert len(LONGEST.new(object_id)) <= 1024


def test_load_is_spread_from_the_first_digit_on():
    begin = len(KEYS.own)
    first = Counter(KEYS.new("the same")[begin] for _ in range(3200))
    assert len(first) == 16
    assert max(first.values()) < 300


@pytest.mark.parametrize(
    "key",
    [
        "",
        "something/else",
        f"tams/media/{STORE_ID}/",
        f"tams/media/{STORE_ID}/abc",
        f"tams/media/{STORE_ID}/abc/{'0' * 29}.b64.a",
        f"tams/media/{STORE_ID}/abc/{'0' * 29}.b64._w",
        f"other/{STORE_ID}/abc/{'0' * 29}.id.x",
    ],
)
def test_other_keys_lead_nowhere(key):
    assert KEYS.object_id(key) is None


def test_another_store_in_the_same_bucket_is_another():
    other = Keys("tams/media/", "00000000-0000-4000-8000-000000000000")
    assert KEYS.object_id(other.new("x")) is None

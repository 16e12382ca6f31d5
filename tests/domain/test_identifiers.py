"""Ids that the store makes."""

from __future__ import annotations

import time
import uuid

from tams.domain.identifiers import is_uuid, new_id, new_object_id


def test_an_id_is_a_version_4_uuid() -> None:
    new = new_id()
    assert is_uuid(new)
    assert uuid.UUID(new).version == 4


def test_an_object_id_begins_with_its_moment() -> None:
    before = time.time_ns() // 1_000_000
    new = new_object_id()
    after = time.time_ns() // 1_000_000
    assert is_uuid(new)
    assert before <= uuid.UUID(new).int >> 80 <= after


def test_object_ids_are_never_the_same() -> None:
    assert len({new_object_id() for _ in range(10_000)}) == 10_000

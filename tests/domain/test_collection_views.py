"""Collections of which a part is hidden from their reader."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tams.domain.collection_views import with_hidden_members

ITEMS = st.lists(st.sampled_from("abcdefgh"), unique=True)


@given(ITEMS, ITEMS, st.sets(st.sampled_from("abcdefgh")))
def test_hidden_members_stay_and_visible_ones_are_as_written(
    stored: list[str], written: list[str], readable: set[str]
) -> None:
    written = [item_id for item_id in written if item_id in readable]
    merged = [
        item["id"]
        for item in with_hidden_members(
            [{"id": item_id} for item_id in written], [{"id": item_id} for item_id in stored], readable
        )
    ]
    hidden = [item_id for item_id in stored if item_id not in readable]
    assert [item_id for item_id in merged if item_id in readable] == written
    assert sorted(item_id for item_id in merged if item_id not in readable) == sorted(hidden)


@given(ITEMS, st.sets(st.sampled_from("abcdefgh")))
def test_writing_back_what_was_read_changes_nothing(stored: list[str], readable: set[str]) -> None:
    items = [{"id": item_id} for item_id in stored]
    assert with_hidden_members([item for item in items if item["id"] in readable], items, readable) == items

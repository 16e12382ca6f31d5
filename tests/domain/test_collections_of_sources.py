"""Collections of Sources, derived from those of their Flows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tams.domain.collections import Member, derive, member_ids, without


def _members(*source_ids: str) -> list[Member]:
    return [Member(source_id, None) for source_id in source_ids]


def _order(*collections: str) -> list[str]:
    return [item["id"] for item in derive([_members(*collection) for collection in collections]).items]


@pytest.mark.parametrize(
    ("collections", "expected"),
    [
        ((), ""),
        (("",), ""),
        (("abc",), "abc"),
        (("cba", "abc"), "cba"),
        (("ab", "cd"), "abcd"),
        (("ac", "abc"), "abc"),
        (("ac", "bc"), "abc"),
        (("ac", "ca"), "ac"),
        (("ab", "bc", "ca"), "abc"),
        (("aba",), "ab"),
        (("bd", "abcde"), "abcde"),
    ],
)
def test_the_union_keeps_every_order_it_can_the_oldest_flow_first(collections: tuple[str, ...], expected: str) -> None:
    assert "".join(_order(*collections)) == expected


@pytest.mark.parametrize("collections", [("ab", "ba"), ("abc", "cb"), ("ab", "bc", "ca")])
def test_flows_that_cannot_be_reconciled_disagree_about_the_order(collections: tuple[str, ...]) -> None:
    assert derive([_members(*collection) for collection in collections]).disagreements


@pytest.mark.parametrize("collections", [(), ("abc",), ("abc", "ac", "bc"), ("ab", "cd", "bc"), ("aba", "ab")])
def test_flows_that_can_be_reconciled_do_not_disagree(collections: tuple[str, ...]) -> None:
    assert derive([_members(*collection) for collection in collections]).disagreements == ()


def test_a_role_counts_where_it_is_given() -> None:
    derived = derive([[Member("a", None), Member("b", "audio")], [Member("a", "video"), Member("b", "audio")]])
    assert derived.items == ({"id": "a", "role": "video"}, {"id": "b", "role": "audio"})
    assert derived.disagreements == ()


def test_two_roles_for_one_source_are_a_disagreement_and_the_older_one_stays() -> None:
    derived = derive([[Member("a", "video")], [Member("a", "subtitles")]])
    assert derived.items == ({"id": "a", "role": "video"},)
    sentence = 'the role of Source a is "video" and cannot be "subtitles" too'
    assert derived.disagreements == ((sentence, ("a",)),)


@given(st.lists(st.lists(st.sampled_from("abcdef"), unique=True), max_size=4))
def test_every_member_is_in_the_union_once_and_no_agreed_order_is_broken(collections: list[list[str]]) -> None:
    derived = derive([_members(*collection) for collection in collections])
    merged = [item["id"] for item in derived.items]
    assert sorted(merged) == sorted(set().union(*collections))
    if not derived.disagreements:
        for collection in collections:
            assert [source_id for source_id in merged if source_id in collection] == collection


@given(st.permutations("abcdef"), st.lists(st.sets(st.sampled_from("abcdef")), max_size=4))
def test_parts_of_one_order_never_disagree(order: list[str], parts: list[set[str]]) -> None:
    collections = [[source_id for source_id in order if source_id in part] for part in parts]
    assert derive([_members(*collection) for collection in collections]).disagreements == ()


def test_members_are_named_once_and_can_be_taken_out() -> None:
    document = {"flow_collection": [{"id": "a"}, {"id": "b", "role": "x"}, {"id": "a", "role": "y"}]}
    assert member_ids(document) == ("a", "b")
    assert without(document, "a") == {"flow_collection": [{"id": "b", "role": "x"}]}
    assert member_ids({}) == ()

"""`get_urls`: rules for those that a client sends, and filters for those that are shown."""

from __future__ import annotations

from itertools import product

import pytest

from tams.domain.filters import TagFilter
from tams.domain.get_urls import LABEL_BYTES, UrlFilter, check_label, check_text, check_url

Backend = tuple[str, str, dict[str, str | list[str]]]
DISK: Backend = ("d1a1a1a1-1111-4111-8111-111111111111", "disk", {"tier": "fast", "site": ["a", "b"]})
TAPE: Backend = ("7a7a7a7a-2222-4222-8222-222222222222", "tape", {})


def test_without_filters_everything_is_shown() -> None:
    everything = UrlFilter()
    assert everything.shows_backend(*DISK)
    assert everything.shows_uncontrolled("mine")
    assert not everything.shows_nothing


def test_an_empty_list_of_labels_shows_nothing() -> None:
    nothing = UrlFilter(labels=frozenset())
    assert nothing.shows_nothing
    assert not nothing.shows_backend(*DISK)
    assert not nothing.shows_uncontrolled("mine")


def test_labels_choose_among_backends_and_clients_urls_alike() -> None:
    url_filter = UrlFilter(labels=frozenset({"disk", "mine"}))
    assert url_filter.shows_backend(*DISK)
    assert not url_filter.shows_backend(*TAPE)
    assert url_filter.shows_uncontrolled("mine")
    assert not url_filter.shows_uncontrolled("yours")
    assert not url_filter.shows_uncontrolled(None)


def test_storage_ids_leave_out_what_is_in_no_backend() -> None:
    url_filter = UrlFilter(storage_ids=frozenset({TAPE[0]}))
    assert url_filter.shows_backend(*TAPE)
    assert not url_filter.shows_backend(*DISK)
    assert not url_filter.shows_uncontrolled("mine")


def test_a_clients_url_is_not_presigned() -> None:
    assert not UrlFilter(presigned=True).shows_uncontrolled("mine")
    assert UrlFilter(presigned=False).shows_uncontrolled("mine")


@pytest.mark.parametrize(
    ("tags", "disk", "tape", "uncontrolled"),
    [
        (TagFilter(any_of=(("tier", ("fast", "slow")),)), True, False, False),
        (TagFilter(any_of=(("site", ("b",)),)), True, False, False),
        (TagFilter(any_of=(("tier", ("slow",)),)), False, False, False),
        (TagFilter(exists=(("tier", True),)), True, False, False),
        (TagFilter(exists=(("tier", False),)), False, True, True),
    ],
)
def test_tags_are_those_of_the_backend(tags: TagFilter, disk: bool, tape: bool, uncontrolled: bool) -> None:
    url_filter = UrlFilter(backend_tags=tags)
    assert url_filter.shows_backend(*DISK) is disk
    assert url_filter.shows_backend(*TAPE) is tape
    assert url_filter.shows_uncontrolled("mine") is uncontrolled


def test_filters_combine() -> None:
    labels = (None, frozenset({"disk"}), frozenset({"tape"}))
    storage_ids = (None, frozenset({DISK[0]}), frozenset({TAPE[0]}))
    tags = (TagFilter(), TagFilter(exists=(("tier", True),)))
    for values in product(labels, storage_ids, tags):
        label, storage_id, tag = values
        alone = (UrlFilter(labels=label), UrlFilter(storage_ids=storage_id), UrlFilter(backend_tags=tag))
        together = UrlFilter(labels=label, storage_ids=storage_id, backend_tags=tag)
        for backend in (DISK, TAPE):
            assert together.shows_backend(*backend) == all(one.shows_backend(*backend) for one in alone)
        assert together.shows_uncontrolled("mine") == all(one.shows_uncontrolled("mine") for one in alone)


@pytest.mark.parametrize(
    "url",
    [
        "http://a",
        "https://example.com",
        "https://example.com/",
        "HTTPS://example.com/a%20b?c=d&e=f#g",
        "https://user:password@example.com:8443/a",
        "http://[2001:db8::1]:80/a",
        "http://192.0.2.1?x",
        "https://bücher.example/ü",
    ],
)
def test_absolute_http_urls_are_taken(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "", "a", "/a", "//example.com/a", "example.com/a", "http://", "http:///a", "https:a", "ftp://example.com/a",
        "javascript:alert(1)", "http://exa mple.com", "http://example.com/a b", "http://example.com/a\nb",
        " http://example.com", "http://example.com ", "http://example.com:port/", "http://example.com/\x00",
        "http://example.com/<a>", "https://example.com/" + "a" * 8192, None, 5, ["http://a"], {},
    ],
)  # fmt: skip
def test_other_urls_are_refused(url: object) -> None:
    with pytest.raises(ValueError, match=r"expected|must not"):
        check_url(url)


@pytest.mark.parametrize("label", ["a", "a b", "é", "ü" * (LABEL_BYTES // 2), "x" * LABEL_BYTES])
def test_labels_are_taken(label: str) -> None:
    assert check_label(label) == label


@pytest.mark.parametrize(
    "label", ["", "a,b", ",", "x" * (LABEL_BYTES + 1), "ü" * (LABEL_BYTES // 2 + 1), "a\x00", None, 1, ["a"]]
)
def test_other_labels_are_refused(label: object) -> None:
    with pytest.raises(ValueError, match=r"expected|must not"):
        check_label(label)


@pytest.mark.parametrize("character", ["a", "ü", "€", "𝄞"])
def test_texts_are_measured_in_bytes(character: str) -> None:
    width = len(character.encode())
    assert check_text(character * (24 // width), 24)
    with pytest.raises(ValueError, match="24 bytes"):
        check_text(character * (24 // width) + "a", 24)

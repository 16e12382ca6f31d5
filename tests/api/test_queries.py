"""Query strings: known parameters are checked strictly, and unknown ones are ignored."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from marshmallow import ValidationError

from tams.api.query_string import load_query
from tams.api.schemas.base import Query
from tams.api.schemas.fields import (
    Boolean,
    CommaSeparated,
    Format,
    Integer,
    MimeType,
    Text,
    Timerange,
    Uuid,
)
from tams.api.schemas.objects import ObjectQuery
from tams.api.schemas.queries import (
    ListingQuery,
    TaggedListingQuery,
)
from tams.api.validation import from_validation
from tams.domain.errors import Invalid
from tams.domain.filters import TagFilter
from tams.domain.timerange import ETERNITY, NEVER, TimeRange

A = "60af2ab4-e8a5-4c65-a09b-d35983680315"
B = "323367fd-21bb-4f2e-ad38-faf048c4ccfc"


class Everything(ListingQuery):
    timerange = Timerange()
    flag = Boolean()
    id = Uuid()
    ids = CommaSeparated(Uuid())
    labels = CommaSeparated(Text())
    format = Format()
    codec = MimeType()
    width = Integer()
    label = Text()


SCHEMA = Everything()


def load(app: Flask, query: str, schema: Query = SCHEMA) -> dict[str, Any]:
    with app.test_request_context(f"/?{query}"):
        try:
            return load_query(schema)
        except ValidationError as error:
            raise from_validation(error) from error


@pytest.mark.parametrize(
    ("query", "name", "value"),
    [
        ("timerange=[0:0_10:0)", "timerange", TimeRange(0, 10_000_000_000)),
        ("timerange=%5B0:0_10:0%29", "timerange", TimeRange(0, 10_000_000_000)),
        ("timerange=_", "timerange", ETERNITY),
        ("timerange=", "timerange", NEVER),
        ("timerange=()", "timerange", NEVER),
        ("flag=TRUE", "flag", True),
        ("flag=False", "flag", False),
        (f"id={A}", "id", A),
        (f"ids={A},{B}", "ids", (A, B)),
        (f"ids={A}%2C{B}", "ids", (A, B)),
        ("ids=", "ids", ()),
        ("labels=a%2Cb", "labels", ("a", "b")),
        ("labels=a,b", "labels", ("a", "b")),
        ("labels=", "labels", ()),
        ("format=urn:x-nmos:format:video", "format", "urn:x-nmos:format:video"),
        ("codec=video/h264", "codec", "video/h264"),
        ("codec=image/svg%2Bxml", "codec", "image/svg+xml"),
        ("width=1920", "width", 1920),
        ("limit=99999999999999999999999", "limit", 2**63 - 1),
        ("label=", "label", ""),
        ("label=a%26b=c+d", "label", "a&b=c d"),
        ("label=caf%C3%A9", "label", "café"),
        ("label=x&label=x", "label", "x"),
    ],
)
def test_a_parameter_is_understood(app: Flask, query: str, name: str, value: Any) -> None:
    assert load(app, query)[name] == value


@pytest.mark.parametrize(
    "query",
    [
        "timerange=yesterday",
        "timerange=[0:0_10:00)",
        "flag=1",
        "flag=",
        "flag=yes",
        f"id={A.upper()}",
        "id=",
        f"ids={A},",
        f"ids={A}, {B}",
        "ids=,",
        "labels=a,,b",
        "labels=,",
        "format=video",
        "format=",
        "codec=h264",
        "codec=video/h264;x=1",
        "width=",
        "width=wide",
        "width=1.0",
        "width=+1",
        "width=%D9%A1",
        "width=9223372036854775808",
        "width=" + "9" * 3000,
        "limit=0",
        "limit=-1",
        "limit=ten",
        "label=%00",
        "label=%FF",
        "label=%ED%A0%80",
        "label=x&label=y",
        "reverse_order=maybe",
    ],
)
def test_a_malformed_parameter_is_refused_by_name(app: Flask, query: str) -> None:
    with pytest.raises(Invalid) as refusal:
        load(app, query)
    assert list(refusal.value.errors) == [query.partition("=")[0]]


@pytest.mark.parametrize("query", ["", "&", "&&=&", "=", "%", "%zz", "unknown=%FF%00", "a=1&a=2", ";;", "a[]=1", "?"])
def test_unknown_parameters_are_ignored_however_they_look(app: Flask, query: str) -> None:
    assert load(app, query) == {"reverse_order": False}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", TagFilter()),
        ("tag.a=x", TagFilter(any_of=(("a", ("x",)),))),
        ("tag.a=x%2Cy", TagFilter(any_of=(("a", ("x", "y")),))),
        ("tag.a=x&tag.a=y", TagFilter(any_of=(("a", ("x",)), ("a", ("y",))))),
        ("tag.a.b%20c%2Fd=x", TagFilter(any_of=(("a.b c/d", ("x",)),))),
        ("tag.%3D%26=x", TagFilter(any_of=(("=&", ("x",)),))),
        ("tag.a=", TagFilter(any_of=(("a", ()),))),
        ("tag_exists.a=True&tag_exists.b=false", TagFilter(exists=(("a", True), ("b", False)))),
        ("flow_tag.a=x&tags.a=x&tag=x", TagFilter()),
    ],
)
def test_tag_filters_are_read_from_names(app: Flask, query: str, expected: TagFilter) -> None:
    assert load(app, query, TaggedListingQuery())["tags"] == expected


def test_tag_filters_of_other_things_have_a_prefix(app: Flask) -> None:
    query = load(app, "flow_tag.a=x&flow_tag_exists.b=true&tag.c=y&storage_backend_tag.d=z", ObjectQuery())
    assert query["flow_tags"] == TagFilter(any_of=(("a", ("x",)),), exists=(("b", True),))
    assert query["backend_tags"] == TagFilter(any_of=(("d", ("z",)),))


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("tag.a=x,,y", "tag.a"),
        ("tag.a=,", "tag.a"),
        ("tag.a=%00", "tag.a"),
        ("tag.%FF=x", "tag.?"),
        ("tag_exists.a=1", "tag_exists.a"),
        ("tag_exists.a=", "tag_exists.a"),
        ("tag_exists.a=true&tag_exists.b=1", "tag_exists.b"),
    ],
)
def test_a_malformed_tag_filter_is_refused_by_name(app: Flask, query: str, parameter: str) -> None:
    with pytest.raises(Invalid) as refusal:
        load(app, query, TaggedListingQuery())
    assert list(refusal.value.errors) == [parameter]


def test_an_empty_list_of_values_selects_nothing() -> None:
    assert not TagFilter(any_of=(("a", ()),)).matches({"a": "x", "b": ""})

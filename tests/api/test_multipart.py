"""Registering a Segment together with its bytes: multipart/form-data with `segment_data` before `file`."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from tams.api.context import STORE
from tams.api.multipart import MAX_SKIPPED, Multipart
from tams.domain import clock
from tams.domain.errors import Invalid, Unavailable
from tams.domain.identifiers import is_uuid, new_id
from tams.domain.principals import UNRESTRICTED
from tams.domain.segment_requests import parse_requests
from tams.repository.port import Write
from tams.services.objects.byte_deletion import DELETE_BYTES
from tams.services.segments import registration
from tams.services.store import Store
from tams.storage.checksums import ALGORITHMS
from tests.support.api_steps import allocate, exists, make_flow, record, register, timeranges
from tests.support.multipart import BOUNDARY, SEGMENT, body_of, send, upload


def digest_of(algorithm: str, content: bytes) -> bytes:
    """Return the checksum of the content."""
    digest = ALGORITHMS[algorithm]()
    digest.update(content)
    return digest.digest()


def stored_files(store: Store) -> int:
    """Count the files that hold media."""
    media = store.settings.data_dir / "media"
    return sum(path.is_file() for path in media.rglob("*"))


def due_deletions(store: Store) -> set[str]:
    """Return the storage keys of the bytes that the worker would delete now."""
    return {job.job_id for job in store.repository.lease(DELETE_BYTES, "test", 100, 1)}


@pytest.fixture
def flow_id(client: FlaskClient) -> str:
    """Make a Flow that accepts Segments."""
    return make_flow(client)


def test_bytes_and_segment_are_stored(client: FlaskClient, store: Store, flow_id: str) -> None:
    answer = upload(client, flow_id, {**SEGMENT, "key_frame_count": 1})
    assert answer.status_code == 201, answer.text
    assert is_uuid(answer.json["object_id"])
    (listed,) = client.get(f"/flows/{flow_id}/segments").json
    assert answer.json.keys() == listed.keys()
    assert answer.json["timerange"] == "[0:0_1:0)"
    assert answer.headers["Cache-Control"] == "no-store"
    got = client.get(answer.json["get_urls"][0]["url"])
    assert (got.data, got.content_type) == (b"media", "application/octet-stream")
    document = client.get(f"/objects/{answer.json['object_id']}").json
    assert (document["first_referenced_by_flow"], document["key_frame_count"]) == (flow_id, 1)
    assert due_deletions(store) == set()


def test_a_form_as_common_clients_send_it_is_accepted(client: FlaskClient, flow_id: str) -> None:
    form = {
        "segment_data": (io.BytesIO(json.dumps({"object_id": "a/b", **SEGMENT}).encode()), "segment.json"),
        "file": (io.BytesIO(b"media"), "media.ts", "video/mp2t"),
    }
    answer = client.post(f"/flows/{flow_id}/segments", data=form, content_type="multipart/form-data")
    assert answer.status_code == 201, answer.text
    assert answer.json["object_id"] == "a/b"


def test_other_parts_are_skipped(client: FlaskClient, flow_id: str) -> None:
    segment = json.dumps(SEGMENT).encode()
    body = body_of(("first", b"x" * 100_000), ("segment_data", segment), ("", b""), ("file", b"media"), ("last", b"y"))
    answer = send(client, flow_id, body)
    assert answer.status_code == 201
    assert client.get(answer.json["get_urls"][0]["url"]).data == b"media"


def test_an_empty_file_is_accepted(client: FlaskClient, flow_id: str) -> None:
    answer = upload(client, flow_id, SEGMENT, b"")
    assert answer.status_code == 201
    assert client.get(answer.json["get_urls"][0]["url"]).data == b""


def test_an_object_allocated_to_this_flow_can_be_uploaded(client: FlaskClient, store: Store, flow_id: str) -> None:
    allocated = client.post(f"/flows/{flow_id}/storage", json={"limit": 1}).json["media_objects"][0]
    put = allocated["put_url"]
    assert client.put(put["url"], data=b"before", content_type=put["content-type"]).status_code == 200
    answer = upload(client, flow_id, {**SEGMENT, "object_id": allocated["object_id"]})
    assert answer.status_code == 201, answer.text
    (entry,) = client.get(f"/objects/{allocated['object_id']}").json["get_urls"]
    assert client.get(entry["url"]).data == b"media"
    # The earlier bytes have a different storage key, and are no longer needed.
    (key,) = due_deletions(store)
    assert key in put["url"]


def test_an_id_in_use_is_refused(client: FlaskClient, store: Store, flow_id: str) -> None:
    (registered,) = record(client, flow_id, 1)
    (elsewhere,) = allocate(client, make_flow(client))
    for object_id in (registered, elsewhere):
        answer = upload(client, flow_id, {"object_id": object_id, "timerange": "[5:0_6:0)"})
        assert (answer.status_code, list(answer.json["errors"])) == (400, ["object_id"])
    assert timeranges(client, flow_id) == ["[0:0_1:0)"]
    assert stored_files(store) == 0


@pytest.mark.parametrize(
    ("segment", "paths"),
    [
        ({}, ["timerange"]),
        ({"timerange": "_", "object_id": ""}, ["object_id", "timerange"]),
        ([SEGMENT], ["segment_data"]),
        (5, ["segment_data"]),
        ({**SEGMENT, "init_object_id": "nothing"}, ["init_object_id"]),
        ({**SEGMENT, "object_timerange": "[5:0_6:0)"}, ["timerange"]),
        ({**SEGMENT, "get_urls": [{"url": "https://example.com/a", "label": "a"}]}, ["get_urls[0]"]),
        ({"timerange": "[10:500000000_11:0)"}, ["timerange"]),
    ],
)
def test_a_refused_segment_leaves_neither_record_nor_bytes(
    client: FlaskClient, store: Store, flow_id: str, segment: Any, paths: list[str]
) -> None:
    register(client, flow_id, "there", "[10:0_11:0)", get_urls=[{"url": "https://example.com/t", "label": "t"}])
    answer = upload(client, flow_id, {"object_id": "mine", **segment} if isinstance(segment, dict) else segment)
    assert answer.status_code == 400, answer.text
    assert sorted(answer.json["errors"]) == paths
    assert timeranges(client, flow_id) == ["[10:0_11:0)"]
    assert not exists(client, "/objects/mine")
    assert stored_files(store) == 0
    # The id is still free.
    assert client.post(f"/flows/{flow_id}/storage", json={"object_ids": ["mine"]}).status_code == 201


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (body_of(), "file"),
        (body_of(("segment_data", b'{"timerange": "[0:0_1:0)"}')), "file"),
        (body_of(("file", b"media")), "segment_data"),
        (body_of(("file", b"media"), ("segment_data", b'{"timerange": "[0:0_1:0)"}')), "segment_data"),
        (body_of(("segment_data", b"{"), ("file", b"media")), "segment_data"),
        (body_of(("segment_data", b"\xff"), ("file", b"media")), "segment_data"),
        (
            body_of(
                ("segment_data", b'{"timerange": "[0:0_1:0)"}'),
                ("segment_data", b'{"timerange": "[5:0_6:0)"}'),
                ("file", b"media"),
            ),
            "segment_data",
        ),
    ],
)
def test_both_parts_are_needed_once_and_in_their_order(
    client: FlaskClient, flow_id: str, body: bytes, path: str
) -> None:
    answer = send(client, flow_id, body)
    assert (answer.status_code, list(answer.json["errors"])) == (400, [path]), answer.text


@pytest.mark.parametrize(
    ("unknown", "path"),
    [
        (rb'"a\u0000"', "unknown"),
        (b"9223372036854775808", "unknown"),
        (b"[" * 200 + b"]" * 200, "body"),
    ],
)
def test_segment_data_is_checked_like_any_other_body(
    client: FlaskClient, store: Store, flow_id: str, unknown: bytes, path: str
) -> None:
    segment = b'{"timerange": "[0:0_1:0)", "unknown": ' + unknown + b"}"
    answer = send(client, flow_id, body_of(("segment_data", segment), ("file", b"media")))
    assert (answer.status_code, list(answer.json["errors"])) == (400, [path]), answer.text
    assert (timeranges(client, flow_id), stored_files(store)) == ([], 0)


@pytest.mark.parametrize(
    "body",
    [b"", b"no form", f"--{BOUNDARY}".encode(), body_of(("segment_data", b"{}"), ("file", b"media"))[:-15]],
)
def test_a_body_that_is_cut_off_stores_nothing(client: FlaskClient, store: Store, flow_id: str, body: bytes) -> None:
    assert send(client, flow_id, body).status_code == 400
    assert (timeranges(client, flow_id), stored_files(store)) == ([], 0)


def test_an_upload_that_breaks_off_leaves_nothing(client: FlaskClient, store: Store, flow_id: str) -> None:
    whole = body_of(("segment_data", json.dumps({"object_id": "mine", **SEGMENT}).encode()), ("file", b"x" * 1_000_000))
    assert send(client, flow_id, whole[:700_000]).status_code == 400
    assert (timeranges(client, flow_id), stored_files(store)) == ([], 0)
    assert not exists(client, "/objects/mine")
    # The storage key is queued, so the worker deletes any bytes that were stored.
    assert len(due_deletions(store)) == 1


def test_a_boundary_is_needed(client: FlaskClient, flow_id: str) -> None:
    for parameter in ("", "; boundary=", f"; boundary={'x' * 500}"):
        content_type = f"multipart/form-data{parameter}"
        answer = client.post(f"/flows/{flow_id}/segments", data=body_of(), content_type=content_type)
        assert answer.status_code == 400


def test_the_flow_is_checked_first(client: FlaskClient, flow_id: str) -> None:
    assert upload(client, new_id(), SEGMENT).status_code == 404
    assert client.put(f"/flows/{flow_id}/read_only", json=True).status_code == 204
    assert send(client, flow_id, b"no form").status_code == 403


def test_the_timerange_may_be_taken_during_the_upload(client: FlaskClient, store: Store, flow_id: str) -> None:
    """The Segment is checked again after the upload: of two Segments for the same timerange, one is stored."""
    (other,) = allocate(client, flow_id)

    class Slow(io.BytesIO):
        """Media during whose upload another client registers first; it would wait if a transaction were open."""

        def read(self, size: int | None = -1, /) -> bytes:
            if not timeranges(client, flow_id):
                register(client, flow_id, other, "[0:500000000_2:0)")
            return super().read(size)

    (request,) = parse_requests({"object_id": "mine", **SEGMENT})
    with pytest.raises(Invalid) as caught:
        registration.upload(store, flow_id, request, Slow(b"media"), UNRESTRICTED)
    assert list(caught.value.errors) == ["timerange"]
    assert timeranges(client, flow_id) == ["[0:500000000_2:0)"]
    assert not exists(client, "/objects/mine")
    assert len(due_deletions(store)) == 1


def test_no_record_is_stored_during_the_upload(client: FlaskClient, store: Store, flow_id: str) -> None:
    """A killed process leaves only bytes, whose deletion is queued for a time after the longest upload."""
    moments = [clock.now()]
    patient = replace(store, now=lambda: moments[-1])

    class Slow(io.BytesIO):
        """Media whose upload takes two days."""

        def read(self, size: int | None = -1, /) -> bytes:
            with store.repository.read() as read:
                assert read.objects(["mine"]) == {}
            moments.append(moments[0] + 2 * 86_400_000_000)
            return super().read(size)

    (request,) = parse_requests({"object_id": "mine", **SEGMENT})
    with pytest.raises(Unavailable, match="longer than a day"):
        registration.upload(patient, flow_id, request, Slow(b"media"), UNRESTRICTED)
    assert not exists(client, "/objects/mine")
    assert timeranges(client, flow_id) == []


def test_an_upload_may_be_larger_than_any_json(app: Flask) -> None:
    store: Store = app.extensions[STORE]
    client = app.test_client()
    flow_id = make_flow(client)
    media = b"\r\n--frontie" * (store.settings.max_body // 8)
    assert len(media) > store.settings.max_body
    answer = upload(client, flow_id, SEGMENT, media)
    assert answer.status_code == 201, answer.text
    assert client.get(answer.json["get_urls"][0]["url"]).data == media


def test_uploads_have_a_limit_of_their_own(app: Flask, store: Store) -> None:
    app.extensions[STORE] = replace(store, settings=replace(store.settings, max_upload=1000, max_body=1000))
    client = app.test_client()
    flow_id = make_flow(client)
    assert upload(client, flow_id, SEGMENT, b"x" * 2_000_000).status_code == 413
    assert upload(client, flow_id, {**SEGMENT, "x": "x" * 2000}).status_code == 413
    assert timeranges(client, flow_id) == []


class Endless:
    """A body of a given size that is generated while it is read."""

    def __init__(self, head: bytes, size: int, tail: bytes) -> None:
        self._pieces = self._make(head, size, tail)

    def _make(self, head: bytes, size: int, tail: bytes) -> Iterator[bytes]:
        yield head
        piece = b"\xab" * 65536
        for _ in range(size // len(piece)):
            yield piece
        yield tail

    def read(self, _size: int) -> bytes:
        """Return the next piece."""
        return next(self._pieces, b"")


def test_a_large_file_is_never_held_as_a_whole() -> None:
    size = 64 * 1024 * 1024
    head, tail = body_of(("file", b"|")).split(b"|")
    parts = Multipart(Endless(head, size, tail), BOUNDARY)
    assert parts.next_part() == "file"
    tracemalloc.start()
    try:
        received = 0
        while piece := parts.read():
            received += len(piece)
        assert received == size
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert parts.next_part() is None


class Dripping:
    """A body that arrives in pieces of the given sizes, in turn."""

    def __init__(self, body: bytes, sizes: list[int]) -> None:
        self._body = io.BytesIO(body)
        self._sizes = sizes
        self._turn = 0

    def read(self, size: int) -> bytes:
        """Return the next piece."""
        self._turn += 1
        return self._body.read(min(size, self._sizes[self._turn % len(self._sizes)]))


# Contents that resemble the end of a part.
tricky = st.lists(
    st.sampled_from([b"\r", b"\n", b"-", b"\r\n", b"\r\n--", b"\r\n--frontie", b"--frontier", b"--", b"x"]),
    max_size=12,
).map(b"".join)


@given(first=tricky, second=tricky, sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4))
def test_every_byte_arrives_whatever_the_size_of_the_pieces(first: bytes, second: bytes, sizes: list[int]) -> None:
    end = b"\r\n--frontier"
    # Contents that end a part themselves cannot be sent with this boundary.
    if any(end in b"\r\n" + content + b"\r\n" for content in (first, second)):
        return
    parts = Multipart(Dripping(body_of(("one", first), ("two", second)), sizes), BOUNDARY)
    for name, content in (("one", first), ("two", second)):
        assert parts.next_part() == name
        assert parts.read_whole(1000) == content
        assert parts.read() == b""
    assert parts.next_part() is None


def test_a_broken_stream_is_refused() -> None:
    class Broken:
        def read(self, _size: int) -> bytes:
            raise ConnectionResetError

    with pytest.raises(Invalid, match="broke off"):
        Multipart(Broken(), BOUNDARY).next_part()


def test_a_flow_of_earlier_versions_whose_container_no_header_can_carry(
    client: FlaskClient, store: Store, flow_id: str
) -> None:
    def transact(tx: Write) -> None:
        tx.claim(("flow", flow_id))
        flow = tx.flow(flow_id)
        assert flow is not None
        tx.put_flow(replace(flow, metadata={**flow.metadata, "container": "a/\u0001"}))

    store.write(transact)
    answer = upload(client, flow_id, SEGMENT)
    assert answer.status_code == 201, answer.text
    assert client.get(answer.json["get_urls"][0]["url"]).content_type == "application/octet-stream"
    put = client.post(f"/flows/{flow_id}/storage", json={"limit": 1}).json["media_objects"][0]["put_url"]
    assert put["content-type"] == "application/octet-stream"
    assert client.put(put["url"], data=b"media", content_type=put["content-type"]).status_code == 200


SEGMENT_PART = ("segment_data", json.dumps(SEGMENT).encode())
GOOD = {
    "Content-MD5": base64.b64encode(digest_of("md5", b"media")).decode(),
    "Content-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(b'media').digest()).decode()}:",
    "Repr-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(b'media').digest()).decode()}:",
    **{
        f"x-amz-checksum-{name}": base64.b64encode(digest_of(name, b"media")).decode()
        for name in ("crc32", "crc32c", "crc64nvme", "sha1", "sha256")
    },
}


def part(name: str, content: bytes, *headers: str) -> bytes:
    """Encode a part with these headers, and its delimiter."""
    lines = [f"--{BOUNDARY}", f'Content-Disposition: form-data; name="{name}"', *headers, "", ""]
    return "\r\n".join(lines).encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()
CODED = ["Content-Encoding: gzip", "Content-Transfer-Encoding: base64", "Content-Range: bytes 0-4/5"]


@pytest.mark.parametrize("header", sorted(GOOD))
def test_the_checksum_of_a_part_is_compared(client: FlaskClient, store: Store, flow_id: str, header: str) -> None:
    segment = part(*SEGMENT_PART)
    for content in (b"other", b"medi", b""):
        answer = send(client, flow_id, segment + part("file", content, f"{header}: {GOOD[header]}") + END)
        assert (answer.status_code, stored_files(store)) == (400, 0), answer.text
    assert timeranges(client, flow_id) == []
    answer = send(client, flow_id, segment + part("file", b"media", f"{header}: {GOOD[header]}") + END)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("header", sorted(GOOD))
def test_the_checksum_of_a_whole_form_is_compared(client: FlaskClient, store: Store, flow_id: str, header: str) -> None:
    body = body_of(SEGMENT_PART, ("file", b"media"), ("last", b"")) + b"epilogue"
    name = {"Content-MD5": "md5"}.get(header, header.removeprefix("x-amz-checksum-"))
    name = "sha256" if name.endswith("Digest") else name
    text = base64.b64encode(digest_of(name, body)).decode()
    value = f"sha-256=:{text}:" if header.endswith("Digest") else text
    answer = send(client, flow_id, body, {header: GOOD[header]})
    assert (answer.status_code, stored_files(store), timeranges(client, flow_id)) == (400, 0, []), answer.text
    assert send(client, flow_id, body[:-1] + b"X", {header: value}).status_code == 400
    assert send(client, flow_id, body, {header: value}).status_code == 201


def test_the_checksum_of_segment_data_is_compared(client: FlaskClient, flow_id: str) -> None:
    body = part(*SEGMENT_PART, f"Content-MD5: {GOOD['Content-MD5']}") + part("file", b"media") + END
    assert send(client, flow_id, body).status_code == 400
    digest = base64.b64encode(hashlib.md5(SEGMENT_PART[1]).digest()).decode()
    body = part(*SEGMENT_PART, f"Content-MD5: {digest}") + part("file", b"media") + END
    assert send(client, flow_id, body).status_code == 201


@pytest.mark.parametrize("header", [*CODED, "Content-MD5: x"])
def test_coded_bytes_are_refused(client: FlaskClient, store: Store, flow_id: str, header: str) -> None:
    name, _, value = header.partition(": ")
    for body, headers in (
        (part(*SEGMENT_PART) + part("file", b"media", header) + END, {}),
        (part(*SEGMENT_PART, header) + part("file", b"media") + END, {}),
        (body_of(SEGMENT_PART, ("file", b"media")), {name: value}),
    ):
        answer = send(client, flow_id, body, headers)
        assert answer.status_code == 400, answer.text
        assert [field.lower() for field in answer.json["errors"]] == [name.lower()]
    assert (stored_files(store), timeranges(client, flow_id)) == (0, [])


@pytest.mark.parametrize("coding", ["binary", "8bit", "7BIT"])
def test_bytes_as_they_are_may_be_called_so(client: FlaskClient, flow_id: str, coding: str) -> None:
    body = part(*SEGMENT_PART) + part("file", b"media", f"Content-Transfer-Encoding: {coding}") + END
    assert send(client, flow_id, body).status_code == 201


@pytest.mark.parametrize("preamble", [b"\r\n", b"\n", b"This is a form.\r\n", b"--\r\n\r\n", b"x" * 300_000 + b"\r\n"])
@pytest.mark.parametrize("epilogue", [b"", b"\r\nThe end.", b"x" * 300_000])
def test_a_form_may_have_a_preamble_and_an_epilogue(
    client: FlaskClient, flow_id: str, preamble: bytes, epilogue: bytes
) -> None:
    answer = send(client, flow_id, preamble + body_of(SEGMENT_PART, ("file", b"media")) + epilogue)
    assert answer.status_code == 201, answer.text
    assert client.get(answer.json["get_urls"][0]["url"]).data == b"media"


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4), preamble=tricky)
def test_a_preamble_is_skipped_whatever_the_size_of_the_pieces(sizes: list[int], preamble: bytes) -> None:
    if b"--frontier" in preamble:
        return
    parts = Multipart(Dripping(preamble + b"\r\n" + body_of(("one", b"content")), sizes), BOUNDARY)
    assert parts.next_part() == "one"
    assert parts.read_whole(1000) == b"content"


@pytest.mark.parametrize("name", ["file", "segment_data"])
def test_nothing_is_stored_of_a_form_with_a_part_too_many(
    client: FlaskClient, store: Store, flow_id: str, name: str
) -> None:
    answer = send(client, flow_id, body_of(SEGMENT_PART, ("file", b"media"), ("other", b""), (name, b"media")))
    assert (answer.status_code, list(answer.json["errors"])) == (400, [name]), answer.text
    assert (stored_files(store), timeranges(client, flow_id)) == (0, [])


@pytest.mark.parametrize("position", ["before", "after"])
def test_many_parts_are_refused_at_once(client: FlaskClient, store: Store, flow_id: str, position: str) -> None:
    """60 MiB of empty parts took 22 seconds of processor time."""
    empty = [("", b"")] * 1_000_000
    parts = [SEGMENT_PART, ("file", b"media")]
    body = body_of(*empty, *parts) if position == "before" else body_of(*parts, *empty)
    started = time.process_time()
    answer = send(client, flow_id, body)
    assert time.process_time() - started < 2
    assert answer.status_code == 400
    assert "parts" in answer.json["message"]
    assert (stored_files(store), timeranges(client, flow_id)) == (0, [])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (body_of(("other", b"x" * (MAX_SKIPPED + 1)), SEGMENT_PART, ("file", b"media")), 413),
        (body_of(SEGMENT_PART, ("file", b"media"), ("other", b"x" * (MAX_SKIPPED + 1))), 413),
        (b"x" * (MAX_SKIPPED + 1) + b"\r\n" + body_of(SEGMENT_PART, ("file", b"media")), 413),
        (part(*SEGMENT_PART) + part("file", b"media", *[f"X-{number}: y" for number in range(8)]) + END, 400),
        (part(*SEGMENT_PART) + part("file", b"media", "X: " + "y" * 5000) + END, 400),
    ],
    ids=["before", "after", "preamble", "headers", "long header"],
)
def test_what_a_form_holds_besides_is_bounded(
    client: FlaskClient, store: Store, flow_id: str, body: bytes, status: int
) -> None:
    assert send(client, flow_id, body).status_code == status
    assert (stored_files(store), timeranges(client, flow_id)) == (0, [])

"""The addresses of local media over HTTP: ranges, conditions, checksums, limits."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import socket
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
import requests

from tams.storage.checksums import ALGORITHMS

MEDIA = bytes(range(256)) * 4000
TYPE = "video/mp2t"
MAX_UPLOAD = 4 * 1024 * 1024
TRANSFERS = 4


def now():
    return time.time_ns() // 1000


@pytest.fixture
def key(local_server):
    key = local_server.storage.new_key("an object")
    local_server.storage.put(key, io.BytesIO(MEDIA), TYPE)
    return key


@pytest.fixture
def url(local_server, key):
    return local_server.base + local_server.storage.get_url(key, now())


def put_url(local_server, key=None):
    key = key or local_server.storage.new_key("an object")
    return key, local_server.base + local_server.storage.put_url(key, TYPE, now())[0]


def get(url, **headers):
    return requests.get(url, headers={name.replace("_", "-"): value for name, value in headers.items()}, timeout=30)


def put(url, data, **headers):
    headers = {"Content-Type": TYPE} | {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.put(url, data, headers=headers, timeout=30)


def connect(local_server):
    return socket.create_connection(("127.0.0.1", local_server.port), timeout=10)


def begin_upload(connection, url, *headers):
    parts = urlsplit(url)
    lines = [f"PUT {parts.path}?{parts.query} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Type: {TYPE}", *headers]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())


def status_of(connection):
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    answer.read()
    return answer.status


def base64_digest(algorithm, data):
    digest = ALGORITHMS[algorithm]()
    digest.update(data)
    return base64.b64encode(digest.digest()).decode()


# Downloadsloads


def test_head_gives_the_headers_of_get(url):
    whole, head = get(url), requests.head(url, timeout=30)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("Content-Length", "Content-Type", "ETag", "Last-Modified", "Accept-Ranges"):
        assert head.headers[name] == whole.headers[name]
    assert head.headers["Accept-Ranges"] == "bytes"
    assert not head.headers["ETag"].startswith("W/")


def test_head_of_a_range_has_its_headers(url):
    head = requests.head(url, headers={"Range": "bytes=5-9"}, timeout=30)
    assert head.status_code == 206
    assert head.headers["Content-Length"] == "5"


@pytest.mark.parametrize(
    ("requested", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=1000-", 1000, len(MEDIA) - 1),
        ("bytes=-7", len(MEDIA) - 7, len(MEDIA) - 1),
        ("bytes=1000-99999999", 1000, len(MEDIA) - 1),
        ("bytes=-99999999", 0, len(MEDIA) - 1),
        ("bytes=300000-899999", 300_000, 899_999),
    ],
)
def test_a_range_is_206(url, requested, first, last):
    answer = get(url, Range=requested)
    assert answer.status_code == 206
    assert answer.content == MEDIA[first : last + 1]
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(MEDIA)}"
    assert answer.headers["Content-Length"] == str(last - first + 1)


@pytest.mark.parametrize("requested", ["bytes=0-1,5-6", "seconds=0-1", "bytes=x", "bytes=5-1", "bytes", ""])
def test_what_is_no_single_range_is_answered_with_everything(url, requested):
    answer = get(url, Range=requested)
    assert answer.status_code == 200
    assert answer.content == MEDIA


@pytest.mark.parametrize("requested", [f"bytes={len(MEDIA)}-", f"bytes={len(MEDIA) + 5}-{len(MEDIA) + 9}"])
def test_a_range_beyond_the_end_is_416(url, requested):
    answer = get(url, Range=requested)
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(MEDIA)}"


def test_if_range_guards_a_range(url):
    whole = get(url)
    tag, modified = whole.headers["ETag"], whole.headers["Last-Modified"]
    for same in (tag, modified):
        assert get(url, Range="bytes=0-9", If_Range=same).status_code == 206
    for other in ('"another"', f"W/{tag}", "Thu, 01 Jan 1970 00:00:00 GMT", "rubbish"):
        answer = get(url, Range="bytes=0-9", If_Range=other)
        assert (answer.status_code, len(answer.content)) == (200, len(MEDIA))


def test_conditions_save_the_body(url):
    whole = get(url)
    tag, modified = whole.headers["ETag"], whole.headers["Last-Modified"]
    for same in (tag, f'"a", {tag}', f"W/{tag}", "*"):
        answer = get(url, If_None_Match=same)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["ETag"] == tag
    assert get(url, If_Modified_Since=modified).status_code == 304
    assert get(url, If_None_Match='"another"', If_Modified_Since=modified).status_code == 200
    assert get(url, If_Modified_Since="Thu, 01 Jan 1970 00:00:00 GMT").status_code == 200
    assert get(url, If_Match='"another"').status_code == 412
    assert get(url, If_Match=tag).status_code == 200
    assert get(url, If_Match="*").status_code == 200


def test_bytes_that_changed_since_are_412(url):
    modified = get(url).headers["Last-Modified"]
    assert get(url, If_Unmodified_Since=modified).status_code == 200
    refused = get(url, If_Unmodified_Since="Thu, 01 Jan 1970 00:00:00 GMT", Range="bytes=0-9")
    assert (refused.status_code, refused.json()["type"]) == (412, "PreconditionFailed")
    # The entity tag takes precedence over the date.
    assert get(url, If_Match="*", If_Unmodified_Since="Thu, 01 Jan 1970 00:00:00 GMT").status_code == 200
    assert get(url, If_Unmodified_Since="rubbish").status_code == 200


def test_an_empty_object_has_no_range(local_server):
    key = local_server.storage.new_key("empty")
    local_server.storage.put(key, io.BytesIO(), TYPE)
    url = local_server.base + local_server.storage.get_url(key, now())
    assert get(url).headers["Content-Length"] == "0"
    assert get(url, Range="bytes=0-").status_code == 416


def test_no_upload_can_act_as_a_page_of_this_origin(url):
    headers = get(url).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "sandbox"


def test_a_connection_serves_one_request_after_another(local_server, url):
    connection = http.client.HTTPConnection("127.0.0.1", local_server.port, timeout=10)
    connection.connect()
    first = connection.sock
    target = url.removeprefix(local_server.base)
    for _ in range(3):
        for headers, expected in (
            ({}, MEDIA),
            ({"Range": "bytes=3-4"}, MEDIA[3:5]),
            ({"Range": "bytes=9999999-"}, None),
        ):
            connection.request("GET", target, headers=headers)
            content = connection.getresponse().read()
            assert expected in {None, content}
    assert connection.sock is first
    connection.close()


def test_a_get_url_also_allows_head_but_a_put_url_does_not(local_server, key):
    _, upload = put_url(local_server, key)
    assert requests.head(upload, timeout=30).status_code == 403


def test_the_plain_url_gives_the_bytes(local_server, key, url):
    assert get(url.partition("?")[0]).content == MEDIA


# Which URLs are accepted


def test_a_signature_is_for_one_backend_only(local_server, key, url, tmp_path):
    other = "f1d4a6d1-0000-4000-8000-000000000000"
    assert get(url.replace(local_server.storage.backend.id, other)).status_code == 404
    storage = type(local_server.storage)(
        tmp_path,
        type(local_server.storage.backend)(other, "other", "tests", "files"),
        b"a key that only the tests know  ",
        url_lifetime=60,
        grace=5,
        max_upload=1,
    )
    forged = storage.get_url(key, now()).replace(other, local_server.storage.backend.id)
    assert get(local_server.base + forged).status_code == 403


@pytest.mark.parametrize(
    "hostile",
    [
        "../../etc/passwd",
        "%2e%2e/%2e%2e/etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        ".incoming/x",
        "/etc/passwd",
        "000/" + "0" * 36,
        "000/" + "0" * 37 + "%00",
        "000/" + "0" * 37 + "%0a",
        "000/" + "A" * 37,
        "000/../../../etc/passwd",
        "x" * 3000,
    ],
)
def test_hostile_keys_lead_nowhere(local_server, hostile):
    target = f"/storage/{local_server.storage.backend.id}/{hostile}"
    for method in ("GET", "PUT"):
        connection = http.client.HTTPConnection("127.0.0.1", local_server.port, timeout=10)
        connection.request(method, target, body=b"!" if method == "PUT" else None)
        assert connection.getresponse().status in {308, 404}
        connection.close()


@pytest.mark.parametrize(
    "query", ["s=", "v=1&e=1&s=x", "v=1&s=x", "e=99999999999&s=x", "v=1&e=%C2%B2&s=%C3%A9", "s=%ff"]
)
def test_what_is_no_signature_is_refused(url, query):
    assert get(f"{url.partition('?')[0]}?{query}").status_code == 403


# Uploads


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_s3_checksum_headers(local_server, algorithm):
    _, url = put_url(local_server)
    header = "x-amz-checksum-" + algorithm
    assert put(url, MEDIA, **{header: base64_digest(algorithm, MEDIA)}).status_code == 200
    assert put(url, MEDIA, **{header: base64_digest(algorithm, b"")}).status_code == 400
    for malformed in (
        "",
        "AAA",
        "é".encode(),
        base64.b64encode(b"short").decode(),
        base64_digest(algorithm, b"") + "AAAA",
    ):
        assert put(url, MEDIA, **{header: malformed}).status_code == 400


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("Digest", "SHA-256={sha256}"),
        ("Digest", "md5={md5}, SHA-256={sha256},unixsum=30637"),
        ("Content-Digest", "sha-256=:{sha256}:"),
        ("Repr-Digest", "sha-512=:AAAA:, md5=:{md5}:, sha-256=:{sha256}:"),
    ],
)
def test_digest_headers(local_server, header, text):
    _, url = put_url(local_server)

    def filled(data):
        return text.format(md5=base64_digest("md5", data), sha256=base64_digest("sha256", data))

    assert put(url, MEDIA, **{header: filled(MEDIA)}).status_code == 200
    assert put(url, MEDIA, **{header: filled(b"other")}).status_code == 400


@pytest.mark.parametrize(
    ("header", "value"), [("Content-Digest", "sha-256=AAAA"), ("Digest", "sha-256"), ("Digest", "md5=AA")]
)
def test_malformed_digest_headers_are_400_and_named(local_server, header, value):
    key, url = put_url(local_server)
    answer = put(url, MEDIA, **{header: value})
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [header]
    assert local_server.storage.head(key) is None


def test_checksums_that_contradict_each_other_are_400(local_server):
    _, url = put_url(local_server)
    answer = put(url, MEDIA, Content_MD5=base64_digest("md5", MEDIA), Digest=f"md5={base64_digest('md5', b'')}")
    assert answer.status_code == 400


def test_an_upload_in_chunks(local_server):
    key, url = put_url(local_server)
    answer = put(url, (MEDIA[start : start + 70_000] for start in range(0, len(MEDIA), 70_000)))
    assert answer.status_code == 200
    assert b"".join(local_server.storage.open(key)) == MEDIA


def test_an_upload_needs_a_length(local_server):
    _, url = put_url(local_server)
    with connect(local_server) as connection:
        begin_upload(connection, url)
        assert status_of(connection) == 400


@pytest.mark.parametrize("name", ["Content-Range", "Content-Encoding"])
def test_a_part_or_an_encoded_upload_is_400(local_server, name):
    key, url = put_url(local_server)
    value = {"Content-Range": "bytes 0-1/5", "Content-Encoding": "aws-chunked"}[name]
    assert put(url, b"ab", **{name: value}).status_code == 400
    assert local_server.storage.head(key) is None


def test_the_largest_upload_passes_and_one_byte_more_is_413(local_server):
    data = bytes(MAX_UPLOAD)
    key, url = put_url(local_server)
    assert put(url, data + b"!").status_code == 413
    assert put(url, iter([data, b"!"])).status_code == 413
    assert local_server.storage.head(key) is None
    assert put(url, data).status_code == 200
    assert put(url, iter([data])).status_code == 200
    assert local_server.storage.head(key).size == MAX_UPLOAD


def test_an_announced_upload_that_is_too_large_is_413_before_it_comes(local_server):
    _, url = put_url(local_server)
    with connect(local_server) as connection:
        begin_upload(connection, url, f"Content-Length: {10**15}")
        assert status_of(connection) == 413


def test_a_client_may_wait_for_100_continue(local_server):
    key, url = put_url(local_server)
    with connect(local_server) as connection:
        begin_upload(connection, url, f"Content-Length: {len(MEDIA)}", "Expect: 100-continue")
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(MEDIA)
        assert status_of(connection) == 200
    assert local_server.storage.head(key).size == len(MEDIA)


def test_an_upload_in_chunks_that_breaks_off_stores_nothing(local_server):
    key, url = put_url(local_server)
    with connect(local_server) as connection:
        begin_upload(connection, url, "Transfer-Encoding: chunked")
        connection.sendall(b"5\r\nabcde\r\n")
    time.sleep(0.3)
    assert local_server.storage.head(key) is None


def test_a_transfer_in_place_of_another_takes_effect_at_once(local_server, key):
    _, url = put_url(local_server, key)
    answer = put(url, b"new")
    assert answer.headers["ETag"] == f'"{hashlib.sha256(b"new").hexdigest()}"'
    assert get(local_server.base + local_server.storage.get_url(key, now())).content == b"new"


def test_transfers_leave_threads_for_everything_else(local_server, url):
    with ExitStack() as stack:
        waiting = [stack.enter_context(connect(local_server)) for _ in range(TRANSFERS)]
        for connection in waiting:
            begin_upload(connection, put_url(local_server)[1], "Content-Length: 5")
        # An upload holds a place once it has a file. A download in the meantime would take a place from an upload.
        deadline = time.monotonic() + 30
        while len(list((local_server.root / ".incoming").iterdir())) < TRANSFERS and time.monotonic() < deadline:
            time.sleep(0.05)
        answer = get(url)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert put(put_url(local_server)[1], MEDIA).status_code == 503
        assert requests.head(url, timeout=30).status_code == 200
        for connection in waiting:
            connection.sendall(b"media")
            assert status_of(connection) == 200
    for _ in range(2 * TRANSFERS):
        assert get(url).content == MEDIA


def test_a_transfer_waits_for_its_place(local_server, url):
    with ExitStack() as stack:
        uploads = [stack.enter_context(connect(local_server)) for _ in range(TRANSFERS)]
        for connection in uploads:
            begin_upload(connection, put_url(local_server)[1], "Content-Length: 5")
        deadline = time.monotonic() + 30
        while len(list((local_server.root / ".incoming").iterdir())) < TRANSFERS and time.monotonic() < deadline:
            time.sleep(0.05)
        downloads = stack.enter_context(ThreadPoolExecutor(TRANSFERS))
        answers = [downloads.submit(get, url) for _ in range(TRANSFERS)]
        time.sleep(0.5)
        assert not any(answer.done() for answer in answers)
        uploads[0].sendall(b"media")
        assert {answer.result().status_code for answer in answers} == {200}


def test_an_aborted_download_releases_its_place(local_server):
    key = local_server.storage.new_key("large")
    local_server.storage.put(key, io.BytesIO(bytes(MAX_UPLOAD)), TYPE)
    path = local_server.storage.get_url(key, now())
    for _ in range(2 * TRANSFERS):
        with connect(local_server) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: local\r\n\r\n".encode())
            assert connection.recv(100)
        time.sleep(0.1)
    assert len(get(local_server.base + path).content) == MAX_UPLOAD


def test_crc32_in_a_header_is_most_significant_byte_first(local_server):
    _, url = put_url(local_server)
    text = base64.b64encode(zlib.crc32(MEDIA).to_bytes(4, "big")).decode()
    assert put(url, MEDIA, x_amz_checksum_crc32=text).status_code == 200


@pytest.mark.parametrize("content_type", ["a/\x01", "видео/мп4", "video/mp2t;\r\n x=y"])
def test_bytes_whose_type_no_answer_can_carry_are_served(local_server, content_type):
    key = local_server.storage.new_key("an object")
    local_server.storage.put(key, io.BytesIO(MEDIA), content_type)
    answer = get(local_server.base + local_server.storage.get_url(key, now()))
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/octet-stream")
    assert answer.content == MEDIA


def test_if_none_match_only_creates(local_server):
    key, url = put_url(local_server)
    assert put(url, b"first", If_None_Match="*").status_code == 200
    answer = put(url, b"second", If_None_Match="*")
    assert answer.status_code == 412
    assert b"".join(local_server.storage.open(key)) == b"first"
    assert put(url, b"second", If_None_Match=f'"a", {local_server.storage.head(key).etag}').status_code == 412
    assert put(url, b"second", If_None_Match='"a"').status_code == 200


def test_if_match_only_replaces(local_server):
    key, url = put_url(local_server)
    for condition in ("*", '"a"'):
        assert put(url, b"first", If_Match=condition).status_code == 412
    assert local_server.storage.head(key) is None
    tag = put(url, b"first").headers["ETag"]
    assert put(url, b"second", If_Match='"a"').status_code == 412
    assert put(url, b"second", If_Match=f"W/{tag}").status_code == 412
    assert put(url, b"second", If_Match=tag).status_code == 200
    assert put(url, b"third", If_Match=tag).status_code == 412
    assert put(url, b"third", If_Match="*").status_code == 200
    assert put(url, b"fourth", If_Unmodified_Since="Thu, 01 Jan 1970 00:00:00 GMT").status_code == 412
    assert b"".join(local_server.storage.open(key)) == b"third"


def test_a_condition_is_judged_before_the_body_is_asked_for(local_server):
    _, url = put_url(local_server)
    put(url, b"first")
    with connect(local_server) as connection:
        begin_upload(connection, url, "Content-Length: 5", "If-None-Match: *", "Expect: 100-continue")
        assert status_of(connection) == 412


def test_of_conditional_uploads_at_once_one_is_stored(local_server):
    key, url = put_url(local_server)
    with ExitStack() as stack:
        uploads = [stack.enter_context(connect(local_server)) for _ in range(TRANSFERS)]
        for number, connection in enumerate(uploads):
            begin_upload(connection, url, "Content-Length: 5", "If-None-Match: *")
            connection.sendall(b"%d" % number)
        time.sleep(0.3)
        for connection in uploads:
            connection.sendall(b"rest")
        statuses = [status_of(connection) for connection in uploads]
    assert sorted(statuses) == [200, *[412] * (TRANSFERS - 1)]
    assert b"".join(local_server.storage.open(key)) == b"%drest" % statuses.index(200)

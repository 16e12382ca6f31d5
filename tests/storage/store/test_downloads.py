"""Copies of external Objects, whose bytes are at the URL of another server."""

from __future__ import annotations

import base64
import hashlib
import logging
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from tams.domain.identifiers import new_id
from tests.support.api_steps import make_flow
from tests.support.receivers import Answer, answering, receiver
from tests.support.s3_endpoint import Endpoint
from tests.support.storage_site import FIRST, SECOND, Site, open_site, s3_backend

MEDIA = bytes(range(256)) * 50_000  # sent to S3 in parts
MD5 = base64.b64encode(hashlib.md5(MEDIA).digest()).decode()
SHA_256 = base64.b64encode(hashlib.sha256(MEDIA).digest()).decode()


def external(site: Site, url: str) -> str:
    """Register an Object whose bytes are only at `url`; return its id."""
    object_id = new_id()
    segment = {"object_id": object_id, "timerange": "[0:0_1:0)", "get_urls": [{"url": url, "label": "theirs"}]}
    answer = site.client.post(f"/flows/{make_flow(site.client)}/segments", json=segment)
    assert answer.status_code == 201, answer.text
    return object_id


def copied(site: Site, answer: Answer, target: str = FIRST) -> bool:
    """Copy an Object whose URL gives this answer; return True if the copy is shown, with the right bytes."""
    with receiver(answer) as there:
        object_id = external(site, f"http://127.0.0.1:{there.port}/a?secret=5")
        site.ask_for_copy(object_id, target)
        site.copy()
        get_urls = site.client.get(f"/objects/{object_id}?accept_get_urls=first,second").json["get_urls"]
        if get_urls:
            assert site.downloads(object_id)[get_urls[0]["label"]] == MEDIA
    assert bool(site.store.storages[target].listing()) == bool(get_urls)
    return bool(get_urls)


def chunked(*, whole: bool) -> Answer:
    """Answer with the bytes in chunks, the last one missing unless `whole`."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall(f"{len(MEDIA):x}\r\n".encode() + MEDIA + b"\r\n")
        if whole:
            connection.sendall(b"0\r\n\r\n")
        else:
            connection.shutdown(socket.SHUT_RDWR)

    return answer


def raw(head: str, body: bytes) -> Answer:
    """Answer with this head and body, then close the connection."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(head.encode() + b"\r\n\r\n" + body)
        connection.shutdown(socket.SHUT_RDWR)

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        answering(body=MEDIA),
        answering(body=MEDIA, headers=f"Content-MD5: {MD5}\r\nRepr-Digest: sha-256=:{SHA_256}:\r\n"),
        answering(body=MEDIA, headers="Content-MD5: nonsense\r\nRepr-Digest: unknown=:AAAA:\r\n"),
        chunked(whole=True),
    ],
    ids=["plain", "with digests", "with digests unknown", "chunked"],
)
def test_an_object_elsewhere_is_copied(site: Site, answer: Answer) -> None:
    assert copied(site, answer)


def test_it_is_copied_to_a_local_backend_too(endpoint: Endpoint, tmp_path: Path) -> None:
    local = {"type": "local", "directory": tmp_path / "media"}
    with open_site(tmp_path / "site", s3_backend(endpoint), local) as site:
        assert copied(site, answering(body=MEDIA), SECOND)


@pytest.mark.parametrize(
    "answer",
    [
        answering("404 Not Found"),
        answering("206 Partial Content", MEDIA),
        answering("302 Found", headers="Location: http://127.0.0.1:1/\r\n"),
        answering(body=MEDIA, headers="Content-Encoding: gzip\r\n"),
        answering(body=MEDIA, headers=f"Content-MD5: {base64.b64encode(bytes(16)).decode()}\r\n"),
        answering(body=MEDIA, headers=f"Repr-Digest: sha-256=:{base64.b64encode(bytes(32)).decode()}:\r\n"),
        chunked(whole=False),
        raw(f"HTTP/1.1 200 OK\r\nContent-Length: {len(MEDIA)}", MEDIA[:-1]),
        raw("HTTP/1.1 200 OK", MEDIA),
        raw("nonsense", b""),
    ],
    ids=[
        "missing",
        "a part",
        "elsewhere",
        "encoded",
        "wrong MD5",
        "wrong SHA-256",
        "broken chunks",
        "too short",
        "of unknown length",
        "not HTTP",
    ],
)
def test_incomplete_or_altered_bytes_are_not_stored(site: Site, answer: Answer) -> None:
    assert not copied(site, answer)


def test_more_than_the_store_takes_is_not_stored(endpoint: Endpoint, tmp_path: Path) -> None:
    with open_site(tmp_path / "site", s3_backend(endpoint), s3_backend(endpoint), max_upload=1024**2) as site:
        assert not copied(site, answering(body=MEDIA))


def test_an_internal_address_gets_no_request(site: Site) -> None:
    closed = replace(site, settings=replace(site.settings, outbound_allow=()))
    with receiver(answering(body=MEDIA)) as there:
        object_id = external(closed, f"http://127.0.0.1:{there.port}/inside")
        closed.ask_for_copy(object_id, FIRST)
        closed.copy()
        assert there.connections == 0
    assert closed.contents(closed.first) == []


def test_a_url_is_not_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tams")
    assert not copied(site, answering("404 Not Found"))
    assert copied(site, answering(body=MEDIA))
    assert "the URL labelled theirs" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    "header",
    ["video/mp2t;\r\n charset=x", "video/\x01mp2t", "видео/мп4", "a/" + "b" * 2000],
    ids=["folded", "control character", "beyond ASCII", "too long"],
)
def test_a_copy_whose_type_no_answer_can_carry_is_plain_bytes(endpoint: Endpoint, tmp_path: Path, header: str) -> None:
    local = {"type": "local", "directory": tmp_path / "media"}
    with (
        open_site(tmp_path / "site", s3_backend(endpoint), local) as site,
        receiver(answering(body=MEDIA, headers=f"Content-Type: {header}\r\n")) as there,
    ):
        for target in (FIRST, SECOND):
            site.ask_for_copy(external(site, f"http://127.0.0.1:{there.port}/{target}"), target)
            site.copy()
            (item,) = site.store.storages[target].listing()
            stored = site.store.storages[target].head(item.key)
            assert stored is not None
            assert (stored.size, stored.content_type) == (len(MEDIA), "application/octet-stream")

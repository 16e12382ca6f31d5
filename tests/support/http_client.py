"""A client of the store in plain HTTP, written from the specification alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import uuid4

import httpx

from tests.support.media import (
    FRAME_RATE,
    HEIGHT,
    SAMPLE_RATE,
    WIDTH,
    Picture,
    Samples,
    Span,
    decode_pictures,
    decode_samples,
    parse_timestamp,
    timestamp,
)

Json = dict[str, Any]

VIDEO: Json = {
    "format": "urn:x-nmos:format:video",
    "codec": "video/h264",
    "container": "video/mp2t",
    "container_mapping": {"mp2ts_container": {"pid": 256}},
    "essence_parameters": {
        "frame_rate": {"numerator": FRAME_RATE},
        "frame_width": WIDTH,
        "frame_height": HEIGHT,
    },
}
AUDIO: Json = {
    "format": "urn:x-nmos:format:audio",
    "codec": "audio/aac",
    "container": "video/mp2t",
    "container_mapping": {"mp2ts_container": {"pid": 257}},
    "essence_parameters": {"sample_rate": SAMPLE_RATE, "channels": 2},
}
MULTI: Json = {"format": "urn:x-nmos:format:multi", "container": "video/mp2t"}
WAVE: Json = {
    "format": "urn:x-nmos:format:audio",
    "codec": "audio/x-raw-int",
    "container": "audio/wav",
    "essence_parameters": {
        "sample_rate": SAMPLE_RATE,
        "channels": 2,
        "bit_depth": 16,
        "unc_parameters": {"unc_type": "interleaved"},
    },
}


class Client:
    """A client of the store at `url`. An unexpected response fails the test."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=60)
        # Signed URLs carry their own permission, so media are requested without the credentials of the API.
        self.media = httpx.Client(timeout=60)

    def expect(self, status: int, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Send a request that has to be answered with that status; return the response."""
        answer = self.http.request(method, path, **arguments)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def get(self, path: str, **parameters: str) -> Any:
        """Return the JSON under the path."""
        return self.expect(200, "GET", path, params=parameters).json()

    def missing(self, path: str) -> bool:
        """Return whether GET of the path answers 404."""
        return self.http.get(path).status_code == 404

    def pages(self, path: str, **parameters: str) -> Iterator[httpx.Response]:
        """Yield every page of a listing, following `Link`."""
        page = self.expect(200, "GET", path, params=parameters)
        yield page
        while "next" in page.links:
            page = self.expect(200, "GET", page.links["next"]["url"])
            yield page

    def listed(self, path: str, **parameters: str) -> list[Json]:
        """Return every item of a listing."""
        return [item for page in self.pages(path, **parameters) for item in page.json()]

    def make_flow(self, properties: Json, **more: Any) -> str:
        """Create a Flow of a new Source; return its id."""
        flow_id = str(uuid4())
        self.expect(
            201, "PUT", f"/flows/{flow_id}", json={"id": flow_id, "source_id": str(uuid4())} | properties | more
        )
        return flow_id

    def allocate(self, flow_id: str, count: int) -> list[Json]:
        """Allocate storage for `count` Objects; return the `media_objects` of the response."""
        answer = self.expect(201, "POST", f"/flows/{flow_id}/storage", json={"limit": count})
        allocated: list[Json] = answer.json()["media_objects"]
        assert len(allocated) == count
        return allocated

    def upload(self, flow_id: str, contents: Sequence[bytes]) -> list[str]:
        """Upload the bytes as new Objects; return their ids."""
        allocated = self.allocate(flow_id, len(contents))
        for item, content in zip(allocated, contents, strict=True):
            self.put_bytes(item, content)
        return [item["object_id"] for item in allocated]

    def put_bytes(self, allocated: Json, content: bytes) -> None:
        """PUT the bytes with the URL and the headers of the response to the storage request."""
        put = allocated["put_url"]
        headers = put.get("headers", {}) | {"Content-Type": put["content-type"]}
        answer = self.media.put(put["url"], content=content, headers=headers)
        assert answer.status_code == 200, answer.text

    def register(self, flow_id: str, segments: Json | list[Json]) -> None:
        """Register Segments, none of which may be refused."""
        answer = self.expect(201, "POST", f"/flows/{flow_id}/segments", json=segments)
        assert answer.content == b""

    def register_many(self, flow_id: str, segments: Sequence[Json]) -> None:
        """Register any number of Segments, in lists of a thousand."""
        for first in range(0, len(segments), 1000):
            self.register(flow_id, list(segments[first : first + 1000]))

    def segments(self, flow_id: str, timerange: str = "_", **parameters: str) -> list[Json]:
        """Return the Segments that overlap the timerange."""
        return self.listed(f"/flows/{flow_id}/segments", timerange=timerange, **parameters)

    def fetch(self, segment: Json) -> bytes:
        """Return the bytes of a Segment's init Object, if any, and of its Object, each from its first URL."""
        return b"".join(self._download(item) for item in (segment.get("init_object"), segment) if item is not None)

    def _download(self, item: Json) -> bytes:
        answer = self.media.get(item["get_urls"][0]["url"])
        assert answer.status_code == 200, answer.text
        return answer.content

    def watch(self, flow_id: str, timerange: Span) -> list[tuple[int, Picture]]:
        """Return the pictures of a Flow that a player would show within the timerange, each after its Flow time."""
        pictures: list[tuple[int, Picture]] = []
        for segment in self.segments(flow_id, str(timerange)):
            offset, within = _timing(segment)
            for picture in decode_pictures(self.fetch(segment)):
                at = picture.at + offset
                if at in within and at in timerange:
                    pictures.append((at, picture))
        return pictures

    def listen(self, flow_id: str, timerange: Span) -> list[tuple[int, int]]:
        """Return the Flow time and the number of each PCM sample that a player would play within the timerange."""
        samples: list[tuple[int, int]] = []
        for segment in self.segments(flow_id, str(timerange)):
            offset, within = _timing(segment)
            for run in decode_samples(self.fetch(segment)):
                samples += _clip(run, offset, within, timerange)
        return samples


def _timing(segment: Json) -> tuple[int, Span]:
    return parse_timestamp(segment.get("ts_offset", "0:0")), Span.parse(segment["timerange"])


def _clip(run: Samples, offset: int, *within: Span) -> Iterable[tuple[int, int]]:
    for number in range(run.first, run.first + run.count):
        at = run.time(number) + offset
        if all(at in span for span in within):
            yield at, number


def segment(object_id: str, span: Span, offset: int = 0, **more: Any) -> Json:
    """Return the body that registers a Segment; `span` is in Flow time."""
    return {"object_id": object_id, "timerange": str(span), "ts_offset": timestamp(offset), **more}

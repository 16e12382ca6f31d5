"""`tams dev demo`: the media are what they say they are, and their times in the store are those of the media."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from configparser import ConfigParser
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import av
import pytest
import requests
from flask.testing import FlaskClient

from tams.commands.demo import FLOWS, LENGTH, OBJECTS, DemoFlow, demo
from tams.config import Settings
from tests.support.applications import KEY, serving
from tests.support.media import SECOND, Span
from tests.support.s3_endpoint import running
from tests.support.storage_site import FIRST, STORE_ID
from tools.render_demo import BITS, CODE_LINES

ROOT = Path(__file__).parents[2]
MEDIA = ROOT / "tams" / "commands" / "demo_media"
FRAME = Fraction(1, 25)
MINUTE = Span(0, 60 * SECOND)


class Decoded(NamedTuple):
    """Decoded media: the numbers of the pictures, and the spans of pictures and audio frames in seconds."""

    numbers: list[int]
    pictures: list[tuple[Fraction, Fraction]]
    sounds: list[tuple[Fraction, Fraction]]


def decode(content: bytes) -> Decoded:
    numbers: list[int] = []
    pictures: list[tuple[Fraction, Fraction]] = []
    sounds: list[tuple[Fraction, Fraction]] = []
    with av.open(io.BytesIO(content), "r") as container:
        assert {stream.codec_context.name for stream in container.streams} <= {"h264", "aac"}
        for frame in container.decode():
            assert frame.pts is not None
            assert frame.time_base is not None
            start = frame.pts * frame.time_base
            if isinstance(frame, av.VideoFrame):
                luma = frame.planes[0]
                line = bytes(luma)[luma.line_size * (frame.height - CODE_LINES // 2) :][: frame.width]
                width = frame.width // BITS
                numbers.append(sum((line[bit * width + width // 2] > 128) << bit for bit in range(BITS)))
                pictures.append((start, start + FRAME))
            elif isinstance(frame, av.AudioFrame):
                sounds.append((start, start + Fraction(frame.samples, frame.sample_rate)))
    return Decoded(numbers, pictures, sounds)


def assert_spans(spans: list[tuple[Fraction, Fraction]], start: Fraction, end: Fraction) -> None:
    """Check that the spans fill the time from start to end, without gap or overlap, exactly."""
    assert (spans[0][0], spans[-1][1]) == (start, end)
    assert all(before[1] == after[0] for before, after in pairwise(spans))


@pytest.fixture(scope="module", params=["local", pytest.param("s3", marks=pytest.mark.s3)])
def settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    common = {"environment": "development", "data_dir": tmp_path_factory.mktemp("demo") / "data", "secret_key": KEY}
    if request.param == "local":
        yield Settings.from_env({}, **common)
        return
    with running() as endpoint:
        yield Settings.from_env(
            {},
            **common,
            store_id=STORE_ID,
            storage_id=FIRST,
            s3_bucket=endpoint.new_bucket(),
            s3_endpoint=endpoint.url,
            s3_access_key_id=endpoint.access_key,
            s3_secret_access_key=endpoint.secret_key,
        )


@pytest.fixture
def client(settings: Settings) -> Iterator[FlaskClient]:
    """Serve the store with the demonstration in it."""
    for app in serving(settings):
        assert demo(settings) == 0
        yield app.test_client()


def fetch(client: FlaskClient, entries: list[Any]) -> bytes:
    url = entries[0]["url"]
    return client.get(url).data if url.startswith("http://localhost/") else requests.get(url, timeout=30).content


@pytest.mark.parametrize("flow", [flow for flow in FLOWS if flow.objects], ids=lambda flow: flow.name)
def test_the_times_in_the_store_are_those_of_the_media(client: FlaskClient, flow: DemoFlow) -> None:
    segments = client.get(f"/flows/{flow.id}/segments?limit=100").json
    assert [Span.parse(item["timerange"]) for item in segments] == [
        Span(number * LENGTH, (number + 1) * LENGTH) for number in range(OBJECTS)
    ]
    init = b""
    if flow.init_object_id is not None:
        init = fetch(client, client.get(f"/objects/{flow.init_object_id}").json["get_urls"])
    for number, item in enumerate(segments):
        content = fetch(client, item["get_urls"])
        assert content == flow.content(f"{number:02}")
        decoded = decode(init + content)
        start, end = (Fraction(at + flow.shift, SECOND) for at in (number * LENGTH, (number + 1) * LENGTH))
        if flow.name in ("ts", "mp4/video", "ts/video"):
            assert decoded.numbers == list(range(number * 100, (number + 1) * 100))
            assert_spans(decoded.pictures, start, end)
        if flow.name in ("ts", "mp4/audio", "ts/audio"):
            assert len(decoded.sounds) == 125
            assert_spans(decoded.sounds, start, end)
        assert bool(decoded.numbers) == ("audio" not in flow.name or flow.name == "ts/audio")


def test_the_flows_describe_the_media(client: FlaskClient) -> None:
    assert {item["id"] for item in client.get("/flows?tag.demo=yes").json} == {flow.id for flow in FLOWS}
    content = {flow.name: flow.content("init" if flow.init else "00") for flow in FLOWS if flow.objects}
    for flow in FLOWS:
        stored = client.get(f"/flows/{flow.id}?include_timerange=true").json
        if flow.objects:
            assert Span.parse(stored["timerange"]) == MINUTE
            with av.open(io.BytesIO(content[flow.name])) as container:
                essence = stored.get("essence_parameters", {})
                for stream in container.streams:
                    pid = stored.get("container_mapping", {}).get("mp2ts_container", {}).get("pid", stream.id)
                    if isinstance(stream, av.VideoStream) and "frame_width" in essence and stream.id == pid:
                        assert (stream.width, stream.height) == (essence["frame_width"], essence["frame_height"])
                    if isinstance(stream, av.AudioStream) and "sample_rate" in essence and stream.id == pid:
                        assert (stream.rate, stream.channels) == (essence["sample_rate"], essence["channels"])
                if flow.name.startswith("ts/"):
                    kind = av.VideoStream if flow.name == "ts/video" else av.AudioStream
                    pid = stored["container_mapping"]["mp2ts_container"]["pid"]
                    assert [stream.id for stream in container.streams if isinstance(stream, kind)] == [pid]
        else:
            assert [member["role"] for member in stored["flow_collection"]] == ["video", "audio"]
    (programme,) = client.get("/sources?format=urn:x-nmos:format:multi").json
    assert [member["role"] for member in programme["source_collection"]] == ["video", "audio"]


def test_a_second_run_adds_only_what_is_missing(
    client: FlaskClient, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo(settings) == 0
    assert "Everything was there already." in capsys.readouterr().out
    ts, video = FLOWS[2], FLOWS[3]
    for flow in (ts, video):
        client.delete(f"/flows/{flow.id}/segments?timerange=[8:0_16:0)")
        assert len(client.get(f"/flows/{flow.id}/segments").json) == OBJECTS - 2
    assert demo(settings) == 0
    assert "4 Segments were added." in capsys.readouterr().out
    for flow in (ts, video):
        assert len(client.get(f"/flows/{flow.id}/segments").json) == OBJECTS


def test_an_initialisation_object_that_was_allocated_and_not_uploaded_is_completed(
    settings: Settings, tmp_path: Path
) -> None:
    """A run was killed after it had allocated the storage."""
    fresh = Settings.from_env({}, environment="development", data_dir=tmp_path / "data", secret_key=KEY)
    video = FLOWS[3]
    for app in serving(fresh):
        client = app.test_client()
        assert client.put(f"/flows/{video.id}", json=video.document()).status_code == 201
        allocated = client.post(f"/flows/{video.id}/storage", json={"object_ids": [video.init_object_id]})
        assert allocated.status_code == 201
        assert demo(fresh) == 0
        entries = client.get(f"/objects/{video.init_object_id}").json["get_urls"]
        assert fetch(client, entries) == video.content("init")


def test_the_printed_commands_work(client: FlaskClient, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    demo(settings)
    out = capsys.readouterr().out
    path = "http://127.0.0.1:8000(/[^']*)"
    (listing,) = re.findall(f"curl '{path}'", out)
    assert len(client.get(listing).json) == len(FLOWS)
    ((segments, timerange),) = re.findall(f"curl -G '{path}' --data-urlencode 'timerange=(.*)'", out)
    (item,) = client.get(segments, query_string={"timerange": timerange}).json
    assert item["timerange"] == "[28:0_32:0)"
    deletions = re.findall(f"curl -X DELETE '{path}'", out)
    assert [client.delete(url).status_code for url in deletions] == [200, 200, 200]
    assert client.get("/flows").json == client.get("/sources").json == []


def test_the_media_are_small_and_in_the_wheel() -> None:
    parser = ConfigParser()
    parser.read(ROOT / "setup.cfg")
    patterns = parser["options.package_data"]["tams"].split()
    packed = {path for pattern in patterns for path in (ROOT / "tams").glob(pattern)}
    media = set(MEDIA.iterdir())
    assert len(media) == 3 * OBJECTS + 2
    assert media <= packed
    assert sum(path.stat().st_size for path in media) < 2_000_000

"""Tests of real media for every database and every storage: classes that test modules import."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest

from tests.support import media
from tests.support.http_client import AUDIO, MULTI, VIDEO, WAVE, Client, Json, segment
from tests.support.media import AAC_FRAME, FRAME_RATE, SAMPLE_RATE, SECOND, TS_START, Cut, Span
from tests.support.servers import TamsStore, eventually

BEGINNING = 1_700_000_000 * SECOND
"""The start of the recording in TAI, where the time of its Flows begins."""

OFFSET = BEGINNING - TS_START * SECOND
"""The difference between the time of the Flows and the time in the transport stream."""

WAVE_LENGTH = 5 * SECOND

PICTURE = SECOND // FRAME_RATE


@dataclass(frozen=True)
class Archive:
    """A recording in the store: a Flow of its transport stream, one of each essence in it, and one of WAV files."""

    client: Client
    multi: str
    video: str
    audio: str
    wave: str
    objects: list[str]
    waves: list[str]


def ingest(client: Client, recording: list[Cut], sound: list[bytes]) -> Archive:
    """Upload and register a recording: some Segments one by one, the others in lists."""
    video, audio = client.make_flow(VIDEO, label="video"), client.make_flow(AUDIO, label="audio")
    members = [{"id": video, "role": "video"}, {"id": audio, "role": "audio"}]
    multi = client.make_flow(MULTI, label="programme", flow_collection=members)
    objects = client.upload(multi, [cut.content for cut in recording])
    muxed = [_muxed(object_id, cut) for object_id, cut in zip(objects, recording, strict=True)]
    for item in muxed[:3]:
        client.register(multi, item)
    client.register(multi, muxed[3:])
    for flow_id, essence in ((video, "video"), (audio, "audio")):
        spans = [getattr(cut, essence).shifted(OFFSET) for cut in recording]
        client.register(
            flow_id, [segment(object_id, span, OFFSET) for object_id, span in zip(objects, spans, strict=True)]
        )
    wave = client.make_flow(WAVE, label="sound")
    waves = client.upload(wave, sound)
    client.register(wave, [_wave(object_id, index) for index, object_id in enumerate(waves)])
    return Archive(client, multi, video, audio, wave, objects, waves)


def _muxed(object_id: str, cut: Cut) -> Json:
    """Return a Segment of both essences: as long as its pictures, in an Object that ends with its last audio frame."""
    assert cut.video is not None
    return segment(
        object_id,
        cut.video.shifted(OFFSET),
        OFFSET,
        object_timerange=str(cut.whole),
        last_duration="0:40000000",
        key_frame_count=1,
    )


def _wave(object_id: str, index: int) -> Json:
    start = BEGINNING + index * WAVE_LENGTH
    return segment(object_id, Span(start, start + WAVE_LENGTH), start)


@pytest.fixture(scope="module")
def archive(running: TamsStore, recording: list[Cut], sound: list[bytes]) -> Archive:
    """Ingest the recording into the running store."""
    return ingest(Client(running.url), recording, sound)


def programme(start: float, end: float) -> Span:
    """Return the span between two times in seconds after the recording's beginning, in Flow time."""
    return Span(BEGINNING + round(start * SECOND), BEGINNING + round(end * SECOND))


def served(store: TamsStore) -> Iterator[TamsStore]:
    start(store)
    yield store
    store.stop()
    assert store.errors() == []


def start(store: TamsStore) -> None:
    """Start two server processes and a worker process."""
    store.start("--workers", "2", "--no-worker")
    store.start_worker()


@dataclass(frozen=True)
class Edit:
    """A Flow that reuses Objects of the recording, and the numbers of the pictures that it shows."""

    flow_id: str
    numbers: list[int]


def make_edit(archive: Archive, recording: list[Cut]) -> Edit:
    flow_id = archive.client.make_flow(VIDEO, label="edit")
    at = 0
    segments: list[Json] = []
    numbers: list[int] = []
    for index, first, last in ((5, 0, 50), (20, 25, 50), (3, 10, 35)):
        cut = recording[index].video
        assert cut is not None
        start = cut.start + first * PICTURE
        length = (last - first) * PICTURE
        segments.append(segment(archive.objects[index], Span(at, at + length), at - start))
        numbers += range(index * 50 + first, index * 50 + last)
        at += length
    archive.client.register(flow_id, segments)
    return Edit(flow_id, numbers)


def _timeranges(items: list[Json]) -> Iterator[tuple[str, str]]:
    return pairwise(item["timerange"] for item in items)


def _without_urls(item: Json) -> Json:
    return {name: value for name, value in item.items() if name != "get_urls"}


class TestReading:
    def test_every_picture_stands_at_its_time_on_the_flow(self, archive: Archive, recording: list[Cut]) -> None:
        pictures = archive.client.watch(archive.video, programme(0, 60))
        assert [(at, picture.number) for at, picture in pictures] == [
            (BEGINNING + number * PICTURE, number) for number in range(60 * FRAME_RATE)
        ]
        assert sum(picture.bidirectional for _, picture in pictures) > len(pictures) / 2
        assert len(recording) == 30

    def test_the_multi_flow_shows_the_same_pictures(self, archive: Archive) -> None:
        within = programme(20, 26)
        assert archive.client.watch(archive.multi, within) == archive.client.watch(archive.video, within)

    def test_every_audio_frame_stands_at_its_time_on_the_flow(self, archive: Archive) -> None:
        frames = []
        for item in archive.client.segments(archive.audio):
            within = Span.parse(item["timerange"])
            spans = [span.shifted(OFFSET) for span in media.decode_audio_frames(archive.client.fetch(item))]
            assert (spans[0].start, spans[-1].end) == (within.start, within.end)
            frames += spans
        assert frames == [
            Span(media.sample_time(n * AAC_FRAME), media.sample_time((n + 1) * AAC_FRAME)).shifted(BEGINNING)
            for n in range(len(frames))
        ]
        assert frames[-1].end >= BEGINNING + 60 * SECOND

    def test_every_sample_stands_at_its_time_on_the_flow(self, archive: Archive) -> None:
        expected = 0
        for item in archive.client.segments(archive.wave):
            offset = media.parse_timestamp(item["ts_offset"])
            for run in media.decode_samples(archive.client.fetch(item)):
                assert run.first == expected
                for number in (run.first, run.first + run.count - 1):
                    assert run.time(number) + offset == BEGINNING + media.sample_time(number)
                expected += run.count
        assert expected == 60 * SAMPLE_RATE

    def test_the_bytes_come_back_as_they_went(self, archive: Archive, recording: list[Cut], sound: list[bytes]) -> None:
        for flow_id, sent in ((archive.multi, [cut.content for cut in recording]), (archive.wave, sound)):
            assert [archive.client.fetch(item) for item in archive.client.segments(flow_id)] == sent

    def test_a_part_of_an_object_can_be_fetched(self, archive: Archive, recording: list[Cut]) -> None:
        (item,) = archive.client.segments(archive.video, str(programme(4, 5)))
        answer = archive.client.media.get(item["get_urls"][0]["url"], headers={"Range": "bytes=188-375"})
        assert answer.status_code == 206
        assert answer.headers["Content-Range"] == f"bytes 188-375/{len(recording[2].content)}"
        assert answer.content == recording[2].content[188:376]

    def test_pages_follow_each_other_without_gap_or_repetition(self, archive: Archive) -> None:
        path = f"/flows/{archive.multi}/segments"
        pages = list(archive.client.pages(path, limit="7"))
        assert [len(page.json()) for page in pages] == [7, 7, 7, 7, 2]
        assert [page.headers["X-Paging-Count"] for page in pages] == ["7", "7", "7", "7", "2"]
        assert [page.headers["X-Paging-Limit"] for page in pages] == ["7"] * 5
        items = [item for page in pages for item in page.json()]
        assert [item["object_id"] for item in items] == archive.objects
        assert all(before.partition("_")[2][:-1] == after.partition("_")[0][1:] for before, after in _timeranges(items))
        assert [page.headers["X-Paging-Timerange"] for page in pages][-1] == str(programme(56, 60))
        backwards = archive.client.listed(path, limit="7", reverse_order="true")
        assert [item["object_id"] for item in backwards] == archive.objects[::-1]

    def test_what_was_registered_is_what_is_read(self, archive: Archive, recording: list[Cut]) -> None:
        items = archive.client.segments(archive.multi, include_object_timerange="true")
        for item, object_id, cut in zip(items, archive.objects, recording, strict=True):
            assert item.pop("get_urls")
            assert item == _muxed(object_id, cut)

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ((7, 13), range(3, 7)),
            ((6, 8), range(3, 4)),
            ((5.9, 8.1), range(2, 5)),
            ((59.999999999, 90), range(29, 30)),
            ((60, 90), range(0)),
        ],
    )
    def test_a_timerange_finds_the_segments_that_overlap_it(
        self, archive: Archive, query: tuple[float, float], found: range
    ) -> None:
        items = archive.client.segments(archive.video, str(programme(*query)))
        assert [item["object_id"] for item in items] == [archive.objects[index] for index in found]

    def test_an_instant_finds_the_picture_that_is_shown_then(self, archive: Archive) -> None:
        at = BEGINNING + 12_345_678_901
        (item,) = archive.client.segments(archive.video, f"[{media.timestamp(at)}]")
        assert item["object_id"] == archive.objects[6]
        ((_, picture),) = archive.client.watch(archive.video, Span(at - PICTURE + 1, at + 1))
        assert picture.number == 308

    def test_a_flow_tells_how_far_it_reaches(self, archive: Archive) -> None:
        for flow_id in (archive.multi, archive.video, archive.wave):
            flow = archive.client.get(f"/flows/{flow_id}", include_timerange="true")
            assert flow["timerange"] == str(programme(0, 60))

    def test_collections_are_seen_from_both_sides(self, archive: Archive) -> None:
        multi, video = archive.client.get(f"/flows/{archive.multi}"), archive.client.get(f"/flows/{archive.video}")
        assert video["collected_by"] == [archive.multi]
        source = archive.client.get(f"/sources/{multi['source_id']}")
        assert source["source_collection"][0] == {"id": video["source_id"], "role": "video"}
        assert archive.client.get(f"/sources/{video['source_id']}")["collected_by"] == [multi["source_id"]]


@pytest.fixture(scope="class")
def edit(archive: Archive, recording: list[Cut]) -> Edit:
    """Create an edit of three consecutive pieces from 0:0 on: a whole Object, the end of one, and the middle of one."""
    return make_edit(archive, recording)


class TestReuse:
    def test_an_edit_shows_its_pictures_at_their_new_times(self, archive: Archive, edit: Edit) -> None:
        pictures = archive.client.watch(edit.flow_id, Span(0, 60 * SECOND))
        assert [(at, picture.number) for at, picture in pictures] == [
            (index * PICTURE, number) for index, number in enumerate(edit.numbers)
        ]

    def test_a_part_of_an_edit_is_read_by_its_time(self, archive: Archive, edit: Edit) -> None:
        within = Span(1_500_000_000, 3_500_000_000)
        pictures = archive.client.watch(edit.flow_id, within)
        expected = [(index * PICTURE, number) for index, number in enumerate(edit.numbers) if index * PICTURE in within]
        assert [(at, picture.number) for at, picture in pictures] == expected

    def test_a_reused_object_keeps_its_own_time(self, archive: Archive, edit: Edit, recording: list[Cut]) -> None:
        item = archive.client.segments(edit.flow_id, include_object_timerange="true")[1]
        assert item["timerange"] == "[2:0_3:0)"
        assert item["ts_offset"] == "-49:0"
        assert item["object_timerange"] == str(recording[20].whole)
        shared = archive.client.get(f"/objects/{archive.objects[20]}")
        assert shared["timerange"] == str(recording[20].whole)
        assert shared["first_referenced_by_flow"] == archive.multi
        assert set(shared["referenced_by_flows"]) == {archive.multi, archive.video, archive.audio, edit.flow_id}

    def test_a_segment_outside_its_object_is_refused(self, archive: Archive, edit: Edit) -> None:
        path = f"/flows/{edit.flow_id}/segments"
        beyond = segment(archive.objects[3], Span(10 * SECOND, 12 * SECOND + SECOND), -6 * SECOND)
        assert "timerange" in archive.client.expect(400, "POST", path, json=beyond).text
        assert len(archive.client.segments(edit.flow_id)) == 3

    def test_a_cut_between_two_nanoseconds_loses_no_sample(self, archive: Archive) -> None:
        """Cut at a third of a second: the sample at 16000/48000 s is at 0:333333333, rounded to the nanosecond."""
        flow_id = archive.client.make_flow(WAVE, label="sound edit")
        pieces = [(2, 16_000, 40_000), (7, 1, 32_000)]
        at, segments, expected = 0, [], []
        for index, first, last in pieces:
            start, end = media.sample_time(first), media.sample_time(last)
            segments.append(segment(archive.waves[index], Span(at, at + end - start), at - start))
            expected += [
                (at - start + media.sample_time(number), index * 5 * SAMPLE_RATE + number)
                for number in range(first, last)
            ]
            at += end - start
        archive.client.register(flow_id, segments)
        assert archive.client.listen(flow_id, Span(0, 60 * SECOND)) == expected
        archive.client.expect(204, "DELETE", f"/flows/{flow_id}")


class TestInitialisationSegments:
    def test_fragments_are_decoded_with_their_init_object(self, archive: Archive) -> None:
        init, cuts = media.fragmented_mp4(10)
        client = archive.client
        essence = VIDEO["essence_parameters"] | {"init_segments": True}
        flow_id = client.make_flow(
            VIDEO | {"container": "video/iso.segment", "essence_parameters": essence, "container_mapping": {}}
        )
        allocated = client.expect(
            201, "POST", f"/flows/{flow_id}/storage", json={"limit": 1, "content_type": "video/mp4"}
        ).json()["media_objects"][0]
        assert allocated["put_url"]["content-type"] == "video/mp4"
        client.put_bytes(allocated, init)
        objects = client.upload(flow_id, [cut.content for cut in cuts])
        spans = [cut.whole for cut in cuts]
        client.register(
            flow_id,
            [
                segment(object_id, span, init_object_id=allocated["object_id"])
                for object_id, span in zip(objects, spans, strict=True)
            ],
        )
        pictures = client.watch(flow_id, Span(3 * SECOND, 7 * SECOND))
        assert [(at, picture.number) for at, picture in pictures] == [(n * PICTURE, n) for n in range(75, 175)]
        assert client.get(f"/objects/{allocated['object_id']}")["referenced_by_flows"] == [flow_id]
        client.expect(204, "DELETE", f"/flows/{flow_id}")
        assert client.missing(f"/objects/{allocated['object_id']}")


class TestDeleting:
    @pytest.fixture
    def own(self, store: TamsStore, recording: list[Cut], sound: list[bytes]) -> Archive:
        """Ingest the recording into a separate store."""
        return ingest(Client(store.url), recording, sound)

    def test_in_order_until_nothing_is_left(self, store: TamsStore, own: Archive, recording: list[Cut]) -> None:
        client = own.client
        edit = make_edit(own, recording)
        urls = [item["get_urls"][0]["url"] for flow_id in (own.multi, own.wave) for item in client.segments(flow_id)]
        assert len(store.media_files()) == len(urls) == 42

        # Flow by Flow: an Object that another Flow still needs stays, record and bytes.
        client.expect(204, "DELETE", f"/flows/{own.multi}")
        client.expect(204, "DELETE", f"/flows/{own.audio}/segments")
        assert client.segments(own.audio) == []
        client.expect(204, "DELETE", f"/flows/{own.audio}")
        assert len(client.watch(own.video, programme(0, 4))) == 100
        assert store.rows()["objects"] == 42
        client.expect(204, "DELETE", f"/flows/{own.video}")
        assert [client.missing(f"/objects/{object_id}") for object_id in own.objects] == [
            index not in {3, 5, 20} for index in range(30)
        ]
        assert len(client.watch(edit.flow_id, Span(0, 4 * SECOND))) == 100
        eventually(lambda: len(store.media_files()) == 3 + len(own.waves), "the bytes of 27 Objects are gone")

        client.expect(204, "DELETE", f"/flows/{edit.flow_id}")
        source_id = client.get(f"/flows/{own.wave}")["source_id"]
        client.expect(409, "DELETE", f"/sources/{source_id}")
        summary = client.expect(200, "DELETE", f"/sources/{source_id}?cascade=true").json()
        assert summary == {"deleted": {"sources": 1, "flows": 1, "segments": 12, "objects": 12}}

        assert client.listed("/flows") == []
        assert client.listed("/sources") == []
        assert all(client.missing(f"/objects/{object_id}") for object_id in own.objects + own.waves)
        eventually(lambda: not store.media_files(), "all bytes are gone")
        assert {client.media.get(url).status_code for url in urls} == {404}
        assert store.unfinished_files() == []
        # The remaining jobs delete each key once more, after the last URL that can write to it has expired.
        assert set(store.rows()) == {"jobs"}
        assert store.job_kinds() == {"delete-bytes"}

    def test_a_restart_keeps_everything(self, store: TamsStore, own: Archive, sound: list[bytes]) -> None:
        flows, segments = own.client.listed("/flows"), own.client.segments(own.multi)
        url = own.client.segments(own.wave)[0]["get_urls"][0]["url"]
        store.stop()
        start(store)
        assert own.client.listed("/flows") == flows
        assert [_without_urls(item) for item in own.client.segments(own.multi)] == [
            _without_urls(item) for item in segments
        ]
        assert own.client.media.get(url).content == sound[0]

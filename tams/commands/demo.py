"""The work of `tams dev demo`: a minute of test picture and tone, with real bytes.

The media lie in `demo_media`; `tools/render_demo.py` renders them. Every Object lasts four seconds. The same minute is
there twice: in a transport stream, whose Objects hold picture and tone and are shared by three Flows, and in fragmented
MP4, whose Flows have an initialisation Object each.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_URL, uuid5

import click

from tams.app import opened_store
from tams.config import ConfigurationError
from tams.domain.errors import TamsError
from tams.domain.principals import SCOPES, Principal
from tams.domain.segment_requests import SegmentRequest
from tams.domain.timerange import NANOSECONDS, TimeRange
from tams.services.flows import changes
from tams.services.objects import allocations
from tams.services.segments import registration
from tams.storage.port import StorageError

if TYPE_CHECKING:
    from tams.config import Settings
    from tams.domain.objects import Object
    from tams.services.store import Store

OBJECTS: Final = 15
"""The number of Segments of each Flow."""

LENGTH: Final = 4 * NANOSECONDS
"""The length of each Segment, in nanoseconds."""

_TS_START: Final = 10 * NANOSECONDS
"""The media time at which the transport stream begins. The Flows begin at 0."""

_OPERATOR: Final = Principal("tams dev demo", frozenset(SCOPES))
_MEDIA: Final = "demo_media"
_ADDRESS: Final = "http://127.0.0.1:8000"


def _uuid(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"urn:tams:demo:{name}"))


def _number(numerator: int) -> dict[str, int]:
    return {"numerator": numerator, "denominator": 1}


@dataclass(frozen=True, slots=True)
class DemoFlow:
    """A Flow of the demonstration.

    Its Objects have the ids `{objects}-00` and so on; None if it only collects other Flows. Files are named with
    `prefix` and `suffix`. `shift` (nanoseconds) is subtracted from media times; `init` is True if there is an
    initialisation Object. `roles` maps roles to the names of the Flows that it collects.
    """

    name: str
    source: str
    metadata: dict[str, Any]
    objects: str | None = None
    prefix: str = ""
    suffix: str = ""
    shift: int = 0
    init: bool = False
    roles: tuple[tuple[str, str], ...] = ()

    @property
    def id(self) -> str:
        """The id of the Flow, the same in every store."""
        return _uuid(self.name)

    @property
    def init_object_id(self) -> str | None:
        """The id of the initialisation Object; None if there is none."""
        return f"{self.objects}-init" if self.init else None

    def document(self) -> dict[str, Any]:
        """Return the metadata to store."""
        collection = {"flow_collection": [{"id": _uuid(name), "role": role} for role, name in self.roles]}
        common = {"id": self.id, "source_id": _uuid(f"source/{self.source}"), "tags": {"demo": "yes"}}
        return common | self.metadata | (collection if self.roles else {})

    def content(self, name: str) -> bytes:
        """Return the content of the file of one Object."""
        return (files("tams.commands") / _MEDIA / f"{self.prefix}{name}{self.suffix}").read_bytes()

    def segment(self, number: int) -> SegmentRequest:
        """Return the Segment with this number, whose time is that of its media."""
        within = TimeRange(number * LENGTH, (number + 1) * LENGTH)
        return SegmentRequest(
            f"{self.objects}-{number:02}",
            within,
            ts_offset=-self.shift,
            init_object_id=self.init_object_id,
        )


_VIDEO: Final = {
    "format": "urn:x-nmos:format:video",
    "codec": "video/h264",
    "segment_duration": _number(4),
}
_PICTURE: Final = {"frame_rate": _number(25), "frame_width": 320, "frame_height": 180}
_AUDIO: Final = {
    "format": "urn:x-nmos:format:audio",
    "codec": "audio/aac",
    "segment_duration": _number(4),
}
_TONE: Final = {"sample_rate": 32_000, "channels": 1}
_MULTI: Final = {"format": "urn:x-nmos:format:multi"}
_TS: Final = "tams-demo-ts"

FLOWS: Final = (
    DemoFlow(
        "ts/video",
        "video",
        _VIDEO
        | {
            "label": "Demo: picture, transport stream",
            "container": "video/mp2t",
            "container_mapping": {"mp2ts_container": {"pid": 256}},
            "essence_parameters": _PICTURE,
        },
        objects=_TS,
        suffix=".ts",
        shift=_TS_START,
    ),
    DemoFlow(
        "ts/audio",
        "audio",
        _AUDIO
        | {
            "label": "Demo: tone, transport stream",
            "container": "video/mp2t",
            "container_mapping": {"mp2ts_container": {"pid": 257}},
            "essence_parameters": _TONE,
        },
        objects=_TS,
        suffix=".ts",
        shift=_TS_START,
    ),
    DemoFlow(
        "ts",
        "programme",
        _MULTI
        | {
            "label": "Demo: picture and tone, transport stream",
            "container": "video/mp2t",
            "segment_duration": _number(4),
        },
        objects=_TS,
        suffix=".ts",
        shift=_TS_START,
        roles=(("video", "ts/video"), ("audio", "ts/audio")),
    ),
    DemoFlow(
        "mp4/video",
        "video",
        _VIDEO
        | {
            "label": "Demo: picture, fragmented MP4",
            "container": "video/mp4",
            "essence_parameters": _PICTURE | {"init_segments": True},
        },
        objects="tams-demo-video",
        prefix="video-",
        suffix=".mp4",
        init=True,
    ),
    DemoFlow(
        "mp4/audio",
        "audio",
        _AUDIO
        | {
            "label": "Demo: tone, fragmented MP4",
            "container": "audio/mp4",
            "essence_parameters": _TONE | {"init_segments": True},
        },
        objects="tams-demo-audio",
        prefix="audio-",
        suffix=".mp4",
        init=True,
    ),
    DemoFlow(
        "mp4",
        "programme",
        _MULTI | {"label": "Demo: picture and tone, fragmented MP4"},
        roles=(("video", "mp4/video"), ("audio", "mp4/audio")),
    ),
)
"""The Flows, in an order in which they can be created: a collection comes after its members."""


def demo(settings: Settings) -> int:
    """Add what is missing of the demonstration, and print what to look at; return the exit code.

    Raises:
        ConfigurationError: the database or the storage backend does not accept it; the message says why.
    """
    with opened_store(settings) as store:
        try:
            for flow in FLOWS:
                with store.repository.read() as read:
                    stored = read.flow(flow.id)
                if stored is None:
                    changes.put(store, flow.id, flow.document(), _OPERATOR)
            with click.progressbar(
                [(flow, number) for flow in FLOWS if flow.objects for number in range(OBJECTS)], label="Segments"
            ) as bar:
                added = sum(_add_segment(store, flow, number) for flow, number in bar)
        except (TamsError, StorageError) as error:
            raise ConfigurationError(f"The demonstration could not be added: {error}") from error
    click.echo(_summary(settings, added))
    return 0


def _add_segment(store: Store, flow: DemoFlow, number: int) -> bool:
    """Upload and register one Segment with what it refers to. Return False if its time is taken already."""
    segment = flow.segment(number)
    with store.repository.read() as read:
        stored = read.flow(flow.id)
        taken = stored is not None and any(read.overlaps(stored.flow_key, [segment.timerange]))
        item = read.objects([segment.object_id]).get(segment.object_id)
    if taken:
        return False
    if flow.init_object_id is not None:
        _upload_init(store, flow, flow.init_object_id)
    if item is not None and item.kind is not None:
        failed = registration.register(store, flow.id, [segment], _OPERATOR)
        if failed:
            raise failed[0].error
    else:
        registration.upload(store, flow.id, segment, io.BytesIO(flow.content(f"{number:02}")), _OPERATOR)
    return True


def _upload_init(store: Store, flow: DemoFlow, object_id: str) -> None:
    """Allocate and upload the initialisation Object unless it is registered. A Segment registers it."""
    item = _object(store, object_id)
    if item is None:
        allocations.allocate(store, flow.id, _OPERATOR, object_ids=[object_id])
        item = _object(store, object_id)
    if item is None or item.kind is not None:
        return
    for instance in item.instances:
        if instance.storage_id is not None and instance.storage_key is not None:
            content_type = item.content_type or str(flow.metadata["container"])
            storage = store.storage(instance.storage_id)
            storage.put(instance.storage_key, io.BytesIO(flow.content("init")), content_type)


def _object(store: Store, object_id: str) -> Object | None:
    with store.repository.read() as read:
        return read.objects([object_id]).get(object_id)


def _summary(settings: Settings, added: int) -> str:
    base = settings.public_url or _ADDRESS
    lines = [f"{settings.shown_database_url()}: a minute of test picture and tone, in Segments of four seconds."]
    lines.append(f"{added} Segments were added." if added else "Everything was there already.")
    lines += ["", *(f"  {flow.id}  {flow.metadata['label']}" for flow in FLOWS), ""]
    lines += [
        "While the store serves (make run, or tams serve), look at the Flows, and at the Segment of second 30:",
        "",
        f"  curl '{base}/flows?tag.demo=yes'",
        f"  curl -G '{base}/flows/{_uuid('ts')}/segments' --data-urlencode 'timerange=[30:0]'",
        "",
        "A player such as VLC or ffplay opens the URLs in get_urls: every picture shows its time.",
        "In fragmented MP4, the initialisation Object of a Segment (init_object) comes before its media.",
        "",
        "To delete all of it:",
        "",
        *(f"  curl -X DELETE '{base}/sources/{source_id}?cascade=true'" for source_id in _source_ids()),
    ]
    return "\n".join(lines)


def _source_ids() -> list[str]:
    """Return the ids of the Sources, each once, collections before their members."""
    return list(dict.fromkeys(_uuid(f"source/{flow.source}") for flow in reversed(FLOWS)))

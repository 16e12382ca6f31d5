"""Random requests to a store and to a model in memory: after each step all readable state is compared.

The model has no transactions or tables. It says what a client may expect of Flows, Sources, Segments and Objects while
they are created, reused, collected, locked and deleted in any order.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, settings, strategies
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tams.config import Settings
from tams.domain.identifiers import new_id
from tests.support.api_steps import make_flow
from tests.support.applications import DATABASE, KEY, NewEnvironment, serving
from tests.support.hypothesis_profiles import examples

FLOWS = [new_id() for _ in range(4)]
SOURCES = [new_id() for _ in range(2)]
CASCADES = {None: "", False: "cascade=false", True: "cascade=true"}

# Each step reads everything: an example takes 15 s if each read is several requests to a cluster.
EXAMPLES = {"vast": 5}

flow_ids = strategies.sampled_from(FLOWS)
# An index into the existing Flows or Objects: requests for deleted ones alone would test little.
picks = strategies.integers(0, 2**16)
source_ids = strategies.sampled_from(SOURCES)
cascades = strategies.sampled_from(list(CASCADES))
moments = strategies.integers(0, 20)
lengths = strategies.integers(1, 3)


@dataclass
class ModelFlow:
    """A Flow of the model: its Segments by start (end, Object), in whole seconds."""

    source: str
    allocated: set[str] = field(default_factory=set)
    segments: dict[int, tuple[int, str]] = field(default_factory=dict)
    members: list[str] = field(default_factory=list)
    read_only: bool = False


@dataclass
class Model:
    """The state that a client may expect."""

    flows: dict[str, ModelFlow] = field(default_factory=dict)
    declared: set[str] = field(default_factory=set)
    lengths: dict[str, int] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)

    def sources(self) -> set[str]:
        return self.declared | {flow.source for flow in self.flows.values()}

    def users(self, object_id: str) -> list[str]:
        return sorted(
            flow_id
            for flow_id, flow in self.flows.items()
            if any(used == object_id for _, used in flow.segments.values())
        )

    def collectors(self, flow_id: str) -> list[str]:
        return sorted(other for other, flow in self.flows.items() if flow_id in flow.members)

    def reaches(self, start: str, goal: str) -> bool:
        return start == goal or any(self.reaches(member, goal) for member in self.flows[start].members)

    def drop_segments(self, flow_id: str, starts: list[int]) -> int:
        """Remove the Segments; return the number of Objects that are deleted with them."""
        touched = {self.flows[flow_id].segments.pop(start)[1] for start in starts}
        unused = [object_id for object_id in touched if not self.users(object_id)]
        for object_id in unused:
            del self.lengths[object_id]
            del self.first[object_id]
        return len(unused)

    def drop_flow(self, flow_id: str) -> tuple[int, int]:
        """Remove the Flow; return the numbers of Segments and of Objects that are deleted with it."""
        starts = list(self.flows[flow_id].segments)
        objects = self.drop_segments(flow_id, starts)
        del self.flows[flow_id]
        for flow in self.flows.values():
            flow.members = [member for member in flow.members if member != flow_id]
        return len(starts), objects

    def locks(self, flow_id: str) -> bool:
        """Return whether the Flow cannot be deleted, because it or a Flow that collects it is read-only."""
        return self.flows[flow_id].read_only or any(self.flows[other].read_only for other in self.collectors(flow_id))


class StoreMachine(RuleBasedStateMachine):
    """The real store and the model, step by step."""

    def __init__(self, new_environment: NewEnvironment) -> None:
        super().__init__()
        self.new_environment = new_environment

    @initialize()
    def open(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="tams-model-"))
        environment = self.new_environment()
        self.served = serving(
            Settings.from_env(environment, environment="development", data_dir=self.directory, secret_key=KEY)
        )
        self.client = next(self.served).test_client()
        self.model = Model()
        self.allocated: list[str] = []
        for flow_id, source_id in zip(FLOWS, SOURCES * 2, strict=True):
            self.put_flow(flow_id, source_id)
            self.register(flow_id, self.allocate(flow_id), 0, 2)

    def a_flow(self, pick: int) -> str:
        """Return a Flow that exists, or in one of 16 cases any Flow."""
        existing = sorted(self.model.flows)
        return existing[pick % len(existing)] if existing and pick % 16 else FLOWS[pick % len(FLOWS)]

    def an_object(self, pick: int) -> str:
        """Return a registered Object, or in one of 16 cases any that was ever allocated."""
        existing = sorted(self.model.lengths)
        return existing[pick % len(existing)] if existing and pick % 16 else self.allocated[pick % len(self.allocated)]

    def teardown(self) -> None:
        if hasattr(self, "client"):
            next(self.served, None)
            shutil.rmtree(self.directory)

    @rule(source_id=source_ids)
    def declare_source(self, source_id: str) -> None:
        body = {"id": source_id, "format": "urn:x-nmos:format:data"}
        answer = self.client.post("/sources", json=body)
        assert answer.status_code == (409 if source_id in self.model.sources() else 201)
        if answer.status_code == 201:
            self.model.declared.add(source_id)

    @rule(flow_id=flow_ids, source_id=source_ids)
    def put_flow(self, flow_id: str, source_id: str) -> None:
        known = self.model.flows.get(flow_id)
        if known is not None and known.read_only:
            return
        make_flow(self.client, flow_id, source_id)
        if known is None:
            self.model.flows[flow_id] = ModelFlow(source_id)
        else:
            # PUT replaces the Flow, and the body has no collection.
            known.source, known.members = source_id, []

    @rule(pick=picks)
    def lock(self, pick: int) -> None:
        """Lock a Flow, or unlock one, so that at most one is locked most of the time."""
        locked = sorted(flow_id for flow_id, flow in self.model.flows.items() if flow.read_only)
        flow_id = locked[0] if locked and pick % 4 else self.a_flow(pick)
        read_only = flow_id not in locked
        answer = self.client.put(f"/flows/{flow_id}/read_only", json=read_only)
        if flow_id not in self.model.flows:
            assert answer.status_code == 404
            return
        assert answer.status_code == 204
        self.model.flows[flow_id].read_only = read_only

    @rule(pick=picks, other=picks)
    def collect(self, pick: int, other: int) -> None:
        flow_id, member = self.a_flow(pick), self.a_flow(other)
        answer = self.client.put(f"/flows/{flow_id}/flow_collection", json=[{"id": member}])
        flow = self.model.flows.get(flow_id)
        if flow is None:
            assert answer.status_code == 404
        elif flow.read_only:
            assert answer.status_code == 403
        elif member not in self.model.flows or self.model.reaches(member, flow_id):
            assert answer.status_code == 400
        else:
            assert answer.status_code == 204
            flow.members = [member]

    def allocate(self, flow_id: str) -> str:
        """Allocate an Object; return its id, or an unknown id if the Flow cannot have Objects."""
        answer = self.client.post(f"/flows/{flow_id}/storage", json={"limit": 1})
        flow = self.model.flows.get(flow_id)
        if flow is None or flow.read_only:
            assert answer.status_code == (404 if flow is None else 403)
            return new_id()
        (allocated,) = answer.json["media_objects"]
        object_id: str = allocated["object_id"]
        flow.allocated.add(object_id)
        self.allocated.append(object_id)
        return object_id

    @rule(pick=picks, start=moments, length=lengths)
    def record(self, pick: int, start: int, length: int) -> None:
        """Register new media in a Flow."""
        flow_id = self.a_flow(pick)
        self.register(flow_id, self.allocate(flow_id), start, length)

    @rule(pick=picks, used=picks, start=moments, length=lengths)
    def reuse(self, pick: int, used: int, start: int, length: int) -> None:
        """Register existing media again, in the same Flow or another."""
        self.register(self.a_flow(pick), self.an_object(used), start, length)

    def register(self, flow_id: str, object_id: str, start: int, length: int) -> None:
        """Register a Segment. The Object's timeline begins at 0, and its first registration defines its length."""
        segment = {
            "object_id": object_id,
            "timerange": f"[{start}:0_{start + length}:0)",
            "ts_offset": f"{start}:0",
        }
        answer = self.client.post(f"/flows/{flow_id}/segments", json=segment)
        flow = self.model.flows.get(flow_id)
        if flow is None or flow.read_only:
            assert answer.status_code == (404 if flow is None else 403)
            return
        free = all(end <= start or other >= start + length for other, (end, _) in flow.segments.items())
        known = object_id in self.model.lengths
        usable = length <= self.model.lengths[object_id] if known else object_id in flow.allocated
        assert answer.status_code == (201 if free and usable else 400), answer.text
        if free and usable:
            flow.allocated.discard(object_id)
            flow.segments[start] = (start + length, object_id)
            self.model.lengths.setdefault(object_id, length)
            self.model.first.setdefault(object_id, flow_id)

    @rule(pick=picks, start=moments, length=strategies.integers(0, 6), cascade=cascades)
    def delete_segments(self, pick: int, start: int, length: int, cascade: bool | None) -> None:
        flow_id = self.a_flow(pick)
        end = start + length
        answer = self.client.delete(f"/flows/{flow_id}/segments?timerange=[{start}:0_{end}:0)&{CASCADES[cascade]}")
        flow = self.model.flows.get(flow_id)
        if flow is None or flow.read_only:
            assert answer.status_code == (404 if flow is None else 403)
            return
        starts = [at for at, (until, _) in flow.segments.items() if start <= at and until <= end]
        if cascade is False:
            left = [used for at, (_, used) in flow.segments.items() if at not in starts]
            touched = {flow.segments[at][1] for at in starts}
            if any(self.model.users(used) == [flow_id] and used not in left for used in touched):
                assert answer.status_code == 409
                return
        objects = self.model.drop_segments(flow_id, starts)
        self.check_summary(answer, cascade, segments=len(starts), objects=objects)

    @rule(pick=picks, cascade=cascades)
    def delete_flow(self, pick: int, cascade: bool | None) -> None:
        flow_id = self.a_flow(pick)
        answer = self.client.delete(f"/flows/{flow_id}?{CASCADES[cascade]}")
        flow = self.model.flows.get(flow_id)
        if flow is None:
            assert answer.status_code == 404
        elif flow.read_only:
            assert answer.status_code == 403
        elif cascade is False and (flow.segments or self.model.collectors(flow_id)):
            assert answer.status_code == 409
        elif self.model.locks(flow_id):
            assert answer.status_code == 403
        else:
            before = self.model.sources()
            segments, objects = self.model.drop_flow(flow_id)
            sources = len(before - self.model.sources())
            self.check_summary(answer, cascade, sources=sources, flows=1, segments=segments, objects=objects)

    @precondition(lambda self: len(self.model.flows) > 2)
    @rule(source_id=source_ids, cascade=cascades)
    def delete_source(self, source_id: str, cascade: bool | None) -> None:
        answer = self.client.delete(f"/sources/{source_id}?{CASCADES[cascade]}")
        flows = [flow_id for flow_id, flow in self.model.flows.items() if flow.source == source_id]
        if source_id not in self.model.sources():
            assert answer.status_code == 404
        elif not cascade and flows:
            assert answer.status_code == 409
        elif any(self.model.locks(flow_id) for flow_id in flows):
            assert answer.status_code == 403
        else:
            dropped = [self.model.drop_flow(flow_id) for flow_id in flows]
            self.model.declared.discard(source_id)
            segments, objects = (sum(counts[n] for counts in dropped) for n in (0, 1))
            self.check_summary(answer, cascade, sources=1, flows=len(flows), segments=segments, objects=objects)

    @rule(used=picks, cascade=cascades)
    def delete_object(self, used: int, cascade: bool | None) -> None:
        object_id = self.an_object(used)
        answer = self.client.delete(f"/objects/{object_id}?{CASCADES[cascade]}")
        users = self.model.users(object_id)
        if not users:
            # Allocated storage stays after its Flow is deleted, until the worker collects it.
            assert answer.status_code in (200, 204, 404)
            for flow in self.model.flows.values():
                flow.allocated.discard(object_id)
        elif not cascade:
            assert answer.status_code == 409
        elif any(self.model.flows[user].read_only for user in users):
            assert answer.status_code == 403
        else:
            segments = 0
            for user in users:
                starts = [at for at, (_, used) in self.model.flows[user].segments.items() if used == object_id]
                segments += len(starts)
                self.model.drop_segments(user, starts)
            self.check_summary(answer, cascade, segments=segments, objects=1)

    @staticmethod
    def check_summary(answer: Any, cascade: bool | None, **counts: int) -> None:
        if cascade:
            assert answer.status_code == 200
            assert answer.json == {"deleted": {"sources": 0, "flows": 0, "segments": 0, "objects": 0, **counts}}
        else:
            assert answer.status_code == 204

    @invariant()
    def everything_readable_is_as_expected(self) -> None:
        if not hasattr(self, "client"):
            return
        self.compare_flows()
        self.compare_sources()
        self.compare_objects()

    def compare_flows(self) -> None:
        listed = {flow["id"]: flow for flow in self.client.get("/flows").json}
        assert set(listed) == set(self.model.flows)
        for flow_id in FLOWS:
            expected = self.model.flows.get(flow_id)
            segments = self.client.get(f"/flows/{flow_id}/segments?accept_get_urls=").json
            actual = [(segment["timerange"], segment["object_id"]) for segment in segments]
            if expected is None:
                assert actual == []
                continue
            assert actual == [
                (f"[{start}:0_{end}:0)", used) for start, (end, used) in sorted(expected.segments.items())
            ]
            flow = listed[flow_id]
            assert flow["source_id"] == expected.source
            assert flow.get("read_only", False) is expected.read_only
            assert [item["id"] for item in flow.get("flow_collection", [])] == expected.members
            assert sorted(flow.get("collected_by", [])) == self.model.collectors(flow_id)
            timerange = self.client.get(f"/flows/{flow_id}?include_timerange=true").json["timerange"]
            if expected.segments:
                last = max(end for end, _ in expected.segments.values())
                assert timerange == f"[{min(expected.segments)}:0_{last}:0)"
            else:
                assert timerange == "()"

    def compare_sources(self) -> None:
        listed = {source["id"]: source for source in self.client.get("/sources").json}
        assert set(listed) == self.model.sources()
        for source_id, source in listed.items():
            collected = {
                self.model.flows[member].source
                for flow in self.model.flows.values()
                if flow.source == source_id
                for member in flow.members
            } - {source_id}
            assert {item["id"] for item in source.get("source_collection", [])} == collected
            collectors = {
                flow.source
                for flow in self.model.flows.values()
                if any(self.model.flows[member].source == source_id for member in flow.members)
            } - {source_id}
            assert set(source.get("collected_by", [])) == collectors

    def compare_objects(self) -> None:
        for object_id in self.allocated:
            answer = self.client.get(f"/objects/{object_id}?accept_get_urls=")
            if object_id not in self.model.lengths:
                assert answer.status_code == 404
                continue
            assert answer.status_code == 200
            assert answer.json["referenced_by_flows"] == self.model.users(object_id)
            assert answer.json["timerange"] == f"[0:0_{self.model.lengths[object_id]}:0)"


@pytest.mark.timeout(900)
def test_the_store_does_what_the_model_says(new_environment: NewEnvironment) -> None:
    run_state_machine_as_test(
        cast("type[StoreMachine]", lambda: StoreMachine(new_environment)),
        settings=settings(
            max_examples=examples(EXAMPLES.get(DATABASE, 30)),
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )

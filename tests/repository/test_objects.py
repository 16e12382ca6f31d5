"""Objects, their instances, and references to them."""

from __future__ import annotations

import pytest

from tams.domain.errors import IntegrityBroken
from tams.domain.filters import TagFilter
from tams.domain.objects import Instance, Object
from tams.domain.timerange import TimeRange
from tams.repository.port import Repository, Write
from tests.support import factories
from tests.support.factories import STORAGE, seconds
from tests.support.repository_steps import add, fill, new_flow, put_flows, put_objects, read, walk, write


def found(repository: Repository, *object_ids: str) -> dict[str, Object]:
    """Return the stored Objects, by id."""
    return read(repository, lambda snapshot: snapshot.objects(object_ids))


def test_an_object_is_read_as_it_was_stored(repository: Repository) -> None:
    init = factories.init_object()
    media = Object(
        "bucket/\U0001f4f9 %2F..",
        created=1,
        instances=(
            Instance(storage_id=STORAGE, storage_key="k/1", put_until=77, ready=True),
            Instance(storage_id=factories.uuid(), storage_key="k/2", ready=False),
            Instance(url="https://example.com/a?b=c&d", label="mirror"),
        ),
        allocated_to=2**62,
        content_type="video/mp2t",
        kind="media",
        registered=2,
        timerange=TimeRange(-5, 10, closed=True),
        key_frame_count=0,
        init_object_id=init.id,
        first_flow_id=factories.uuid(),
    )
    put_objects(repository, init, media)
    assert found(repository, media.id, "unknown") == {media.id: media}
    stored = found(repository, media.id)[media.id]
    assert str(stored.timerange) == str(media.timerange)
    assert [instance.ready for instance in stored.instances] == [True, False, True]


def test_the_longest_ids_and_labels_are_stored(repository: Repository) -> None:
    flow = new_flow(repository)
    object_id, label = "\U0001f4f9" * 256, "l" * 1024
    media = factories.media_object(object_id, instances=(Instance(url="https://example.com/", label=label),))
    put_objects(repository, media)
    add(repository, flow, [factories.segment(seconds(0, 1), media)])
    assert found(repository, object_id) == {object_id: media}
    assert read(repository, lambda snapshot: snapshot.references(object_id)).items == [flow.id]


def test_objects_without_instances_and_allocations_are_read_too(repository: Repository) -> None:
    bare = factories.media_object(instances=())
    allocated = factories.allocation(to=5)
    put_objects(repository, bare, allocated)
    assert found(repository, bare.id, allocated.id) == {bare.id: bare, allocated.id: allocated}
    assert found(repository) == {}


def test_instances_are_read_without_their_objects_in_their_order(repository: Repository) -> None:
    first, second = factories.instance(storage_id="b"), factories.instance(storage_id="a")._replace(ready=False)
    mirror = Instance(url="https://example.com/", label="mirror")
    several = factories.media_object(instances=(first, mirror, second))
    one, none = factories.allocation(to=5), factories.media_object(instances=())
    put_objects(repository, several, one, none)
    object_ids = [several.id, one.id, none.id, "unknown", one.id]
    assert read(repository, lambda snapshot: snapshot.instances(object_ids)) == {
        several.id: (first, mirror, second),
        one.id: one.instances,
    }
    assert read(repository, lambda snapshot: snapshot.instances([])) == {}


def test_putting_an_object_again_replaces_it_and_its_instances(repository: Repository) -> None:
    allocated = factories.allocation(to=5)
    put_objects(repository, allocated)
    registered = factories.media_object(allocated.id, instances=allocated.instances)
    put_objects(repository, registered)
    assert found(repository, allocated.id) == {allocated.id: registered}

    first, second = factories.instance(storage_id="a"), factories.instance(storage_id="b")
    for instances in [(first, second), (second,), (second, first), (first, second._replace(ready=False)), ()]:
        changed = registered._replace(instances=instances)
        put_objects(repository, changed)
        assert found(repository, allocated.id) == {allocated.id: changed}


def test_instances_put_twice_in_one_transaction_are_those_of_the_last(repository: Repository) -> None:
    media = factories.media_object()
    changed = media._replace(instances=(factories.instance(), Instance(url="https://example.com/x", label="x")))

    def transact(tx: Write) -> dict[str, Object]:
        tx.put_objects([media])
        tx.put_objects([changed])
        tx.put_objects([media])
        tx.put_objects([changed])
        return tx.objects([media.id])

    assert write(repository, transact) == {media.id: changed}
    assert found(repository, media.id) == {media.id: changed}


def test_an_object_deleted_and_put_again_in_one_transaction_has_its_instances(repository: Repository) -> None:
    media = factories.media_object()
    put_objects(repository, media)

    def transact(tx: Write) -> None:
        assert tx.objects([media.id]) == {media.id: media}
        tx.delete_objects([media.id])
        assert tx.objects([media.id]) == {}
        tx.put_objects([media])

    write(repository, transact)
    assert found(repository, media.id) == {media.id: media}


def test_a_storage_key_is_never_used_twice(repository: Repository) -> None:
    media = factories.media_object()
    put_objects(repository, media)
    with pytest.raises(IntegrityBroken):
        put_objects(repository, factories.media_object(instances=media.instances))


@pytest.mark.parametrize(
    "instances",
    [
        (factories.instance(), factories.instance()),
        (Instance(url="https://example.com/1", label="same"), Instance(url="https://example.com/2", label="same")),
    ],
)
def test_an_object_has_one_instance_per_backend_and_label(
    repository: Repository, instances: tuple[Instance, ...]
) -> None:
    with pytest.raises(IntegrityBroken):
        put_objects(repository, factories.media_object(instances=instances))


def test_an_init_object_may_be_put_together_with_those_that_need_it(repository: Repository) -> None:
    init = factories.init_object()
    media = factories.media_object(init_object_id=init.id)
    put_objects(repository, media, init)
    assert found(repository, media.id, init.id) == {media.id: media, init.id: init}
    with pytest.raises(IntegrityBroken):
        put_objects(repository, factories.media_object(init_object_id="unknown"))


def test_an_object_that_is_referred_to_is_not_deleted(repository: Repository) -> None:
    flow = new_flow(repository)
    init = factories.init_object()
    (segment,) = fill(repository, flow, [seconds(0, 1)], init=init)
    unused = factories.media_object()
    put_objects(repository, unused)
    for object_id in (segment.object_id, init.id):
        with pytest.raises(IntegrityBroken):
            write(repository, lambda tx, gone=object_id: tx.delete_objects([unused.id, gone]))  # type: ignore[misc]
    assert set(found(repository, segment.object_id, init.id, unused.id)) == {segment.object_id, init.id, unused.id}

    def delete_all(tx: Write) -> None:
        tx.remove_segments(flow.flow_key, [segment], at=9)
        assert tx.still_referenced([segment.object_id, init.id, unused.id]) == {init.id}
        tx.delete_objects([init.id, segment.object_id, unused.id])

    write(repository, delete_all)
    assert found(repository, segment.object_id, init.id, unused.id) == {}
    write(repository, lambda tx: tx.delete_objects([unused.id]))
    write(repository, lambda tx: tx.delete_objects([]))


def test_still_referenced_sees_segments_of_any_flow_init_uses_and_own_writes(repository: Repository) -> None:
    first, second = new_flow(repository), new_flow(repository)
    init = factories.init_object()
    (segment,) = fill(repository, first, [seconds(0, 1)], init=init)
    add(repository, second, [segment])
    every = [segment.object_id, init.id, "unknown"]
    assert read(repository, lambda snapshot: snapshot.still_referenced(every)) == {segment.object_id, init.id}
    assert read(repository, lambda snapshot: snapshot.still_referenced([])) == set()

    def transact(tx: Write) -> list[set[str]]:
        answers = []
        for flow in (first, second):
            tx.remove_segments(flow.flow_key, [segment], at=9)
            answers.append(tx.still_referenced(every))
        return answers

    assert write(repository, transact) == [{segment.object_id, init.id}, {init.id}]


def test_references_are_the_flows_that_use_an_object_each_once_by_id(repository: Repository) -> None:
    media = factories.media_object()
    put_objects(repository, media)
    flows = [new_flow(repository, tags={"n": str(number % 2)}) for number in range(7)]
    for flow in flows:
        add(repository, flow, [factories.segment(seconds(n, n + 1), media) for n in range(3)])
    expected = sorted(flow.id for flow in flows)
    for limit in (1, 3, 7, 100):
        assert (
            walk(
                repository,
                lambda snapshot, after, size=limit: snapshot.references(media.id, after=after, limit=size),  # type: ignore[misc]
            )
            == expected
        )
    tagged = TagFilter(any_of=(("n", ("1",)),), exists=(("n", True), ("other", False)))
    assert read(repository, lambda snapshot: snapshot.references(media.id, flow_tags=tagged)).items == sorted(
        flow.id for flow in flows if flow.metadata["tags"] == {"n": "1"}
    )
    nothing = TagFilter(any_of=(("n", ()),))
    assert read(repository, lambda snapshot: snapshot.references(media.id, flow_tags=nothing)) == ([], None)
    assert read(repository, lambda snapshot: snapshot.references("unknown")) == ([], None)


def test_references_of_an_init_object_go_through_other_objects(repository: Repository) -> None:
    init = factories.init_object()
    first, second = new_flow(repository), new_flow(repository)
    (segment,) = fill(repository, first, [seconds(0, 1)], init=init)
    add(repository, second, [segment])
    expected = sorted([first.id, second.id])
    assert read(repository, lambda snapshot: snapshot.references(init.id)).items == expected
    write(repository, lambda tx: tx.detach_flow(first.id))
    assert read(repository, lambda snapshot: snapshot.references(init.id)).items == [second.id]


def test_allocations_come_oldest_first_and_end_with_registration(repository: Repository) -> None:
    old = [factories.allocation(f"object-{9 - n}", to=1, created=n // 2) for n in range(6)]
    put_objects(repository, *old, factories.allocation(to=1, created=3), factories.media_object(registered=0))
    expected = sorted(old, key=lambda each: (each.created, each.id))
    for limit in (1, 2, 6, 50):
        assert (
            walk(
                repository,
                lambda snapshot, after, size=limit: snapshot.allocations_before(3, after=after, limit=size),  # type: ignore[misc]
            )
            == expected
        )
    put_objects(repository, factories.media_object(expected[0].id, instances=expected[0].instances))
    assert read(repository, lambda snapshot: snapshot.allocations_before(3, after=None, limit=50)).items == expected[1:]


def test_instances_in_a_storage_backend_come_by_their_keys(repository: Repository) -> None:
    keys = ["a/2", "a/10", "A/1", "a-1", "\U0001f4f9", "\uffff", "a"]
    objects = [
        factories.media_object(
            instances=(factories.instance(key)._replace(ready=number != 3), factories.instance(storage_id="b"))
        )
        for number, key in enumerate(keys)
    ]
    allocated = factories.allocation(to=1)
    uncontrolled = factories.media_object(instances=(Instance(url="https://example.com/x", label="x"),))
    put_objects(repository, *objects, allocated, uncontrolled)
    expected = sorted(
        [(each.id, each.instances[0]) for each in [*objects, allocated]], key=lambda pair: pair[1].storage_key or ""
    )
    for limit in (1, 3, 8, 100):
        assert (
            walk(
                repository,
                lambda snapshot, after, size=limit: snapshot.instances_of(STORAGE, after=after, limit=size),  # type: ignore[misc]
            )
            == expected
        )
    assert len(read(repository, lambda snapshot: snapshot.instances_of("b", after=None, limit=100)).items) == len(
        objects
    )
    assert read(repository, lambda snapshot: snapshot.instances_of("c", after=None, limit=100)) == ([], None)


def test_keys_are_known_while_an_instance_has_them(repository: Repository) -> None:
    media = factories.media_object(instances=(factories.instance("k/1"), factories.instance("k/2", storage_id="b")))
    put_objects(repository, media, factories.allocation(to=1))
    storage_keys = ["k/1", "k/2", "k/3"]
    assert read(repository, lambda snapshot: snapshot.keys_known(STORAGE, storage_keys)) == {"k/1"}
    assert read(repository, lambda snapshot: snapshot.keys_known("b", storage_keys)) == {"k/2"}
    assert read(repository, lambda snapshot: snapshot.keys_known("b", [])) == set()

    def transact(tx: Write) -> set[str]:
        tx.put_objects([media._replace(instances=media.instances[1:])])
        return tx.keys_known(STORAGE, storage_keys)

    assert write(repository, transact) == set()
    write(repository, lambda tx: tx.delete_objects([media.id]))
    assert read(repository, lambda snapshot: snapshot.keys_known("b", storage_keys)) == set()


def test_the_object_of_a_storage_key_is_found_while_it_has_it(repository: Repository) -> None:
    media = factories.media_object(instances=(factories.instance("k/1"), factories.instance("k/2", storage_id="b")))
    put_objects(repository, media)
    assert read(repository, lambda snapshot: snapshot.object_at(STORAGE, "k/1")) == media.id
    assert read(repository, lambda snapshot: snapshot.object_at("b", "k/2")) == media.id
    assert read(repository, lambda snapshot: snapshot.object_at("b", "k/1")) is None
    write(repository, lambda tx: tx.put_objects([media._replace(instances=media.instances[1:])]))
    assert read(repository, lambda snapshot: snapshot.object_at(STORAGE, "k/1")) is None


def test_objects_that_flows_with_certain_tags_refer_to_are_found_at_once(repository: Repository) -> None:
    news, sports, both = (
        new_flow(repository, tags={"auth_classes": classes}) for classes in ("news", ["sports"], ["sports", "news"])
    )
    init = factories.init_object()
    media = [factories.media_object(init_object_id=init.id), *(factories.media_object() for _ in range(4))]
    put_objects(repository, init, *media, factories.allocation("allocated", to=1))
    used_by = {0: [sports], 1: [news], 2: [news, sports], 3: [both], 4: []}
    for number, flows in used_by.items():
        for flow in flows:
            add(repository, flow, [factories.segment(seconds(number, number + 1), media[number])])
    object_ids = [init.id, *(each.id for each in media), "allocated", "unknown"]

    def referred_to(*classes: str) -> set[str]:
        tags = TagFilter(any_of=(("auth_classes", classes),))
        stored = read(repository, lambda snapshot: snapshot.referred_to(object_ids, tags))
        assert stored == {
            each
            for each in object_ids
            if read(repository, lambda snapshot: snapshot.references(each, flow_tags=tags)).items  # noqa: B023
        }
        return stored

    assert referred_to("news") == {media[1].id, media[2].id, media[3].id}
    assert referred_to("sports") == {init.id, media[0].id, media[2].id, media[3].id}
    assert referred_to("sports", "news") == {init.id, *(each.id for each in media[:4])}
    assert referred_to("drama") == referred_to() == set()
    lacking = TagFilter(exists=(("auth_classes", False),))
    assert read(repository, lambda snapshot: snapshot.referred_to(object_ids, lacking)) == set()
    assert read(repository, lambda snapshot: snapshot.referred_to([], TagFilter())) == set()
    assert read(repository, lambda snapshot: snapshot.referred_to(object_ids, TagFilter())) == referred_to(
        "sports", "news"
    )

    def transact(tx: Write) -> set[str]:
        tx.remove_segments(sports.flow_key, tx.segments_within(sports.flow_key, seconds(0, 1), 5), at=9)
        return tx.referred_to(object_ids, TagFilter(any_of=(("auth_classes", ("sports",)),)))

    assert write(repository, transact) == {media[2].id, media[3].id}
    write(repository, lambda tx: tx.detach_flow(news.id))
    assert referred_to("news") == {media[3].id}


def test_uses_are_counted_up_to_a_cap(repository: Repository) -> None:
    init = factories.init_object()
    media = factories.media_object(init_object_id=init.id)
    other = factories.media_object(init_object_id=init.id)
    put_objects(repository, init, media, other)
    flow = factories.flow(source_id=factories.uuid())
    put_flows(repository, flow)
    add(repository, flow, [factories.segment(seconds(n, n + 1), media) for n in range(5)])
    with repository.read() as snapshot:
        assert snapshot.count_up_to("segments of object", media.id, 10) == 5
        assert snapshot.count_up_to("segments of object", media.id, 2) == 2
        assert snapshot.count_up_to("segments of object", other.id, 2) == 0
        assert snapshot.count_up_to("objects of init", init.id, 10) == 2
        assert snapshot.count_up_to("objects of init", init.id, 1) == 1

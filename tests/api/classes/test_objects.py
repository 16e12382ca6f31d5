"""Objects that Flows of several classes share, and their bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from tams.config import Settings
from tams.domain.identifiers import new_id
from tams.services.store import Store
from tests.support.access_clients import OPEN, VAULT, Clients, groups
from tests.support.access_scene import TYPE
from tests.support.api_steps import allocate, make_flow, register
from tests.support.flow_documents import data, put

HERE = "http://localhost"


def flow(admin: FlaskClient, classes: str | list[str], **more: Any) -> str:
    """Make a Flow of these classes that accepts Segments; return its id."""
    return make_flow(admin, tags={"auth_classes": classes, **more})


def shared(admin: FlaskClient, *flow_ids: str) -> str:
    """Make an Object that these Flows use, the first one first; return its id."""
    (object_id,) = allocate(admin, flow_ids[0])
    for flow_id in flow_ids:
        register(admin, flow_id, object_id, "[0:0_1:0)")
    return object_id


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Let a request delete up to 1000 Segments itself."""
    return replace(settings, delete_inline_limit=1000)


class TestReading:
    def test_only_readable_flows_are_named(self, admin: FlaskClient, by: Clients) -> None:
        news, drama, both = (flow(admin, classes, x=str(classes)) for classes in ("news", "drama", ["drama", "news"]))
        object_id = shared(admin, drama, news, both)
        reporter = by(*groups("news"))
        seen = reporter.get(f"/objects/{object_id}").json
        assert seen["referenced_by_flows"] == sorted([news, both])
        assert "first_referenced_by_flow" not in seen
        assert by(*groups("drama")).get(f"/objects/{object_id}").json["first_referenced_by_flow"] == drama
        page = reporter.get(f"/objects/{object_id}?limit=1")
        assert page.json["referenced_by_flows"] == sorted([news, both])[:1]
        rest = reporter.get(page.headers["Link"].partition(">")[0].removeprefix(f"<{HERE}"))
        assert rest.json["referenced_by_flows"] == sorted([news, both])[1:]
        assert "Link" not in rest.headers

    def test_filters_by_tags_match_no_hidden_flows(self, admin: FlaskClient, by: Clients) -> None:
        news, drama = flow(admin, "news", x="1"), flow(admin, "drama", x="2")
        object_id = shared(admin, news, drama)
        reporter = by(*groups("news"))
        for query, expected in (
            ("flow_tag.x=1", [news]),
            ("flow_tag.x=2", []),
            ("flow_tag.x=1,2", [news]),
            ("flow_tag.auth_classes=drama", []),
            ("flow_tag_exists.x=true", [news]),
        ):
            assert reporter.get(f"/objects/{object_id}?{query}").json["referenced_by_flows"] == expected, query

    def test_an_object_is_visible_to_readers_of_one_flow(self, admin: FlaskClient, by: Clients) -> None:
        news, drama = flow(admin, "news"), flow(admin, "drama")
        object_id = shared(admin, drama)
        reporter = by(*groups("news"))
        hidden, absent = (reporter.get(f"/objects/{each}") for each in (object_id, new_id()))
        assert (hidden.status_code, hidden.json["summary"]) == (404, absent.json["summary"])
        register(admin, news, object_id, "[0:0_1:0)")
        assert reporter.get(f"/objects/{object_id}").status_code == 200
        assert admin.delete(f"/flows/{news}/segments").status_code == 204
        assert reporter.get(f"/objects/{object_id}").status_code == 404

    def test_init_objects_are_readable_through_the_media_that_need_them(self, admin: FlaskClient, by: Clients) -> None:
        flows = [
            make_flow(admin, tags={"auth_classes": each}, essence_parameters={"init_segments": True})
            for each in ("news", "drama")
        ]
        init, first, second = allocate(admin, flows[0], 3)
        register(admin, flows[0], first, "[0:0_1:0)", init_object_id=init)
        reporter, author = by(*groups("news")), by(*groups("drama"))
        assert reporter.get(f"/objects/{init}").json["referenced_by_flows"] == [flows[0]]
        assert author.get(f"/objects/{init}").status_code == 404
        (refused,) = self.register_all(author, flows[1], init)
        assert "there is no such Object" in refused["error"]["summary"]
        both = by(*groups("news", "drama"))
        assert self.register_all(both, flows[1], init) == []
        assert author.get(f"/objects/{init}").json["referenced_by_flows"] == [flows[1]]
        # An allocated Object that is not registered is readable through the Flow that it was allocated to.
        other = allocate(admin, flows[0])[0]
        assert admin.delete(f"/flows/{flows[1]}/segments").status_code == 204
        assert len(self.register_all(author, flows[1], other)) == 1
        assert self.register_all(both, flows[1], other) == []
        assert second

    def register_all(self, client: FlaskClient, flow_id: str, init_object_id: str) -> list[Any]:
        """Register a list of one Segment with a new Object; return the refused Segments."""
        item = {"object_id": allocate(client, flow_id)[0], "timerange": "[0:0_1:0)", "init_object_id": init_object_id}
        answer = client.post(f"/flows/{flow_id}/segments", json=[item])
        assert answer.status_code in {200, 201}, answer.text
        return list(answer.json["failed_segments"]) if answer.status_code == 200 else []


class TestReuse:
    @pytest.mark.parametrize("held", [(), ("write",), ("delete",), ("read",)])
    def test_needs_read(self, admin: FlaskClient, by: Clients, held: tuple[str, ...]) -> None:
        object_id = shared(admin, flow(admin, "drama"))
        mine = flow(admin, "news")
        client = by(*groups("news"), *groups("drama", of=held))
        statuses = []
        for each in (object_id, new_id()):
            answer = client.post(f"/flows/{mine}/segments", json={"object_id": each, "timerange": "[0:0_1:0)"})
            statuses.append((answer.status_code, (answer.json or {}).get("errors")))
        assert statuses[1][0] == 400
        assert (statuses[0] == (201, None)) if held == ("read",) else (statuses[0] == statuses[1])

    def test_an_id_in_use_cannot_be_taken(self, admin: FlaskClient, reporter: FlaskClient) -> None:
        object_id = shared(admin, drama := flow(admin, "drama"))
        mine = flow(admin, "news")
        urls = [{"url": "https://example.com/", "label": "x"}]
        item = {"object_id": object_id, "timerange": "[0:0_1:0)", "get_urls": urls}
        answer = reporter.post(f"/flows/{mine}/segments", json=item)
        assert (answer.status_code, list(answer.json["errors"])) == (400, ["object_id"])
        assert drama not in answer.text
        taken = reporter.post(f"/flows/{mine}/storage", json={"object_ids": [object_id]})
        assert taken.status_code == 400

    def test_an_object_allocated_to_a_hidden_flow_looks_absent(self, admin: FlaskClient, reporter: FlaskClient) -> None:
        hidden = allocate(admin, flow(admin, "drama"))[0]
        mine = flow(admin, "news")
        errors = [
            reporter.post(f"/flows/{mine}/segments", json={"object_id": each, "timerange": "[0:0_1:0)"}).json["errors"]
            for each in (hidden, new_id())
        ]
        assert errors[0] == errors[1]
        assert reporter.delete(f"/objects/{hidden}").status_code == 404

    def test_an_allocated_object_is_registered_with_write_only(self, admin: FlaskClient, by: Clients) -> None:
        flow_id = flow(admin, "news")
        writer = by(*groups("news", of=("write",)))
        (object_id,) = allocate(writer, flow_id)
        register(writer, flow_id, object_id, "[0:0_1:0)")
        assert writer.get(f"/flows/{flow_id}/segments").status_code == 403


class TestWriting:
    def test_needs_write_on_the_first_flow(self, admin: FlaskClient, by: Clients) -> None:
        first, second = flow(admin, "news"), flow(admin, "drama")
        object_id = shared(admin, first, second)
        statuses = {
            held: self.change(by(*held_groups), object_id)
            for held, held_groups in {
                "first": groups("news"),
                "first, write alone": groups("news", of=("write",)),
                "second": groups("drama"),
                "neither": groups("sport"),
            }.items()
        }
        assert statuses == {"first": 201, "first, write alone": 201, "second": 403, "neither": 404}

    def test_needs_write_on_the_first_flow_even_if_that_no_longer_uses_it(
        self, admin: FlaskClient, by: Clients
    ) -> None:
        first, second = flow(admin, "news"), flow(admin, "drama")
        object_id = shared(admin, first, second)
        assert admin.delete(f"/flows/{first}/segments").status_code == 204
        assert self.change(by(*groups("news", of=("read",))), object_id) == 403
        assert self.change(by(*groups("news", of=("write",))), object_id) == 201
        assert self.change(by(*groups("drama")), object_id) == 403

    def test_needs_write_on_every_flow_once_the_first_is_deleted(self, admin: FlaskClient, by: Clients) -> None:
        first, *others = flow(admin, "news"), flow(admin, "drama"), flow(admin, "sport")
        object_id = shared(admin, first, *others)
        assert admin.delete(f"/flows/{first}").status_code == 204
        assert self.change(by(*groups("news")), object_id) == 404
        assert self.change(by(*groups("drama")), object_id) == 403
        assert self.change(by(*groups("drama", "sport")), object_id) == 201
        # A new Flow under the same id has no part in the Object.
        put(by(*groups("news")), data(id=first, tags={"auth_classes": "news"}))
        assert self.change(by(*groups("news")), object_id) == 404
        assert self.change(by(*groups("news", "drama", of=("read", "write"))), object_id) == 403
        assert "first_referenced_by_flow" not in by(*groups("news", "drama")).get(f"/objects/{object_id}").json

    def change(self, client: FlaskClient, object_id: str) -> int:
        body = {"url": "https://example.com/x", "label": new_id()}
        return client.post(f"/objects/{object_id}/instances", json=body).status_code


class TestDeleting:
    def test_needs_delete_on_every_flow(self, admin: FlaskClient, by: Clients) -> None:
        flows = [flow(admin, "news"), flow(admin, "drama")]
        object_id = shared(admin, *flows)
        for held, status in (((), 404), (("news",), 403), (("drama",), 403)):
            for query in ("", "?cascade=true", "?cascade=false"):
                answer = by(*groups(*held)).delete(f"/objects/{object_id}{query}")
                assert answer.status_code == status
                assert not any(each in answer.text for each in flows)
        both = by(*groups("news", "drama", of=("delete",)))
        blocked = both.delete(f"/objects/{object_id}")
        assert (blocked.status_code, blocked.json["blocked_by"]["examples"]) == (409, [])
        assert blocked.json["blocked_by"]["flows"] == 2
        assert both.delete(f"/objects/{object_id}?cascade=true").status_code == 200
        assert admin.get(f"/flows/{flows[0]}/segments").json == []

    def test_a_source_with_flows_needs_delete_on_each(self, admin: FlaskClient, by: Clients) -> None:
        flows = [flow(admin, "news")]
        source_id = admin.get(f"/flows/{flows[0]}").json["source_id"]
        flows.append(make_flow(admin, source_id=source_id, tags={"auth_classes": "drama"}))
        reporter = by(*groups("news"))
        blocked = reporter.delete(f"/sources/{source_id}")
        assert blocked.status_code == 409
        assert blocked.json["blocked_by"]["flows"] == 2
        assert blocked.json["blocked_by"]["examples"] == [flows[0]]
        refused = reporter.delete(f"/sources/{source_id}?cascade=true")
        assert refused.status_code == 403
        assert flows[1] not in refused.text
        assert admin.get(f"/flows/{flows[0]}").status_code == 200
        assert (
            by(*groups("news", "drama", of=("delete",))).delete(f"/sources/{source_id}?cascade=true").status_code == 200
        )

    def test_hidden_collectors_of_a_source_are_only_counted(self, admin: FlaskClient, by: Clients) -> None:
        member = flow(admin, "news")
        body = {**data(tags={"auth_classes": "drama"}), "flow_collection": [{"id": member}]}
        put(admin, body)
        source_id = admin.get(f"/flows/{member}").json["source_id"]
        blocked = by(*groups("news")).delete(f"/sources/{source_id}").json["blocked_by"]
        assert (blocked["collections"], blocked["examples"]) == (1, [member])
        assert by(*groups("news", of=("delete",))).delete(f"/sources/{source_id}").json["blocked_by"]["examples"] == []

    def test_last_references_are_not_named_to_a_client_without_read(self, admin: FlaskClient, by: Clients) -> None:
        flow_id = flow(admin, "news")
        object_id = shared(admin, flow_id)
        path = f"/flows/{flow_id}/segments?cascade=false"
        assert by(*groups("news")).delete(path).json["blocked_by"]["examples"] == [object_id]
        blocked = by(*groups("news", of=("delete",))).delete(path)
        assert blocked.status_code == 409
        assert (blocked.json["blocked_by"]["objects"], blocked.json["blocked_by"]["examples"]) == (1, [])
        assert object_id not in blocked.text


class TestBackends:
    @pytest.mark.parametrize("held", [(), ("read",), ("write",), ("read", "write")])
    def test_storage_needs_write_on_the_backend(self, admin: FlaskClient, by: Clients, held: tuple[str, ...]) -> None:
        flow_id = flow(admin, "news")
        client = by(*groups("news"), *groups("vault", of=held))
        answers = [
            client.post(f"/flows/{flow_id}/storage", json={"storage_id": each, "limit": 1})
            for each in (VAULT, new_id())
        ]
        assert answers[1].status_code == 400
        if not held:
            assert answers[0].json["errors"] == answers[1].json["errors"]
        assert answers[0].status_code == (201 if "write" in held else 403 if held else 400)
        assert client.post(f"/flows/{flow_id}/storage", json={"storage_id": OPEN}).status_code == 201

    def test_get_urls_are_those_of_readable_backends(self, admin: FlaskClient, by: Clients) -> None:
        flow_id = flow(admin, "news")
        hidden, shown = (
            admin.post(f"/flows/{flow_id}/storage", json={"storage_id": each, "limit": 1}).json["media_objects"][0]
            for each in (VAULT, OPEN)
        )
        for number, item in enumerate((hidden, shown)):
            register(admin, flow_id, item["object_id"], f"[{number}:0_{number + 1}:0)")
        for held, expected in ((("read",), ["vault", "open"]), (("write",), [None, "open"]), ((), [None, "open"])):
            client = by(*groups("news"), *groups("vault", of=held))
            segments = client.get(f"/flows/{flow_id}/segments?verbose_storage=true").json
            labels = [next((url["label"] for url in each["get_urls"]), None) for each in segments]
            assert labels == expected
            one = client.get(f"/objects/{hidden['object_id']}").json["get_urls"]
            assert [url["label"] for url in one] == [expected[0]] * (expected[0] is not None)
            filtered = client.get(f"/flows/{flow_id}/segments?accept_storage_ids={VAULT}").json
            assert [bool(each["get_urls"]) for each in filtered] == [expected[0] is not None, False]

    @pytest.mark.parametrize(
        ("held", "statuses"),
        [((), (400, 404, 404)), (("read",), (403, 403, 403)), (("read", "write"), (201, 204, 204))],
    )
    def test_instances_need_write_on_the_backend(
        self, admin: FlaskClient, by: Clients, held: tuple[str, ...], statuses: tuple[int, int, int]
    ) -> None:
        flow_id = flow(admin, "news")
        client = by(*groups("news"), *groups("vault", of=held))
        plain = shared(admin, flow_id)
        answer = client.post(f"/objects/{plain}/instances", json={"storage_id": VAULT})
        assert answer.status_code == statuses[0]
        assert ("no Storage Backend with this id" in answer.text) is (not held)
        for query, status in ((f"storage_id={VAULT}", statuses[1]), ("label=vault", statuses[2])):
            item = admin.post(f"/flows/{flow_id}/storage", json={"storage_id": VAULT, "limit": 1}).json[
                "media_objects"
            ][0]
            start = 10 + 2 * statuses.index(status) + len(query)
            register(admin, flow_id, item["object_id"], f"[{start}:0_{start + 1}:0)")
            outside = {"url": "https://example.com/x", "label": "outside"}
            assert admin.post(f"/objects/{item['object_id']}/instances", json=outside).status_code == 201
            assert client.delete(f"/objects/{item['object_id']}/instances?{query}").status_code == status
            left = admin.get(f"/objects/{item['object_id']}").json["get_urls"]
            assert len(left) == (1 if status == 204 else 2)

    def test_a_hidden_backends_label_is_refused_like_any_taken_label(self, admin: FlaskClient, by: Clients) -> None:
        flow_id = flow(admin, "news")
        reporter = by(*groups("news"))
        path = f"/objects/{shared(admin, flow_id)}/instances"
        mine = {"url": "https://example.com/mine", "label": "mine"}
        assert reporter.post(path, json=mine).status_code == 201
        refusals = []
        for label in ("mine", "open", "vault"):
            answer = reporter.post(path, json={"url": "https://example.com/x", "label": label})
            refusals.append((answer.status_code, answer.json["errors"], answer.json["summary"], answer.json["type"]))
        assert refusals[0][0] == 400
        assert refusals[0] == refusals[1] == refusals[2]

    @pytest.mark.parametrize("label", ["open", "vault"])
    def test_a_registration_with_a_backends_label_is_refused_alike(
        self, admin: FlaskClient, by: Clients, label: str
    ) -> None:
        flow_id = flow(admin, "news")
        urls = [{"url": "https://example.com/x", "label": label}]
        item = {"object_id": new_id(), "timerange": "[0:0_1:0)", "get_urls": urls}
        answer = by(*groups("news")).post(f"/flows/{flow_id}/segments", json=item)
        assert answer.status_code == 400
        assert answer.json["errors"] == {"get_urls[0].label": ["this label is taken; choose another"]}

    def test_a_copy_needs_read_on_the_backend_of_the_bytes(self, admin: FlaskClient, by: Clients) -> None:
        flow_id = flow(admin, "news")
        item = admin.post(f"/flows/{flow_id}/storage", json={"storage_id": VAULT, "limit": 1}).json["media_objects"][0]
        register(admin, flow_id, item["object_id"], "[0:0_1:0)")
        path = f"/objects/{item['object_id']}/instances"
        assert by(*groups("news")).post(path, json={"storage_id": OPEN}).status_code == 403
        reader = by(*groups("news"), *groups("vault", of=("read",)))
        assert reader.post(path, json={"storage_id": OPEN}).status_code == 201


class TestBytes:
    """URLs of local storage, used with credentials instead of a signature."""

    @pytest.fixture
    def vaulted(self, admin: FlaskClient) -> tuple[str, str]:
        """Upload an Object of news to the vault; return its id and its plain URL."""
        flow_id = flow(admin, "news")
        asked = {"storage_id": VAULT, "limit": 1, "presigned": False}
        (item,) = admin.post(f"/flows/{flow_id}/storage", json=asked).json["media_objects"]
        url = item["put_url"]["url"].removeprefix(HERE)
        assert admin.put(url, data=b"media", headers={"Content-Type": TYPE}).status_code == 200
        return item["object_id"], url

    def test_reading_needs_the_object_and_the_backend(
        self, admin: FlaskClient, by: Clients, vaulted: tuple[str, str], store: Store
    ) -> None:
        url = vaulted[1].partition("?")[0]
        stem, _, extension = url.rpartition(".")
        other = f"{stem[:-3]}{'000' if stem[-3:] != '000' else '111'}.{extension}"
        # A storage key is a directory and a file.
        key, other_key = ("/".join(path.split("/")[-2:]) for path in (url, other))
        for held, status in (
            (groups("news"), 404),
            (groups("news") + groups("vault", of=("write",)), 403),
            (groups("vault"), 404),
            (groups("drama") + groups("vault"), 404),
            (groups("news", of=("write",)) + groups("vault"), 403),
            (groups("news", of=("read",)) + groups("vault", of=("read",)), 200),
        ):
            client = by(*held)
            for verb in ("GET", "HEAD"):
                assert client.open(url, method=verb).status_code == status, held
            if status == 404:
                hidden, absent = client.get(url).json, client.get(other).json
                assert (hidden["type"], hidden["summary"].replace(key, "")) == (
                    absent["type"],
                    absent["summary"].replace(other_key, ""),
                )

    def test_bytes_without_an_object_are_readable_by_admin_only(
        self, admin: FlaskClient, by: Clients, store: Store
    ) -> None:
        flow_id = flow(admin, "news")
        asked = {"limit": 1, "presigned": False}
        (item,) = admin.post(f"/flows/{flow_id}/storage", json=asked).json["media_objects"]
        url = item["put_url"]["url"].removeprefix(HERE)
        assert admin.put(url, data=b"media", headers={"Content-Type": TYPE}).status_code == 200
        reporter = by(*groups("news"))
        assert reporter.get(url.partition("?")[0]).status_code == 200
        assert admin.delete(f"/objects/{item['object_id']}").status_code == 204
        assert reporter.get(url.partition("?")[0]).status_code == 404
        assert admin.get(url.partition("?")[0]).status_code == 200

    @pytest.mark.parametrize(
        ("held", "status"),
        [
            (groups("news"), 404),
            (groups("vault"), 404),
            (groups("news") + groups("vault", of=("read",)), 403),
            (groups("news", of=("read",)) + groups("vault"), 403),
            (groups("news", of=("write",)) + groups("vault", of=("write",)), 200),
        ],
    )
    def test_writing_needs_the_flow_and_the_backend(
        self, by: Clients, vaulted: tuple[str, str], held: list[str], status: int
    ) -> None:
        client = by(*held)
        assert client.put(vaulted[1], data=b"other", headers={"Content-Type": TYPE}).status_code == status

    def test_signed_urls_need_no_credentials(self, admin: FlaskClient, by: Clients, vaulted: tuple[str, str]) -> None:
        object_id, _ = vaulted
        flow_id = admin.get("/flows").json[0]["id"]
        register(admin, flow_id, object_id, "[0:0_1:0)")
        (entry,) = admin.get(f"/objects/{object_id}").json["get_urls"]
        assert by().get(entry["url"].removeprefix(HERE)).data == b"media"

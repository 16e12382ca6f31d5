"""The receiver of `docs/how-to/receive-events.md` runs, takes the events of the store, and refuses forged ones."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.support.servers import TamsStore, eventually

pytestmark = pytest.mark.e2e

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "receive-events.md").read_text()
KEY = "a key for the receiver of the document"


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Run the receiver of the page; yield its URL and the file of its output."""
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    script, output = tmp_path / "receiver.py", tmp_path / "output"
    script.write_text(code)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with output.open("w") as file:
        environment = {**os.environ, "TAMS_WEBHOOK_KEY": KEY}
        process = subprocess.Popen([sys.executable, script, str(port)], stdout=file, stderr=file, env=environment)

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    eventually(listens, "the receiver listens")
    yield f"http://127.0.0.1:{port}/", output
    process.kill()
    process.wait()


def test_the_receiver_takes_what_is_genuine_and_nothing_else(receiver: tuple[str, Path], tmp_path: Path) -> None:
    url, output = receiver
    store = TamsStore(tmp_path, TAMS_OUTBOUND_ALLOW="127.0.0.1", TAMS_WEBHOOK_KEY=KEY)
    store.start()
    with httpx.Client(base_url=store.url, timeout=60) as http:
        body = {"url": url, "events": ["flows/created", "sources/created"]}
        http.post("/service/webhooks", json=body).raise_for_status()
        flow_id = str(uuid4())
        flow = {
            "id": flow_id,
            "source_id": str(uuid4()),
            "format": "urn:x-nmos:format:data",
            "codec": "application/octet-stream",
            "essence_parameters": {},
        }
        http.put(f"/flows/{flow_id}", json=flow).raise_for_status()
        eventually(lambda: "2 flows/created" in output.read_text(), "both events")
    store.stop()
    forged = {
        "Webhook-Id": str(uuid4()),
        "Webhook-Timestamp": str(int(time.time())),
        "Webhook-Sequence": "3",
        "Webhook-Signature": "v1,AAAA",
    }
    assert httpx.post(url, json={"event_type": "flows/deleted"}, headers=forged).status_code == 401
    assert [line for line in output.read_text().splitlines() if line[0].isdigit() and "POST" not in line] == [
        "1 sources/created",
        "2 flows/created",
    ]


def test_the_examples_of_the_document_are_what_the_store_takes(tmp_path: Path) -> None:
    [body] = re.findall(r"-d '(\{.*?\})'", PAGE, re.DOTALL)
    store = TamsStore(tmp_path, TAMS_OUTBOUND_ALLOW=re.findall(r"TAMS_OUTBOUND_ALLOW=(\S+)", PAGE)[0])
    store.start()
    try:
        # A busy machine takes seconds until the first process answers.
        answer = httpx.post(
            f"{store.url}/service/webhooks",
            content=body,
            headers={"Content-Type": "application/json"},
            timeout=60,
        )
        assert answer.status_code == 201
    finally:
        store.stop()

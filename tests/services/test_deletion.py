"""Deletions whose Segments have changed between finding and claiming them."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tams.domain.errors import Contended
from tams.domain.principals import UNRESTRICTED
from tams.repository.port import Write
from tams.services.deletion.deletion import Deletion
from tams.services.deletion.flows import DoomedFlows, drop, find_segments, keys_of
from tams.services.flows import flows
from tams.services.store import Store
from tams.services.unit_of_work import claim
from tests.support.api_steps import exists, make_flow, record, timeranges


@pytest.mark.parametrize("change", ["added", "removed"])
def test_a_flow_is_not_deleted_with_other_segments_than_those_found(
    client: FlaskClient, store: Store, change: str
) -> None:
    flow_id = make_flow(client)
    record(client, flow_id, 2)

    def transact(tx: Write) -> None:
        doomed = DoomedFlows.of(tx, [flows.existing(tx, flow_id)])
        (segments,) = find_segments(tx, doomed, limit=10).values()
        claimed = claim(tx, keys_of(doomed, {0: segments}))
        if change == "added":
            # One of the stored Segments was not found, as if it had been registered since.
            segments.pop()
        else:
            segments[0] = segments[0]._replace(registered=1)
        drop(Deletion.after(claimed, tx, store, UNRESTRICTED), doomed, {doomed.flows[0].flow_key: segments})

    with pytest.raises(Contended):
        store.write(transact)
    assert exists(client, f"/flows/{flow_id}")
    assert timeranges(client, flow_id) == ["[0:0_1:0)", "[1:0_2:0)"]

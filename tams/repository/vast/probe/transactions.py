"""How transactions end, and what they see until then."""

from __future__ import annotations

import time

from tams.domain.errors import Unavailable
from tams.repository.vast.cluster_transaction import ClusterTransaction
from tams.repository.vast.connection import Cluster
from tams.repository.vast.probe.scratch import PLAIN, Scratch, answer_of, found, insert, seen, set_number


def rollback_elsewhere(scratch: Scratch) -> tuple[str, str]:
    """By another session. Ended is what the cluster does not know any more when it is told again."""
    return _rolled_back(scratch, scratch.there)


def rollback_own(scratch: Scratch) -> tuple[str, str]:
    """By the session that began."""
    return _rolled_back(scratch, scratch.here)


def _rolled_back(scratch: Scratch, by: Cluster) -> tuple[str, str]:
    # The sessions are connected, so that what follows has the same connections.
    by.begin().roll_back()
    d = scratch.here.begin()
    insert(d, PLAIN, ("rolled back", 0))
    said = [_rollback(by, d.txid), _rollback(by, d.txid)]
    evidence = f"the first rollback was answered with {said[0]}, the second with {said[1]}"
    if said[0] != "200":
        _end(scratch.here, d)
        return "refused", evidence
    if said[1].startswith("404"):
        return "ended", evidence
    _end(scratch.here, d)
    return "not ended", f"{evidence}: the transaction was still there"


def commit_after_rollback(scratch: Scratch) -> tuple[str, str]:
    """After one by another session, or by its own where that does not end it."""
    by = scratch.there if _rolled_back(scratch, scratch.there)[0] == "ended" else scratch.here
    d = scratch.here.begin()
    insert(d, PLAIN, ("committed after all", 0))
    first = _rollback(by, d.txid)
    try:
        d.commit()
        answer = "200"
    except Unavailable as error:
        answer = answer_of(error)
    stored = "committed after all" in scratch.stored(PLAIN)
    evidence = f"rollback {first}, then commit {answer}, and the row is {'stored' if stored else 'not stored'}"
    return "stored" if stored else "refused", evidence


def snapshot(scratch: Scratch) -> tuple[str, str]:
    """Whether what another one commits meanwhile stays unseen, changes and new rows alike."""
    scratch.store(PLAIN, ("moment", 1))
    with scratch.here.snapshot() as early:
        before = found(early, PLAIN, "moment")["number"]
        with scratch.there.committed() as late:
            set_number(late, PLAIN, found(late, PLAIN, "moment"), 2)
            insert(late, PLAIN, ("after the moment", 1))
        after = seen(early, PLAIN)
    stable = after.get("moment") == before and "after the moment" not in after
    evidence = f"read {before}, then {after.get('moment')} after another one wrote 2"
    return "one moment" if stable else "moves", evidence


def own_writes(scratch: Scratch) -> tuple[list[str], str]:
    """Insert, update and delete, each looked for in the transaction that did it."""
    scratch.store(PLAIN, ("changed", 1), ("removed", 1))
    d = scratch.here.begin()
    try:
        changed, removed = found(d, PLAIN, "changed"), found(d, PLAIN, "removed")
        insert(d, PLAIN, ("inserted", 1))
        set_number(d, PLAIN, changed, 2)
        d.delete(PLAIN, [removed["$row_id"]])
        own = seen(d, PLAIN)
    finally:
        d.roll_back()
    shown = {"insert": "inserted" in own, "update": own.get("changed") == 2, "delete": "removed" not in own}
    visible = [kind for kind, is_seen in shown.items() if is_seen]
    return visible, f"seen: {', '.join(visible) or 'nothing'}"


def idle(scratch: Scratch) -> tuple[str, str]:
    """After some seconds without a request: whether it can still be written in, and be committed."""
    d = scratch.here.begin()
    insert(d, PLAIN, ("before the pause", 0))
    time.sleep(scratch.idle_seconds)
    after = f"after {scratch.idle_seconds:g} idle seconds"
    try:
        insert(d, PLAIN, ("after the pause", 0))
        d.commit()
    except Unavailable as error:
        d.roll_back()
        return "ended", f"{after}: {answer_of(error)}"
    return "goes on", f"{after} it could be written in and committed"


def _rollback(cluster: Cluster, txid: int) -> str:
    try:
        cluster.send_rollback(txid)
    except Unavailable as error:
        return answer_of(error)
    return "200"


def _end(cluster: Cluster, d: ClusterTransaction) -> None:
    """Where nothing else helps, a commit ends it: its rows are in nobody's way."""
    try:
        d.commit()
    except Unavailable:
        cluster.roll_back(d.txid)

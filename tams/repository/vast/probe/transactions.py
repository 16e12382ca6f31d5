"""Checks of what a transaction sees, and of how it ends."""

from __future__ import annotations

import time

from tams.domain.errors import Unavailable
from tams.repository.vast.cluster_transaction import ROW_ID, ClusterTransaction
from tams.repository.vast.connection import Cluster
from tams.repository.vast.probe.scratch import PLAIN, Scratch, answer_of, insert, row_named, set_number, visible_rows


def rollback_elsewhere(scratch: Scratch) -> tuple[str, str]:
    """Roll back by another session. A transaction has ended if a second rollback is answered with 404."""
    return _check_rollback(scratch, scratch.there)


def rollback_own(scratch: Scratch) -> tuple[str, str]:
    """Roll back by the session that began the transaction."""
    return _check_rollback(scratch, scratch.here)


def _check_rollback(scratch: Scratch, by: Cluster) -> tuple[str, str]:
    # This connects the sessions, so that the requests below all use existing connections.
    by.begin().roll_back()
    d = scratch.here.begin()
    insert(d, PLAIN, ("rolled back", 0))
    answers = [_rollback(by, d.txid), _rollback(by, d.txid)]
    evidence = f"the first rollback was answered with {answers[0]}, the second with {answers[1]}"
    if answers[0] != "200":
        _end(scratch.here, d)
        return "refused", evidence
    if answers[1].startswith("404"):
        return "ended", evidence
    _end(scratch.here, d)
    return "not ended", f"{evidence}: the transaction was still there"


def commit_after_rollback(scratch: Scratch) -> tuple[str, str]:
    """Commit after a rollback by another session, or by its own if the other one does not end the transaction."""
    by = scratch.there if _check_rollback(scratch, scratch.there)[0] == "ended" else scratch.here
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
    """Check that later commits of another session stay invisible, both changes and new rows."""
    scratch.store(PLAIN, ("moment", 1))
    with scratch.here.snapshot() as early:
        before = row_named(early, PLAIN, "moment")["number"]
        with scratch.there.committed() as late:
            set_number(late, PLAIN, row_named(late, PLAIN, "moment"), 2)
            insert(late, PLAIN, ("after the moment", 1))
        after = visible_rows(early, PLAIN)
    stable = after.get("moment") == before and "after the moment" not in after
    evidence = f"read {before}, then {after.get('moment')} after another session wrote 2"
    return "one moment" if stable else "moves", evidence


def own_writes(scratch: Scratch) -> tuple[list[str], str]:
    """Insert, update and delete, and look for each change in the transaction that made it."""
    scratch.store(PLAIN, ("changed", 1), ("removed", 1))
    d = scratch.here.begin()
    try:
        changed, removed = row_named(d, PLAIN, "changed"), row_named(d, PLAIN, "removed")
        insert(d, PLAIN, ("inserted", 1))
        set_number(d, PLAIN, changed, 2)
        d.delete(PLAIN, [removed[ROW_ID]])
        own = visible_rows(d, PLAIN)
    finally:
        d.roll_back()
    checks = {"insert": "inserted" in own, "update": own.get("changed") == 2, "delete": "removed" not in own}
    visible = [kind for kind, is_visible in checks.items() if is_visible]
    return visible, f"visible: {', '.join(visible) or 'nothing'}"


def idle(scratch: Scratch) -> tuple[str, str]:
    """Wait some seconds without a request; check whether the transaction can still write and commit."""
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
    return "goes on", f"{after} it could still write and commit"


def _rollback(cluster: Cluster, txid: int) -> str:
    try:
        cluster.send_rollback(txid)
    except Unavailable as error:
        return answer_of(error)
    return "200"


def _end(cluster: Cluster, d: ClusterTransaction) -> None:
    """End a transaction that a rollback does not end: commit it. Its rows do not disturb other checks."""
    try:
        d.commit()
    except Unavailable:
        cluster.roll_back(d.txid)

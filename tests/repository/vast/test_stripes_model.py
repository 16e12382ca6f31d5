"""The stripes as they are implemented, as a model small enough to be walked through in every order.

Some processes change one thing, each a few times over; so all of them take the same stripe. Commits land late or not at
all, answers are lost, nobody can end a transaction of anybody, and what begins may see less than what is committed. In
no order may two changes rest on the same state, an operation be stored twice, or be refused and stored: wherever the
cluster lets only one of two transactions through that update a row without having seen each other. Where it does not,
and where the protocol is a weaker one, that is noticed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import pytest

pytestmark = pytest.mark.vast

Conflicts = Literal["commit", "statement", "while open", "never"]
"""Where a cluster tells that a row was changed by two: to the second one's commit, to its statement, to its statement
as long as the other one has not ended, nowhere."""


class Tx(NamedTuple):
    """The nth transaction of a process; the nth T after one of its D, or that D."""

    process: int
    attempt: int
    settling: int


class Process(NamedTuple):
    """`saw` is how many commits its latest transaction sees."""

    attempt: int = 0
    settling: int = 0
    step: str = "begin"
    saw: int = 0


@dataclass(frozen=True)
class World:
    """The cluster and the processes. `commits` are all that updated the stripe; D with the state that it rested on."""

    processes: tuple[Process, ...]
    commits: tuple[tuple[Tx, int], ...] = ()
    holder: Tx | None = None
    dead: frozenset[Tx] = frozenset()
    flying: frozenset[tuple[Tx, int]] = frozenset()


@dataclass(frozen=True)
class Protocol:
    """What of the protocol and of the cluster's promises is kept."""

    conflicts: Conflicts
    attempts: int
    settles: bool = True
    believes_a_settling_commit_that_was_not_answered: bool = False
    begins_late: bool = True
    most_settling: int = 2


def following(world: World, protocol: Protocol) -> Iterator[World]:
    """Every world that may come next."""
    for tx, saw in world.flying:
        landed = replace(world, flying=world.flying - {(tx, saw)}, holder=None if world.holder == tx else world.holder)
        if tx in world.dead or (protocol.conflicts == "commit" and saw < len(world.commits)):
            yield replace(landed, dead=landed.dead | {tx})
        else:
            yield replace(landed, commits=(*world.commits, (tx, saw)), dead=landed.dead | {tx})
    if world.holder is not None and world.holder not in {tx for tx, _ in world.flying}:
        # Nobody ended it: the cluster does, when it has been idle for too long.
        yield replace(world, dead=world.dead | {world.holder}, holder=None)
    for number, process in enumerate(world.processes):
        for after, changed in moves(world, protocol, number, process):
            processes = (*world.processes[:number], changed, *world.processes[number + 1 :])
            yield replace(after, processes=processes)


def updated(world: World, protocol: Protocol, tx: Tx, saw: int) -> World | None:
    """The world after a transaction updated the stripe, or None where that is answered with 409."""
    if protocol.conflicts in ("commit", "never"):
        return world
    if world.holder is not None or (protocol.conflicts == "statement" and saw < len(world.commits)):
        return None
    return replace(world, holder=tx)


def begun(world: World, protocol: Protocol) -> Iterator[int]:
    """How many commits a transaction that begins may see."""
    yield len(world.commits)
    if protocol.begins_late and world.commits:
        yield len(world.commits) - 1


def moves(world: World, protocol: Protocol, number: int, at: Process) -> Iterator[tuple[World, Process]]:
    """What one process may do next."""
    tx = Tx(number, at.attempt, at.settling)
    d = Tx(number, at.attempt, 0)
    refused = at._replace(step="refused", saw=0, settling=0)
    again = Process(at.attempt + 1) if at.attempt + 1 < protocol.attempts else refused
    committed = {each for each, _ in world.commits}
    is_flying = tx in {each for each, _ in world.flying}
    if at.step == "begin":
        for saw in begun(world, protocol):
            yield world, at._replace(step="update", saw=saw)
    elif at.step == "update":
        after = updated(world, protocol, tx, at.saw)
        if after is None:
            yield world, again
        else:
            yield after, at._replace(step="commit")
            # The next statement fails: nobody will ever send the commit.
            yield after, again
    elif at.step == "commit":
        yield replace(world, flying=world.flying | {(tx, at.saw)}), at._replace(step="wait")
        # It is cut off before it leaves.
        yield world, at._replace(step="settle", settling=1)
    elif at.step == "wait":
        if tx in committed:
            yield world, at._replace(step="done", saw=0)
        elif not is_flying:
            yield world, again
        yield world, at._replace(step="settle", settling=1)
    elif at.step == "settle" and not protocol.settles:
        yield world, at._replace(step="done", saw=0) if d in committed else again
    elif at.step == "settle":
        for saw in begun(world, protocol):
            if d in {each for each, _ in world.commits[:saw]}:
                yield world, at._replace(step="done", saw=0, settling=0)
                continue
            after = updated(world, protocol, tx, saw)
            if after is not None:
                yield after, at._replace(step="send settling", saw=saw)
            elif at.settling < protocol.most_settling:
                yield world, at._replace(settling=at.settling + 1)
    elif at.step == "send settling":
        yield replace(world, flying=world.flying | {(tx, at.saw)}), at._replace(step="wait for settling")
    elif at.step == "wait for settling":
        if tx in committed or protocol.believes_a_settling_commit_that_was_not_answered:
            yield world, again
        if (tx in committed or is_flying or tx in world.dead) and at.settling < protocol.most_settling:
            # 409, or no answer: another one is needed. Where they are used up the client is told 503, and to look.
            yield world, at._replace(step="settle", settling=at.settling + 1)


def wrong(world: World) -> str | None:
    """What must not be."""
    changes = [(tx, saw) for tx, saw in world.commits if tx.settling == 0]
    for place, (tx, saw) in enumerate(world.commits):
        if tx.settling == 0 and any(other.settling == 0 for other, _ in world.commits[saw:place]):
            return "two changes rest on the same state"
    owners = [tx.process for tx, _ in changes]
    if len(owners) != len(set(owners)):
        return "an operation is stored twice"
    if any(world.processes[owner].step == "refused" for owner in owners):
        return "an operation was refused and is stored"
    return None


def explored(processes: int, protocol: Protocol) -> tuple[bool, str | None]:
    """Whether all operations are stored in some world, and what is wrong in the first one in which something is."""
    first = World((Process(),) * processes)
    seen, waiting = {first}, deque([first])
    all_stored = False
    while waiting:
        for world in following(waiting.popleft(), protocol):
            if world not in seen:
                found = wrong(world)
                if found is not None:
                    return all_stored, found
                all_stored = all_stored or all(process.step == "done" for process in world.processes)
                seen.add(world)
                waiting.append(world)
    return all_stored, None


@pytest.mark.parametrize("conflicts", ["commit", "statement"])
@pytest.mark.parametrize(("processes", "attempts"), [(1, 3), (2, 1), (2, 2)])
def test_no_order_of_events_breaks_the_protocol(conflicts: Conflicts, processes: int, attempts: int) -> None:
    small = processes * attempts < 4
    protocol = Protocol(conflicts, attempts, most_settling=2 if small else 1, begins_late=small)
    all_stored, found = explored(processes, protocol)
    assert found is None
    assert all_stored


@pytest.mark.parametrize("conflicts", ["while open", "never"])
@pytest.mark.parametrize("processes", [1, 2])
def test_where_the_cluster_lets_both_through_that_is_seen(conflicts: Conflicts, processes: int) -> None:
    _, found = explored(processes, Protocol(conflicts, 2))
    assert found is not None


@pytest.mark.parametrize(
    "weaker",
    [
        Protocol("commit", 2, settles=False),
        Protocol("statement", 2, settles=False),
        # Where conflicts show at the statement, such a T could not even be sent before D has ended.
        Protocol("commit", 2, believes_a_settling_commit_that_was_not_answered=True),
    ],
)
def test_a_weaker_protocol_is_seen_to_break(weaker: Protocol) -> None:
    _, found = explored(1, weaker)
    assert found is not None

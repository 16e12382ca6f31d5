"""A model of the stripe protocol as it is implemented, small enough to explore every order of events.

A few processes change one thing, each with a few attempts, so that all of them update the same stripe. Commits land
late or not at all, answers are lost, no session can end a transaction of another one, and a new transaction may see
less than is committed. In no order may two changes rest on the same state, may an operation be stored twice, or may it
be refused and stored. This holds if the cluster commits only one of two transactions that update a row without having
seen each other. Clusters without that property and weaker protocols are explored as well, to show that the model
notices a violation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import pytest

pytestmark = pytest.mark.vast

Conflicts = Literal["commit", "statement", "while open", "never"]
"""The place where a conflict on a row is reported to the second transaction: at its commit; at its statement; at its
statement, but only while the first transaction is open; never."""


class Tx(NamedTuple):
    """A transaction: the number of its attempt, and of the T after this D; 0 is D itself."""

    process: int
    attempt: int
    settling: int


class Process(NamedTuple):
    """A process. `saw`: the number of commits that its latest transaction sees."""

    attempt: int = 0
    settling: int = 0
    step: str = "begin"
    saw: int = 0


@dataclass(frozen=True)
class World:
    """The cluster and the processes. `commits`: all that updated the stripe, each with the commits that it saw."""

    processes: tuple[Process, ...]
    commits: tuple[tuple[Tx, int], ...] = ()
    holder: Tx | None = None
    dead: frozenset[Tx] = frozenset()
    flying: frozenset[tuple[Tx, int]] = frozenset()


@dataclass(frozen=True)
class Protocol:
    """The parts of the protocol, and the promises of the cluster, that are in force."""

    conflicts: Conflicts
    attempts: int
    settles: bool = True
    trusts_an_unanswered_settling_commit: bool = False
    begins_late: bool = True
    most_settling: int = 2


def next_worlds(world: World, protocol: Protocol) -> Iterator[World]:
    """Yield every world that may come next."""
    for tx, saw in world.flying:
        landed = replace(world, flying=world.flying - {(tx, saw)}, holder=None if world.holder == tx else world.holder)
        if tx in world.dead or (protocol.conflicts == "commit" and saw < len(world.commits)):
            yield replace(landed, dead=landed.dead | {tx})
        else:
            yield replace(landed, commits=(*world.commits, (tx, saw)), dead=landed.dead | {tx})
    if world.holder is not None and world.holder not in {tx for tx, _ in world.flying}:
        # The cluster ends it after the idle timeout.
        yield replace(world, dead=world.dead | {world.holder}, holder=None)
    for number, process in enumerate(world.processes):
        for after, changed in moves(world, protocol, number, process):
            processes = (*world.processes[:number], changed, *world.processes[number + 1 :])
            yield replace(after, processes=processes)


def updated(world: World, protocol: Protocol, tx: Tx, saw: int) -> World | None:
    """Return the world after a transaction updated the stripe, or None if the answer is 409."""
    if protocol.conflicts in ("commit", "never"):
        return world
    if world.holder is not None or (protocol.conflicts == "statement" and saw < len(world.commits)):
        return None
    return replace(world, holder=tx)


def begun(world: World, protocol: Protocol) -> Iterator[int]:
    """Yield the numbers of commits that a new transaction may see."""
    yield len(world.commits)
    if protocol.begins_late and world.commits:
        yield len(world.commits) - 1


def moves(world: World, protocol: Protocol, number: int, at: Process) -> Iterator[tuple[World, Process]]:
    """Yield every move that one process may make next."""
    tx = Tx(number, at.attempt, at.settling)
    d = Tx(number, at.attempt, 0)
    refused = at._replace(step="refused", saw=0, settling=0)
    again = Process(at.attempt + 1) if at.attempt + 1 < protocol.attempts else refused
    committed = {commit for commit, _ in world.commits}
    is_flying = tx in {commit for commit, _ in world.flying}
    if at.step == "begin":
        for saw in begun(world, protocol):
            yield world, at._replace(step="update", saw=saw)
    elif at.step == "update":
        after = updated(world, protocol, tx, at.saw)
        if after is None:
            yield world, again
        else:
            yield after, at._replace(step="commit")
            # The next statement fails, so the commit is never sent.
            yield after, again
    elif at.step == "commit":
        yield replace(world, flying=world.flying | {(tx, at.saw)}), at._replace(step="wait")
        # The connection breaks before the commit is sent.
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
            if d in {commit for commit, _ in world.commits[:saw]}:
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
        if tx in committed or protocol.trusts_an_unanswered_settling_commit:
            yield world, again
        if (tx in committed or is_flying or tx in world.dead) and at.settling < protocol.most_settling:
            # After 409 or no answer another T is needed. When no more are left, the client gets 503.
            yield world, at._replace(step="settle", settling=at.settling + 1)


def violation(world: World) -> str | None:
    """Return the first violated property, or None."""
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


def explore(processes: int, protocol: Protocol) -> tuple[bool, str | None]:
    """Return whether all operations are stored in any world, and the violation in the first world that has one."""
    first = World((Process(),) * processes)
    seen, waiting = {first}, deque([first])
    all_stored = False
    while waiting:
        for world in next_worlds(waiting.popleft(), protocol):
            if world not in seen:
                violated = violation(world)
                if violated is not None:
                    return all_stored, violated
                all_stored = all_stored or all(process.step == "done" for process in world.processes)
                seen.add(world)
                waiting.append(world)
    return all_stored, None


@pytest.mark.parametrize("conflicts", ["commit", "statement"])
@pytest.mark.parametrize(("processes", "attempts"), [(1, 3), (2, 1), (2, 2)])
def test_no_order_of_events_violates_the_protocol(conflicts: Conflicts, processes: int, attempts: int) -> None:
    small = processes * attempts < 4
    protocol = Protocol(conflicts, attempts, most_settling=2 if small else 1, begins_late=small)
    all_stored, violated = explore(processes, protocol)
    assert violated is None
    assert all_stored


@pytest.mark.parametrize("conflicts", ["while open", "never"])
@pytest.mark.parametrize("processes", [1, 2])
def test_a_cluster_that_commits_both_transactions_violates_the_protocol(conflicts: Conflicts, processes: int) -> None:
    _, violated = explore(processes, Protocol(conflicts, 2))
    assert violated is not None


@pytest.mark.parametrize(
    "weaker",
    [
        Protocol("commit", 2, settles=False),
        Protocol("statement", 2, settles=False),
        # Only with conflicts at the commit: if they are reported at the statement, such a T fails until D has ended.
        Protocol("commit", 2, trusts_an_unanswered_settling_commit=True),
    ],
)
def test_a_weaker_protocol_is_violated(weaker: Protocol) -> None:
    _, violated = explore(1, weaker)
    assert violated is not None

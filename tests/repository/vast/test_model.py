"""A model of the claim protocol as it is implemented, small enough to explore every order of events.

A few processes change one thing, each with a few attempts. The cluster detects no conflicts. Commits land late or not
at all, answers are lost, and any process may take over any claim at any moment. In no order may two changes rest on the
same state, may an operation be stored twice, or may it be refused and stored. Weaker protocols are explored as well, to
show that the model notices a violation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.vast

Tx = tuple[int, int]
"""A process, and the number of its attempt: one transaction D."""


class Process(NamedTuple):
    """A process. `saw`: the state that D read. `step`: the next one. `victims`: the claims that it is taking over."""

    attempt: int = 0
    step: str = "begin"
    saw: int = 0
    victims: tuple[Tx, ...] = ()


@dataclass(frozen=True)
class World:
    """The cluster and the processes. `changes`: the committed ones, each with the state that it rested on."""

    processes: tuple[Process, ...]
    changes: tuple[tuple[Tx, int], ...] = ()
    claims: frozenset[Tx] = frozenset()
    over: frozenset[Tx] = frozenset()
    dead: frozenset[Tx] = frozenset()
    flying: frozenset[tuple[Tx, int]] = frozenset()


@dataclass(frozen=True)
class Protocol:
    """The parts of the protocol that are in force."""

    attempts: int
    rolls_back_victims: bool = True
    rolls_back_doubtful: bool = True
    validates: bool = True


def next_worlds(world: World, protocol: Protocol) -> Iterator[World]:
    """Yield every world that may come next."""
    for tx, saw in world.flying:
        # A commit lands. It has no effect if the transaction has ended.
        landed = replace(world, flying=world.flying - {(tx, saw)})
        if tx not in world.dead:
            changes = (*world.changes, (tx, saw))
            landed = replace(landed, changes=changes, over=world.over | {tx}, dead=world.dead | {tx})
        yield landed
    for number, process in enumerate(world.processes):
        for after, changed in moves(world, protocol, number, process):
            processes = (*world.processes[:number], changed, *world.processes[number + 1 :])
            yield replace(after, processes=processes)


def moves(world: World, protocol: Protocol, number: int, at: Process) -> Iterator[tuple[World, Process]]:
    """Yield every move that one process may make next."""
    tx = (number, at.attempt)
    stored = {change for change, _ in world.changes}
    flying = {commit for commit, _ in world.flying}
    if at.step == "begin":
        yield world, at._replace(step="claim", saw=len(world.changes))
    elif at.step == "claim":
        yield replace(world, claims=world.claims | {tx}), at._replace(step="look")
        # The answer is lost. The operation begins again, whether the claim exists or not.
        yield replace(world, claims=world.claims | {tx}), at._replace(step="withdraw")
        yield world, at._replace(step="withdraw")
    elif at.step == "look":
        others = tuple(sorted(claim for claim in world.claims - world.over if claim != tx))
        if not protocol.validates or (len(world.changes) == at.saw and not others):
            yield replace(world, flying=world.flying | {(tx, at.saw)}), at._replace(step="wait")
        elif len(world.changes) != at.saw:
            yield world, at._replace(step="withdraw")
        else:
            if any(claim[0] < number for claim in others):
                yield world, at._replace(step="withdraw")
            yield world, at._replace(step="roll back victim", victims=others)
    elif at.step == "roll back victim":
        if not at.victims:
            yield world, at._replace(step="look")
        elif protocol.rolls_back_victims:
            yield replace(world, dead=world.dead | {at.victims[0]}), at._replace(step="end victim")
        else:
            yield world, at._replace(step="end victim")
    elif at.step == "end victim":
        ended = replace(world, over=world.over | {at.victims[0]})
        yield ended, at._replace(step="roll back victim", victims=at.victims[1:])
    elif at.step == "wait":
        if tx in stored:
            yield world, at._replace(step="done")
        if tx not in flying and tx not in stored:
            yield world, at._replace(step="withdraw")
        doubted = replace(world, dead=world.dead | {tx}) if protocol.rolls_back_doubtful else world
        yield doubted, at._replace(step="look for the record")
    elif at.step == "look for the record":
        yield world, at._replace(step="done" if tx in stored else "withdraw")
    elif at.step == "withdraw":
        dead = world.dead | {tx} if protocol.rolls_back_doubtful or tx not in flying else world.dead
        again = Process(at.attempt + 1) if at.attempt + 1 < protocol.attempts else at._replace(step="refused")
        yield replace(world, dead=dead, over=world.over | {tx}), again


def violation(world: World) -> str | None:
    """Return the first violated property, or None."""
    if any(saw != place for place, (_, saw) in enumerate(world.changes)):
        return "two changes rest on the same state"
    owners = [owner for (owner, _), _ in world.changes]
    if len(owners) != len(set(owners)):
        return "an operation is stored twice"
    if any(world.processes[owner].step == "refused" for owner in owners):
        return "an operation was refused and is stored"
    return None


def explore(processes: int, protocol: Protocol) -> tuple[int, str | None]:
    """Return the number of worlds, and the violation in the first world that has one."""
    first = World((Process(),) * processes)
    seen, waiting = {first}, deque([first])
    while waiting:
        for world in next_worlds(waiting.popleft(), protocol):
            if world not in seen:
                violated = violation(world)
                if violated is not None:
                    return len(seen), violated
                seen.add(world)
                waiting.append(world)
    return len(seen), None


@pytest.mark.parametrize(("processes", "attempts"), [(2, 1), (2, 2), (3, 1)])
def test_no_order_of_events_violates_the_protocol(processes: int, attempts: int) -> None:
    worlds, violated = explore(processes, Protocol(attempts))
    assert violated is None
    assert worlds > 100


@pytest.mark.parametrize(
    ("processes", "weaker"),
    [
        (2, Protocol(1, validates=False)),
        (2, Protocol(1, rolls_back_victims=False)),
        (1, Protocol(2, rolls_back_doubtful=False)),
        (2, Protocol(2, rolls_back_doubtful=False)),
    ],
)
def test_a_weaker_protocol_is_violated(processes: int, weaker: Protocol) -> None:
    _, violated = explore(processes, weaker)
    assert violated is not None

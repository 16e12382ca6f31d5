"""The claim protocol as it is implemented, as a model small enough to be walked through in every order.

Some processes change one thing, each a few times over. Nothing sees conflicts, commits land late or not at all, answers
are lost, and anybody may take over anybody's claim at any moment. In no order may two changes rest on the same state,
an operation be stored twice, or be refused and stored. Weaker protocols are walked through, too: that is noticed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.vast

Tx = tuple[int, int]
"""The nth D of a process."""


class Process(NamedTuple):
    """`saw` is the state that D read; `step` what comes next; `victims` the claims that are being taken over."""

    attempt: int = 0
    step: str = "begin"
    saw: int = 0
    victims: tuple[Tx, ...] = ()


@dataclass(frozen=True)
class World:
    """The cluster and the processes. `changes` are the committed ones, each with the state that it rested on."""

    processes: tuple[Process, ...]
    changes: tuple[tuple[Tx, int], ...] = ()
    claims: frozenset[Tx] = frozenset()
    over: frozenset[Tx] = frozenset()
    dead: frozenset[Tx] = frozenset()
    flying: frozenset[tuple[Tx, int]] = frozenset()


@dataclass(frozen=True)
class Protocol:
    """What of the protocol is kept."""

    attempts: int
    rolls_back_victims: bool = True
    rolls_back_doubtful: bool = True
    validates: bool = True


def following(world: World, protocol: Protocol) -> Iterator[World]:
    """Every world that may come next."""
    for tx, saw in world.flying:
        # A commit lands: for nothing, where the transaction has ended.
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
    """What one process may do next."""
    tx = (number, at.attempt)
    stored = {each for each, _ in world.changes}
    flying = {each for each, _ in world.flying}
    if at.step == "begin":
        yield world, at._replace(step="claim", saw=len(world.changes))
    elif at.step == "claim":
        yield replace(world, claims=world.claims | {tx}), at._replace(step="look")
        # The answer is lost: the operation begins anew, whether the claim is there or not.
        yield replace(world, claims=world.claims | {tx}), at._replace(step="withdraw")
        yield world, at._replace(step="withdraw")
    elif at.step == "look":
        others = tuple(sorted(each for each in world.claims - world.over if each != tx))
        if not protocol.validates or (len(world.changes) == at.saw and not others):
            yield replace(world, flying=world.flying | {(tx, at.saw)}), at._replace(step="wait")
        elif len(world.changes) != at.saw:
            yield world, at._replace(step="withdraw")
        else:
            if any(each[0] < number for each in others):
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


def wrong(world: World) -> str | None:
    """What must not be."""
    if any(saw != place for place, (_, saw) in enumerate(world.changes)):
        return "two changes rest on the same state"
    owners = [owner for (owner, _), _ in world.changes]
    if len(owners) != len(set(owners)):
        return "an operation is stored twice"
    if any(world.processes[owner].step == "refused" for owner in owners):
        return "an operation was refused and is stored"
    return None


def explored(processes: int, protocol: Protocol) -> tuple[int, str | None]:
    """How many worlds there are, and what is wrong in the first one in which something is."""
    first = World((Process(),) * processes)
    seen, waiting = {first}, deque([first])
    while waiting:
        for world in following(waiting.popleft(), protocol):
            if world not in seen:
                found = wrong(world)
                if found is not None:
                    return len(seen), found
                seen.add(world)
                waiting.append(world)
    return len(seen), None


@pytest.mark.parametrize(("processes", "attempts"), [(2, 1), (2, 2), (3, 1)])
def test_no_order_of_events_breaks_the_protocol(processes: int, attempts: int) -> None:
    worlds, found = explored(processes, Protocol(attempts))
    assert found is None
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
def test_a_weaker_protocol_is_seen_to_break(processes: int, weaker: Protocol) -> None:
    _, found = explored(processes, weaker)
    assert found is not None

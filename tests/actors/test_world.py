"""Actors without tasks: who steps when, whose error is whose, and that the world's task is there only for somebody."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from actors.actor import PEER_EVENTS_MAX, Actor
from actors.bridge import aio, open_loop
from actors.recorder import Recorder
from actors.world import STEPS_MAX, World
from moorage.testing import FakeEngine
from protocol.base import Effect, Event
from protocol.codes import Code
from protocol.ledger import Header
from tests.toy import DOOR, Jammed, Knocked, Opened, Push, Whistled

pytestmark = pytest.mark.trio
SLOW, OPEN = "push", "open"


class Door(Actor):
    """The machine of tests/toy.py with hands: `told` has each event, `boom` is raised by the next step."""

    kind = DOOR
    queued = frozenset({Push})
    outcomes = {Push: (Opened, Jammed)}

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name, world.recorder.open(name), {})
        self.told: list[Event] = []
        self.boom: Exception | None = None

    def _step(self, event: Event) -> None:
        self.told.append(event)
        if self.boom is not None:
            raise self.boom
        super()._step(event)

    def perform(self, effect: Effect) -> None: ...

    async def work(self, effect: Effect) -> Event:
        await trio.sleep(0.5)
        return Opened()


class Aside(Door):
    """One whose pushing is done beside: `outcome` is known at once, if there is one. `pushes` are those that began."""

    queued = frozenset()
    beside = frozenset({Push})

    def __init__(self, world: World, name: str, outcome: Event | None = None, lets_go: bool = False) -> None:
        super().__init__(world, name)
        self.outcome, self.lets_go, self.pushes = outcome, lets_go, 0

    def at_once(self, effect: Effect) -> Event | None:
        return self.outcome

    def _step(self, event: Event) -> None:
        super()._step(event)
        if isinstance(event, Whistled) and self.lets_go:
            self.drop(Push)

    async def work(self, effect: Effect) -> Event:
        self.pushes += 1
        return await super().work(effect)


def knock(**seconds: float) -> Knocked:
    return Knocked(who="me", seconds=seconds)


@asynccontextmanager
async def open_world() -> AsyncIterator[tuple[World, list[str]]]:
    said: list[str] = []

    def say(code: Code, details: Mapping[str, Any]) -> None:
        said.append(code.name)

    async with FakeEngine.open() as engine, trio.open_nursery() as nursery:
        recorder = Recorder(None, trio.current_time, Header(moorage="1", fingerprint={}), lambda why: None)
        yield World(engine, nursery, recorder, say, "ours", "here"), said


async def test_its_life_without_a_loop(autojump_clock: trio.testing.MockClock) -> None:
    """The block is left, so the world's task has ended with the last actor."""
    async with open_world() as (world, _):
        door = Door(world, "d1")
        world.spawn(door, knock(open=30.0))
        assert world.actors == {"d1": door} and door.told == []
        await trio.sleep(1.0)
        assert door.cell.state == "OPEN" and door.statistics()["deadlines"] == {"open": 29.5}
    assert world.actors == {} and trio.current_time() == pytest.approx(30.5, abs=0.1)


async def test_in_a_turn_of_the_loop_it_steps_before_anything_else_runs() -> None:
    async with open_loop(print), open_world() as (world, _):
        door = Door(world, "d1")
        world.spawn(door, knock())
        await trio.testing.wait_all_tasks_blocked()
        states: list[str] = []

        async def in_the_loop() -> None:
            door.post(Whistled())
            states.append(str(len(door.told)))

        await aio(in_the_loop)
        assert states == ["1"] and len(door.told) == 2
        await trio.sleep(0.6)  # its hand is done
        door.end()


async def test_events_are_taken_in_their_order_whoever_posts(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as (world, _):
        first, second = Door(world, "d1"), Door(world, "d2")
        for door in (first, second):
            world.spawn(door, knock())
        for number in range(3):
            first.post(Whistled(tune=str(number)))
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert [getattr(event, "tune", "") for event in first.told] == ["", "0", "1", "2"]
        assert len(second.told) == 1
        for door in (first, second):
            door.end()


async def test_what_is_known_at_once_takes_no_task(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as (world, _):
        door = Aside(world, "d1", outcome=Opened())
        world.spawn(door, knock())
        await trio.testing.wait_all_tasks_blocked()
        assert door.cell.state == "OPEN" and door.pushes == 0 and trio.current_time() < 0.1
        door.end()


@pytest.mark.parametrize(("lets_go", "begun"), [(True, 0), (False, 1)])
async def test_what_is_let_go_in_the_same_turn_never_begins(
    autojump_clock: trio.testing.MockClock, lets_go: bool, begun: int
) -> None:
    async with open_world() as (world, _):
        door = Aside(world, "d1", lets_go=lets_go)
        world.spawn(door, knock())
        door.post(Whistled())
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert door.pushes == begun and door.cell.state == "OPENING"
        await trio.sleep(1.0)
        assert door.cell.state == ("OPENING" if lets_go else "OPEN")
        door.end()


async def test_one_that_fails_ends_alone(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as (world, said):
        bad, good = Door(world, "d1"), Door(world, "d2")
        bad.boom = ValueError("a mistake of ours")
        crashed: list[Actor] = []
        world.on_crash = crashed.append
        world.spawn(bad, knock())
        world.spawn(good, knock(open=3.0))
        await trio.sleep(1.0)
        assert crashed == [bad] and said[0] == "MOORAGE_ACTOR_CRASHED" and list(world.actors) == ["d2"]
        bad.post(Whistled())
        await trio.sleep(0.1)
        assert len(bad.told) == 1 and good.cell.state == "OPEN"


async def test_what_a_peer_repeats_is_counted(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as (world, _):
        door = Door(world, "d1")
        world.spawn(door, knock(open=3.0))
        assert [door.offer(Whistled()) for _ in range(PEER_EVENTS_MAX + 1)] == [True] * PEER_EVENTS_MAX + [False]
        await trio.sleep(0.1)
        assert door.offer(Whistled())


async def test_many_steps_leave_others_their_turns(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as (world, _):
        door, seen = Door(world, "d1"), list[int]()
        world.spawn(door, knock(open=3.0))
        await trio.sleep(1.0)
        for _ in range(STEPS_MAX * 2):
            door.post(Whistled())

        async def other() -> None:
            while len(door.told) < STEPS_MAX * 2:
                seen.append(len(door.told))
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(other)
        assert any(0 < count < STEPS_MAX * 2 for count in seen)


async def test_cancelled_with_its_nursery_everybody_leaves(autojump_clock: trio.testing.MockClock) -> None:
    left: list[Actor] = []
    with trio.CancelScope() as scope:
        async with open_world() as (world, _):
            door = Door(world, "d1")
            world.on_left = left.append
            world.spawn(door, knock())
            await trio.sleep(0.1)
            scope.cancel()
    assert left == [door] and world.actors == {}

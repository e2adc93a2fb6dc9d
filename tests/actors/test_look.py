"""When the sweep looks: often for a while after what may leave something, and each minute else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from actors.ports import ContainerOrder
from actors.recorder import Recorder
from actors.supervisor import Supervisor
from actors.sweep import EAGER_LOOKS, EAGER_PERIOD_S, PERIOD_S, WATCH_LOOKS, WATCH_PERIOD_S, Sweeper
from actors.world import World
from moorage.testing import FakeEngine
from moorage.testing.simulated_daemon import SimulatedInstance
from protocol.ledger import Header
from protocol.settings import GUEST_IMAGE, Settings

pytestmark = pytest.mark.trio
WATCH_S = EAGER_LOOKS * EAGER_PERIOD_S + (WATCH_LOOKS - EAGER_LOOKS) * WATCH_PERIOD_S + 0.5
NAME = "moorage-0123456789ab"


@asynccontextmanager
async def sweeping(engine: FakeEngine, said: list[str]) -> AsyncIterator[Sweeper]:
    recorder = Recorder(None, trio.current_time, Header(moorage="1", fingerprint={}), lambda why: None)
    async with trio.open_nursery() as nursery:
        world = World(engine, nursery, recorder, lambda code, details: said.append(code.name), "simulated", "here")
        sweeper = Sweeper(Supervisor(world, Settings()), SimulatedInstance("here", set()))
        nursery.start_soon(sweeper.run)
        yield sweeper
        nursery.cancel_scope.cancel()


async def leave_one(engine: FakeEngine) -> None:
    labels = {"moorage.instance": "simulated", "moorage.boot": "dead"}
    await engine.create_container(ContainerOrder(name=NAME, token=f"dead.{NAME}", image=GUEST_IMAGE, labels=labels))


@pytest.mark.parametrize(("comes_s", "seen_s"), [(0.5, 1.0), (8.5, 1.0), (30.5, 3.0), (115.5, 3.0)])
async def test_what_comes_after_the_start_is_seen_soon(
    autojump_clock: trio.testing.MockClock, comes_s: float, seen_s: float
) -> None:
    said: list[str] = []
    async with FakeEngine.open() as engine, sweeping(engine, said) as sweeper:
        await trio.sleep(comes_s)
        await leave_one(engine)
        await trio.sleep(seen_s)
        assert not engine.alive and said[0] == "MOORAGE_ORPHAN_FOUND" and sweeper.found == 1


async def test_after_a_while_it_looks_each_minute_and_then_often_again(autojump_clock: trio.testing.MockClock) -> None:
    async with FakeEngine.open() as engine, sweeping(engine, []) as sweeper:
        await trio.sleep(WATCH_S)
        looks = engine.calls["list_containers"]
        assert looks == WATCH_LOOKS == 47 and WATCH_S > 120 and not sweeper.statistics()["watching"]
        await trio.sleep(PERIOD_S * 3)
        assert engine.calls["list_containers"] <= looks + 3
        looks = engine.calls["list_containers"]
        sweeper.watch()
        await trio.sleep(9.5)
        assert engine.calls["list_containers"] >= looks + 10


async def test_a_doubt_is_looked_into_at_once_and_then_each_second(autojump_clock: trio.testing.MockClock) -> None:
    async with FakeEngine.open() as engine, sweeping(engine, []) as sweeper:
        await trio.sleep(30.5)  # every three seconds by then
        looks = engine.calls["list_containers"]
        sweeper.watch()
        await trio.sleep(0.4)
        assert engine.calls["list_containers"] == looks + 1
        for _ in range(50):  # as many create answers may be lost as there are logins
            sweeper.watch()
            await trio.sleep(0.1)
        assert engine.calls["list_containers"] <= looks + 7


async def test_an_engine_that_is_back_is_asked_within_a_second(autojump_clock: trio.testing.MockClock) -> None:
    said: list[str] = []
    async with FakeEngine.open() as engine, sweeping(engine, said) as sweeper:
        await leave_one(engine)
        await trio.sleep(WATCH_S)
        engine.crash()
        await trio.sleep(PERIOD_S * 5)
        assert said.count("MOORAGE_SWEEP_FAILED") == 1 and sweeper.statistics()["failing"] > 10
        engine.restart()
        await leave_one(engine)
        await trio.sleep(1.5)
        assert not engine.alive and sweeper.statistics()["failing"] == 0

"""A simulated run whose daemon is killed right after one row has asked for something, and what the next start does.

The engine outlives the daemon: what it was asked for goes on, and nobody hears the answer.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import trio
from msgspec import Struct
from msgspec.structs import replace
from trio.testing import MockClock

from fsm.kernel import Answer, Moved
from moorage.testing.checkers import Watch
from moorage.testing.engine import FakeEngine
from moorage.testing.fake_container import hang_up
from moorage.testing.schedule import seeded_schedule
from moorage.testing.simulated_daemon import Daemon, Killed, Tether
from moorage.testing.simulation import FOREIGN, Run
from moorage.testing.weather import UNBOUNDED, Boot, Weather, draw
from protocol.base import Event
from protocol.settings import Pool

GONE_S = 5.0  # after the engine's first answer, or after the last thing that it did late
LOOK_S = 0.1
LATE_MAX_S = 200.0


class Crash(Struct, frozen=True):
    """The row after which the daemon was killed (empty: none of those wanted was reached), and what was left then.

    `seconds`: until nothing was left, counted from the engine's first answer or its last late deed.
    """

    row: str = ""
    left: tuple[str, ...] = ()
    seconds: float = 0.0


class CrashTether(Tether):
    """Its calls are the engine's own tasks: they go on when the daemon that made them is dead."""

    def __init__(self, engine: FakeEngine) -> None:
        super().__init__(engine)
        self.over = trio.Event()

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method, engine = getattr(self._engine, name), self._engine

        async def call(*args: Any) -> Any:
            if self.is_cut:
                raise Killed
            outcome: list[Any] = []
            done, scope = trio.Event(), trio.CancelScope()

            async def go() -> None:
                try:
                    with scope:
                        outcome.append(await method(*args))
                except Exception as error:
                    outcome.append(error)
                finally:
                    done.set()
                    if self.is_cut and outcome:
                        hang_up(outcome[0])

            engine._nursery.start_soon(go)
            try:
                with trio.CancelScope(shield=name not in UNBOUNDED):
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(_first, done, nursery.cancel_scope)
                        nursery.start_soon(_first, self.over, nursery.cancel_scope)
            finally:
                if name in UNBOUNDED:
                    scope.cancel()  # its connection is gone
            if not outcome or self.is_cut:
                raise Killed
            if isinstance(outcome[0], Exception):
                raise outcome[0]
            return outcome[0]

        return call

    def cut(self) -> None:
        super().cut()
        self.over.set()


async def _first(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


class CrashWatch(Watch):
    """Tells when a wanted row is taken. Once the daemon is dead nothing that it still says counts."""

    def __init__(self, wanted: frozenset[str]) -> None:
        super().__init__()
        self.row = ""
        self.wanted = wanted
        self.on_row: Callable[[], None] = lambda: None

    def step(self, actor: str, machine: str, event: Event, answer: Answer) -> None:
        if not self.row:
            super().step(actor, machine, event, answer)
            if isinstance(answer, Moved) and answer.row in self.wanted:
                self.row = answer.row
                self.on_row()


class CrashRun(Run):
    """Runs until a wanted row is taken; then the daemon dies, the engine heals, and another daemon starts."""

    watch: CrashWatch

    def __init__(self, weather: Weather, folder: Path, watch: CrashWatch) -> None:
        super().__init__(weather, folder, watch)
        self.crash = Crash()
        self._ticks = Random(f"crash {weather.seed}").choice((0, 1, 2, 4, 8))

    def tether(self) -> Tether:
        return CrashTether(self.engine)

    def _look_on(self, daemon: Daemon) -> None:
        super()._look_on(daemon)
        self.watch.on_row = lambda: daemon.nursery.start_soon(self._kill, daemon)

    async def _kill(self, daemon: Daemon) -> None:
        """What the row asked for is on its way to the engine, or is there, or has been done."""
        with trio.CancelScope(shield=True):
            for _ in range(self._ticks):
                await trio.lowlevel.checkpoint()
        self.was_killed = True
        daemon.tether.cut()
        raise Killed

    async def main(self) -> None:
        weather = self.weather
        http_s = weather.settings.docker.timeouts.http
        async with FakeEngine.open(
            seed=weather.seed, http_s=http_s, jitter_s=weather.jitter_s, api=weather.api
        ) as self.engine:
            await self._set_up()
            async with trio.open_nursery() as outside:
                self._begin_weather(outside)
                for number, boot in enumerate(weather.boots):
                    await self._live(number, boot, outside)
                    if self.watch.row:
                        await self._recover(number + 1, outside)
                        break
                outside.cancel_scope.cancel()

    async def _live(self, number: int, boot: Boot, outside: trio.Nursery) -> None:
        try:
            await super()._live(number, boot, outside)
        except BaseException:
            if not self.was_killed:  # clients of a dead daemon find all sorts of things wrong
                raise

    async def _recover(self, number: int, outside: trio.Nursery) -> None:
        left = tuple(self._ours())
        self.fair.set()
        self.engine.heal()
        self.services.heal()
        self.engine.restart(containers_die=False)
        execution = replace(self.weather.settings.docker, pool=Pool())
        self.weather = replace(self.weather, settings=replace(self.weather.settings, docker=execution))
        async with trio.open_nursery() as nursery:
            daemon = Daemon(self, number, nursery)
            nursery.start_soon(daemon.run)
            nursery.start_soon(daemon.run_for_ever)
            seconds = await self._until_gone()
            nursery.cancel_scope.cancel()
        assert self.engine.alive == {FOREIGN}, "what is not ours was touched"
        self.crash = Crash(self.watch.row, left, round(seconds, 1))

    async def _until_gone(self) -> float:
        since = trio.current_time()
        end = since + LATE_MAX_S
        while self._left():
            if self._under_way():
                since = trio.current_time()
            assert trio.current_time() <= min(since + GONE_S, end), f"left: {self._left()}"
            await trio.sleep(LOOK_S)
        return trio.current_time() - since

    def _left(self) -> list[str]:
        """Containers, and what the dead daemon had open at the engine."""
        counts = self.engine.statistics() | {"late": self._under_way()}
        of_it = ("running", "execs", "streams", "pulls_and_waits", "late")
        return [*self._ours(), *(f"{counts[what]} {what}" for what in of_it if counts[what])]

    def _under_way(self) -> int:
        """Calls of the dead daemon that the engine is still to carry out."""
        return self.engine.late + self.engine.delayed


def crash(seed: int, wanted: frozenset[str]) -> Crash:
    """Run one seed and kill its daemon after the first of these rows. Raises what it finds wrong."""
    with TemporaryDirectory(prefix="moorage-crash-") as folder:
        run = CrashRun(draw(seed), Path(folder), CrashWatch(wanted))
        with seeded_schedule(seed):
            trio.run(run.main, clock=MockClock(autojump_threshold=0))
        return run.crash

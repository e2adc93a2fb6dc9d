"""The daemon under test, without its sockets: the parts of `moorage.daemon`, put together as they are there."""

from collections.abc import Awaitable, Callable, Sequence
from math import inf
from pathlib import Path
from random import Random
from typing import Any, Protocol, cast

import trio

from actors.agent.bring import BroughtAgents
from actors.container import ContainerActor
from actors.instance import Instance
from actors.ports import Engine, OutsideFault
from actors.reload import Reloads, Reread
from actors.server import ServerActor
from actors.sources import Outside, Sources
from actors.spare import SpareActor
from actors.supervisor import Supervisor
from actors.sweep import Sweeper
from actors.world import World
from moorage.testing.checkers import Watch, WatchedRecorder, header
from moorage.testing.engine import FakeEngine
from moorage.testing.fake_login import wall
from moorage.testing.fake_web import RIGHT, FakeServices
from moorage.testing.ways_drawn import HASH
from moorage.testing.weather import Weather
from protocol.server import Listening
from protocol.settings import Settings

GONE_S = 20.0  # as the daemon has it
LATE_S = 0.6
READ_S = (0.0, 0.1, 0.7)  # how long it takes to read the configuration
VERIFY_S = 0.1  # until a password has been held against its hash


class Around(Protocol):
    """What is there before a daemon starts, and stays when it ends. `living` are the boots whose lock is held."""

    weather: Weather
    watch: Watch
    folder: Path
    engine: FakeEngine
    services: FakeServices
    living: set[str]

    def tether(self) -> "Tether": ...


class Killed(BaseException):
    """The daemon's process is gone in the middle of whatever it did."""


class Tether:
    """The engine as one daemon has it. Once `cut`, that daemon hears no answer any more: it is dead."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self.api = engine.api
        self.is_cut = False

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._engine, name)

        async def call(*args: Any) -> Any:
            answer = await method(*args)
            if self.is_cut:
                if name in ("attach_container", "start_exec"):
                    answer.close()
                raise Killed
            return answer

        return call

    def cut(self) -> None:
        self.is_cut = True
        self._engine.hang_up()


class SimulatedInstance(Instance):
    """Without files: `living` are the boots whose lock is held."""

    def __init__(self, boot: str, living: set[str]) -> None:
        self.id, self.boot, self._living = "simulated", boot, living
        living.add(boot)

    def is_alive(self, boot: str) -> bool:
        return boot in self._living

    def forget_dead(self) -> None: ...

    def close(self) -> None:
        self._living.discard(self.boot)


class Daemon:
    """The parts of `moorage.daemon` that need no socket, put together as they are there."""

    def __init__(self, around: Around, number: int, nursery: trio.Nursery) -> None:
        weather, watch = around.weather, around.watch
        self.nursery, self.tether = nursery, around.tether()
        self.instance = SimulatedInstance(f"b{number}", around.living)
        self.recorder = WatchedRecorder(watch, around.folder, trio.current_time, header(weather.seed))
        settings, dice = weather.settings, Random(f"{weather.seed} {number}")
        engine = cast(Engine, self.tether)
        self.agents = _agents(around) if weather.served else None
        self.world = world = World(
            *(engine, nursery, self.recorder, watch.say, self.instance.id, self.instance.boot, dice),
            self.agents,
        )
        self._outside = Outside(
            verify=_verify, wall=wall, web=around.services.open, run_command=around.services.run_keys_command
        )
        self.supervisor = Supervisor(world, settings, self._sources(settings))
        self._read: Settings | None = None
        self._dice = dice
        self.reloads = Reloads(settings, self._reread, self._prepare, self._without_thread)
        self.stopping, self.stopped = trio.Event(), trio.Event()
        self._accepted_until = inf
        self.server = ServerActor(world, self.recorder.share(), {}, self, self.reloads)
        self.reloads.post = self.server.post
        seconds = {"grace": settings.shutdown.grace, "kill": settings.shutdown.kill, "gone": GONE_S}
        self.server.post(Listening(listen=("simulation",), seconds=seconds))
        self.sweeper = Sweeper(self.supervisor, self.instance)

    # ports.ServerPort. An upgrade takes two processes; here is one.

    def stop_accepting(self) -> None:
        self._accepted_until = trio.current_time() + LATE_S
        self.supervisor.pool.drain()

    def refuse_sessions(self) -> None:
        self.supervisor.draining = True

    def is_arriving(self) -> bool:
        return False

    def start_successor(self, attempt: str, argv: Sequence[str]) -> None:
        raise AssertionError("nobody asks for it")

    def pass_sockets(self, attempt: str) -> None:
        raise AssertionError("nobody asks for it")

    def end_attempt(self, attempt: str, why: str) -> None:
        raise AssertionError("nobody asks for it")

    # Reloads.

    def reload(self, read: Settings | None) -> None:
        """Somebody has written other settings into the file, or (None) something that is none."""
        self._read = read
        self.reloads.want("the simulation")

    async def _without_thread(self, reread: Reread) -> Settings:
        """While a thread runs, the clock would jump on."""
        await trio.sleep(self._dice.choice(READ_S))
        return reread()

    def _reread(self) -> Settings:
        if self._read is None:
            raise OutsideFault("invalid", "it cannot be read")
        return self._read

    async def _prepare(self, settings: Settings) -> Callable[[], None]:
        sources = self._sources(settings)
        return lambda: self.supervisor.adopt(settings, sources)

    def _sources(self, settings: Settings) -> Sources:
        return Sources(settings.auth, settings.configserver, self._outside)

    def accepts(self) -> bool:
        """A connection that was accepted just before the listener closed may be told of a little later."""
        return trio.current_time() < self._accepted_until and not self.tether.is_cut and not self.stopped.is_set()

    async def run(self) -> None:
        await self.server.run()
        self.reloads.end()
        self.stopped.set()

    async def run_for_ever(self) -> None:
        """What the daemon does beside its actors, until it is cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.sweeper.run)
            nursery.start_soon(self.supervisor.pool.run)
            if self.agents is not None:
                nursery.start_soon(self.agents.run)

    def is_quiet(self) -> bool:
        """Nothing lives but what waits for the next login."""
        return all(
            isinstance(actor, SpareActor) or (isinstance(actor, ContainerActor) and actor.cell.owner.startswith("sp-"))
            for actor in self.world.actors.values()
        )


def _agents(around: Around) -> BroughtAgents:
    """As after a probe: the link through attached stdio, which needs no files."""
    agents = BroughtAgents(b"", "simulated" * 2, around.folder / "links")
    agents.kind = "attach"
    return agents


async def _verify(hash_: str, password: str) -> bool:
    await trio.sleep(VERIFY_S)
    return (hash_, password) == (HASH, RIGHT)

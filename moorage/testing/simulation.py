"""One simulated run: real actors, a fake engine, fake clients, a clock that jumps, and one seed that decides it all.

Bad weather first, then fair weather with a limit. What must hold is in `checkers`; see docs/simulation.md.
"""

import traceback
from collections.abc import Awaitable, Callable, Sequence
from math import inf
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Literal, cast

import trio
from msgspec import Struct
from msgspec.structs import replace
from trio.testing import MockClock

from actors.agent.bring import BroughtAgents
from actors.container import ContainerActor
from actors.instance import Instance
from actors.ports import ContainerOrder, Engine
from actors.server import ServerActor
from actors.spare import SpareActor
from actors.supervisor import Supervisor
from actors.sweep import Sweeper
from actors.world import World
from moorage.testing.checkers import Watch, WatchedRecorder, check_recordings, check_told, header
from moorage.testing.customers import PATIENCE_S, Customer, Newcomer
from moorage.testing.engine import FakeEngine
from moorage.testing.schedule import seeded_schedule
from moorage.testing.weather import UNBOUNDED, Boot, Weather, draw
from moorage.testing.wrong import Stuck, Wrong, expect
from protocol import codes
from protocol.server import Listening, ShutdownWanted

GONE_S = 20.0  # as the daemon has it
FAIR_S = 400.0  # after the last client has left: sweeps, removals and what hangs at the engine have ended
LATE_S = 0.6
TEXT_MAX = 1500  # characters of a verdict
OURS, FOREIGN = "moorage.instance", "somebody-elses"
Verdict = Literal["fine", "crash", "stuck", "wrong"]


class Report(Struct, frozen=True, kw_only=True):
    """What one seed gave. `marks` are what it has seen, `digest` is over all its steps."""

    seed: int
    verdict: Verdict
    text: str = ""
    marks: dict[str, int] = {}
    steps: int = 0
    mailbox_most: int = 0
    digest: str = ""


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

    def __init__(self, run: "Run", number: int, nursery: trio.Nursery) -> None:
        self.nursery, self.tether = nursery, run.tether()
        self.instance = SimulatedInstance(f"b{number}", run.living)
        self.recorder = WatchedRecorder(run.watch, run.folder, trio.current_time, header(run.weather.seed))
        settings, dice = run.weather.settings, Random(f"{run.weather.seed} {number}")
        engine = cast(Engine, self.tether)
        self.agents = _agents(run) if run.weather.served else None
        self.world = world = World(
            *(engine, nursery, self.recorder, run.watch.say, self.instance.id, self.instance.boot, dice),
            self.agents,
        )
        self.supervisor = Supervisor(world, settings)
        self.stopped = trio.Event()
        self._accepted_until = inf
        self.server = ServerActor(world, self.recorder.share(), {}, self)
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

    def accepts(self) -> bool:
        """A connection that was accepted just before the listener closed may be told of a little later."""
        return trio.current_time() < self._accepted_until and not self.tether.is_cut and not self.stopped.is_set()

    async def run(self) -> None:
        await self.server.run()
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


class Run:
    """Everything of one seed."""

    def __init__(self, weather: Weather, folder: Path, watch: Watch) -> None:
        self.weather, self.folder, self.watch = weather, folder, watch
        self.living: set[str] = set()
        self.fair = trio.Event()
        self.engine: FakeEngine
        self.was_killed = False  # before its time
        self._dice = Random(f"run {weather.seed}")
        # An engine that denies that there is a container: its program counts as killed.
        self._disturbed = any("wait_container" in line and "not_found" in line for line in weather.failpoints)

    def tether(self) -> Tether:
        return Tether(self.engine)

    async def main(self) -> None:
        weather = self.weather
        http_s = weather.settings.docker.timeouts.http
        async with FakeEngine.open(
            seed=weather.seed, http_s=http_s, jitter_s=weather.jitter_s, api=weather.api
        ) as engine:
            self.engine = engine
            await self._set_up()
            async with trio.open_nursery() as outside:
                for when, what in weather.events:
                    outside.start_soon(self._engine_event, when, what)
                for number, boot in enumerate(weather.boots):
                    await self._live(number, boot, outside)
                outside.cancel_scope.cancel()
            expect(engine.alive == {FOREIGN}, f"containers at the end: {sorted(engine.alive)}")
        check_recordings(self.folder)

    async def _set_up(self) -> None:
        """Images, a container of another instance, and then the weather."""
        reference = self.weather.settings.docker.execution.container["Image"]
        self.engine.images["theirs"] = self.weather.image
        if self.weather.image_is_local:
            self.engine.images[reference] = self.weather.image
        self.engine.registry[reference] = self.weather.registry or self.weather.image
        labels = {OURS: "another", "moorage.boot": "b0"}
        await self.engine.create_container(ContainerOrder(name=FOREIGN, token="theirs", image="theirs", labels=labels))
        for line in self.weather.failpoints:
            self.engine.failpoints.set(line)
        self.engine.on_action = lambda method, action: self.watch.marks.update([f"engine {action.kind}"])

    async def _engine_event(self, when: float, what: str) -> None:
        await trio.sleep(when)
        ours = sorted(name for name in self.engine.alive if name != FOREIGN)
        if self.fair.is_set() or (not ours and not what.startswith("crash")):
            return
        self._disturbed = True
        self.watch.marks[f"event {what}"] += 1
        match what:
            case "out of memory":
                self.engine.out_of_memory(self._dice.choice(ours))
            case "removed by somebody else":
                self.engine.vanish(self._dice.choice(ours))
            case _:
                self.engine.crash(self._dice.choice(("", "connection reset by peer")))
                await trio.sleep(self._dice.choice((0.0, 0.5, 10.0)))
                self.engine.restart(containers_die=what == "crash")

    async def _live(self, number: int, boot: Boot, outside: trio.Nursery) -> None:
        """One life of the daemon, from its start to its end."""
        self._disturbed = self._disturbed or boot.end != "fair"
        customers: list[Customer] = []
        try:
            async with trio.open_nursery() as nursery:
                daemon = Daemon(self, number, nursery)
                self._look_on(daemon)
                nursery.start_soon(daemon.run)
                nursery.start_soon(daemon.run_for_ever)
                async with trio.open_nursery() as clients:
                    for name in range(boot.clients):
                        customers.append(Customer(daemon.supervisor, outside, self.weather, f"{number}.{name}"))
                        clients.start_soon(customers[-1].live, self.fair, daemon.accepts)
                    await self._end(daemon, boot, clients, outside)
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            if rest := group.split(Killed)[1]:
                raise rest from None
        daemon.instance.close()
        daemon.recorder.close()
        was_killed = self.was_killed or boot.end == "killed"
        for visit in (visit for customer in customers for visit in customer.visits):
            self.watch.marks[check_told(visit, self._disturbed, was_killed)] += 1

    async def _end(self, daemon: Daemon, boot: Boot, clients: trio.Nursery, outside: trio.Nursery) -> None:
        await trio.sleep(boot.seconds)
        self.watch.marks[f"daemon {boot.end}"] += 1
        match boot.end:
            case "killed":
                daemon.tether.cut()
                clients.cancel_scope.cancel()
            case "fair":
                self._clear_up()
                await self._check_fair_end(daemon, clients, outside)
            case end:
                await self._stop(daemon, in_haste=end == "stopped in haste")
                clients.cancel_scope.cancel()

    def _clear_up(self) -> None:
        """From here on nothing goes wrong; what hung is given up, as a healed engine's connections are."""
        hung = any(name in line and "hang" in line for name in UNBOUNDED for line in self.weather.failpoints)
        self.engine.heal()
        if hung:
            self._disturbed = True
            self.engine.crash()
        self.engine.restart(containers_die=False)
        self.engine.registry = dict.fromkeys(self.engine.registry, replace(self.weather.image, pull_seconds=0.0))
        self.fair.set()

    async def _check_fair_end(self, daemon: Daemon, clients: trio.Nursery, outside: trio.Nursery) -> None:
        """A newcomer is served, everybody leaves, nothing stays behind, and the daemon stops in order."""
        await _until(lambda: not clients.child_tasks, PATIENCE_S * 3, lambda: "a client that should leave does not")
        await trio.sleep(self.weather.settings.docker.timeouts.http + 1.0)  # what hung is over, by its own time limit
        await self._check_newcomer(daemon, outside)
        await _until(
            lambda: daemon.is_quiet() and not self.engine.late,
            FAIR_S,
            lambda: f"left after everybody went: {self._ours()}, {_describe(daemon.world)}",
        )
        await self._stop(daemon, in_haste=False)
        await _until(lambda: not self._ours(), FAIR_S, lambda: f"left after the daemon's end: {self._ours()}")
        await _until(
            lambda: len(daemon.nursery.child_tasks) == 1,  # what goes on for ever
            FAIR_S,
            lambda: f"tasks are left: {[task.name for task in daemon.nursery.child_tasks]}",
        )
        expect(not self.watch.said(codes.MOORAGE_STOPPED_UNCLEAN) or self._disturbed, "it stopped uncleanly")

    async def _check_newcomer(self, daemon: Daemon, outside: trio.Nursery) -> None:
        """In fair weather a login has its program run, whatever was before."""
        execution = self.weather.settings.docker.execution
        runs = execution.image_pull_policy != "Never" or execution.container["Image"] in self.engine.images
        newcomer = Newcomer(daemon.supervisor, outside)
        with trio.move_on_after(PATIENCE_S) as patience:
            status = await newcomer.run("exit 7")
        if patience.cancelled_caught:
            raise Stuck("in fair weather a newcomer is not served")
        expect(status == (7 if runs else 125), f"in fair weather a newcomer gets {status}")
        newcomer.disconnect()

    async def _stop(self, daemon: Daemon, in_haste: bool) -> None:
        daemon.server.post(ShutdownWanted(why="TERM"))
        if in_haste:
            await trio.sleep(self._dice.choice((0.0, 0.3, 2.0)))
            daemon.server.post(ShutdownWanted(why="TERM again"))
        shutdown = self.weather.settings.shutdown
        with trio.move_on_after(shutdown.grace + shutdown.kill + GONE_S + 5.0) as patience:
            await daemon.stopped.wait()
        if patience.cancelled_caught:
            raise Stuck(f"the daemon does not stop: {daemon.server.cell.state}, {_describe(daemon.world)}")

    def _ours(self) -> list[str]:
        alive = self.engine.alive
        return sorted(name for name in alive if self.engine.labels_of(name).get(OURS) == "simulated")

    def _look_on(self, daemon: Daemon) -> None:
        """At each end of a container's actor: is its container gone? And how many events wait for each actor?"""

        def on_final(actor: str, machine: str) -> None:
            found = daemon.world.actors.get(actor)
            # One that the engine makes after it was given up appears later, and is the sweep's.
            if isinstance(found, ContainerActor) and not self.watch.marks["engine late"]:
                tokens = {self.engine.labels_of(name).get("moorage.token") for name in self.engine.alive}
                expect(found.order.token not in tokens, f"{actor} has ended and its container is alive")

        def waiting(actor: str) -> int:
            found = daemon.world.actors.get(actor)
            return found.statistics()["mailbox"] if found is not None else 0

        self.watch.on_final, self.watch.waiting = on_final, waiting


def _agents(run: "Run") -> BroughtAgents:
    """As after a probe: the link through attached stdio, which needs no files."""
    agents = BroughtAgents(b"", "simulated" * 2, run.folder / "links")
    agents.kind = "attach"
    return agents


async def _until(holds: Callable[[], bool], seconds: float, what: Callable[[], str]) -> None:
    """Nobody tells a checker that there is news: it looks again and again, which costs a jumping clock little."""
    patience = trio.current_time() + seconds
    while not holds():
        if trio.current_time() > patience:
            raise Stuck(what())
        await trio.sleep(2.0)


def _describe(world: World) -> str:
    return "; ".join(str(actor.statistics()) for actor in world.actors.values()) or "no actors"


def simulate(seed: int, folder: Path | None = None) -> Report:
    """Run one seed to its end. Recordings stay in `folder`, if one is given."""
    with TemporaryDirectory(prefix="moorage-simulate-") as temporary:
        watch = Watch()
        verdict, text = _run(seed, folder or Path(temporary), watch)
    return Report(
        seed=seed, verdict=verdict, text=text, marks=dict(watch.marks), steps=watch.steps,
        mailbox_most=watch.mailbox_most, digest=watch.digest,
    )  # fmt: skip


def _run(seed: int, folder: Path, watch: Watch) -> tuple[Verdict, str]:
    async def main() -> None:
        await Run(draw(seed), folder, watch).main()

    try:
        with seeded_schedule(seed):
            trio.run(main, clock=MockClock(autojump_threshold=0))
    except BaseException as error:
        return _judge(error)
    return "fine", ""


def _judge(error: BaseException) -> tuple[Verdict, str]:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, KeyboardInterrupt):
        raise error
    if isinstance(error, Stuck):
        return "stuck", str(error)[:TEXT_MAX]
    if isinstance(error, Wrong):
        return "wrong", str(error)[:TEXT_MAX]
    return "crash", "".join(traceback.format_exception(error))[-TEXT_MAX:]

"""One simulated run: real actors, a fake engine, fake clients, a clock that jumps, and one seed that decides it all.

Bad weather first, then fair weather with a limit. What must hold is in `checkers`; see docs/simulation.md.
"""

import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Literal

import trio
from msgspec import Struct
from msgspec.structs import replace
from trio.testing import MockClock

from actors.container import ContainerActor
from actors.ports import ContainerOrder
from actors.world import World
from moorage.testing.checkers import NOT_RUN, Watch, check_recordings, check_told
from moorage.testing.customers import PATIENCE_S, Customer, Newcomer
from moorage.testing.engine import FakeEngine
from moorage.testing.failpoints import Failpoints
from moorage.testing.fake_web import FakeServices
from moorage.testing.pounces import Pouncer
from moorage.testing.schedule import seeded_schedule
from moorage.testing.simulated_daemon import GONE_S, Daemon, Killed, Tether
from moorage.testing.visits import EXIT_7
from moorage.testing.weather import GRACE_S, IMAGES, KILL_S, UNBOUNDED, Boot, Weather, draw
from moorage.testing.wrong import Stuck, Wrong, expect
from protocol import codes
from protocol.server import ShutdownWanted

FAIR_S = 400.0  # after the last client has left: sweeps, removals and what hangs at the engine have ended
BREAKS = ("", "connection reset by peer")  # the error of streams that break
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


class Run:
    """Everything of one seed."""

    def __init__(self, weather: Weather, folder: Path, watch: Watch) -> None:
        self.weather, self.folder, self.watch = weather, folder, watch
        self.living: set[str] = set()
        dice = Random(f"services {weather.seed}")
        self.fair, self.stop_now = trio.Event(), trio.Event()
        self.customers: list[Customer] = []
        self.daemon: Daemon  # the one that lives
        self.engine: FakeEngine
        self.services = FakeServices(weather.operator, Failpoints(weather.services, dice), dice)
        self.was_killed = False  # before its time
        self._dice = Random(f"run {weather.seed}")
        # An engine that denies that there is a container: its program counts as killed.
        self._disturbed = any("wait_container" in line and "not_found" in line for line in weather.failpoints)

    async def main(self) -> None:
        weather = self.weather
        http_s = weather.settings.docker.timeouts.http
        async with FakeEngine.open(
            seed=weather.seed, http_s=http_s, jitter_s=weather.jitter_s, api=weather.api
        ) as engine:
            self.engine = engine
            await self._set_up()
            async with trio.open_nursery() as outside:
                self._begin_weather(outside)
                for number, boot in enumerate(weather.boots):
                    await self._live(number, boot, outside)
                outside.cancel_scope.cancel()
            expect(engine.alive == {FOREIGN}, f"containers at the end: {sorted(engine.alive)}")
        check_recordings(self.folder)

    def tether(self) -> Tether:
        return Tether(self.engine)

    def _begin_weather(self, outside: trio.Nursery) -> None:
        self.watch.on_enter = Pouncer(self, outside).entered
        for when, what in self.weather.events:
            outside.start_soon(self._engine_event, when, what)

    async def _set_up(self) -> None:
        """Images, a container of another instance, and then the weather."""
        self.engine.images["theirs"] = self.weather.image
        for reference in dict.fromkeys(IMAGES):
            if self.weather.image_is_local:
                self.engine.images[reference] = self.weather.image
            self.engine.registry[reference] = self.weather.registry or self.weather.image
        labels = {OURS: "another", "moorage.boot": "b0"}
        await self.engine.create_container(ContainerOrder(name=FOREIGN, token="theirs", image="theirs", labels=labels))
        for line in self.weather.failpoints:
            self.engine.failpoints.set(line)
        if self.weather.agent_whims:
            whims = Random(f"agents {self.weather.seed}")
            self.engine.agent_whim = lambda: whims.choice(self.weather.agent_whims)
        self.engine.on_action = lambda method, action: self.watch.marks.update([f"engine {action.kind}"])

    async def _engine_event(self, when: float, what: str) -> None:
        await trio.sleep(when)
        if self.fair.is_set():
            return
        if not what.startswith("crash"):
            self.upset(what)
            return
        self._disturbed = True
        self.watch.marks[f"event {what}"] += 1
        self.engine.crash(self._dice.choice(BREAKS))
        await trio.sleep(self._dice.choice((0.0, 0.5, 10.0)))
        self.engine.restart(containers_die=what == "crash")

    def upset(self, what: str, actor: str = "") -> None:
        """Something happens to one container, to that of `actor` if there is one."""
        ours = sorted(name for name in self.engine.alive if name != FOREIGN)
        own = [name for name in ours if actor and name.removeprefix("moorage-")[:12] in actor]
        if not ours:
            return
        self._disturbed = True
        self.watch.marks[f"event {what}"] += 1
        name = self._dice.choice(own or ours)
        match what:
            case "out of memory":
                self.engine.out_of_memory(name)
            case "streams break":
                self.engine.break_streams(name, self._dice.choice(BREAKS))
            case _:
                self.engine.vanish(name)

    async def _live(self, number: int, boot: Boot, outside: trio.Nursery) -> None:
        """One life of the daemon, from its start to its end."""
        self._disturbed = self._disturbed or boot.end != "fair"
        first = len(self.customers)
        try:
            async with trio.open_nursery() as nursery:
                self.daemon = daemon = Daemon(self, number, nursery)
                self.stop_now = trio.Event()
                self._look_on(daemon)
                nursery.start_soon(daemon.run)
                nursery.start_soon(daemon.run_for_ever)
                nursery.start_soon(self._reload, daemon)
                async with trio.open_nursery() as clients:
                    for name in range(boot.clients):
                        self.customers.append(self._customer(daemon, outside, f"{number}.{name}", boot.seconds))
                        clients.start_soon(self.customers[-1].live, self.fair, daemon.accepts)
                    await self._end(daemon, boot, clients, outside)
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            if rest := group.split(Killed)[1]:
                raise rest from None
        daemon.instance.close()
        daemon.recorder.close()
        was_killed = self.was_killed or boot.end == "killed"
        for visit in (visit for customer in self.customers[first:] for visit in customer.visits):
            self.watch.marks[check_told(visit, self._disturbed, was_killed)] += 1

    def _customer(self, daemon: Daemon, outside: trio.Nursery, name: str, stop_s: float) -> Customer:
        def mark(what: str) -> None:
            self.watch.marks[what] += 1

        return Customer(daemon.supervisor, self.services, outside, self.weather, name, stop_s, mark)

    async def _reload(self, daemon: Daemon) -> None:
        """The configuration is read again in bad weather, and once more while the daemon stops."""
        started = trio.current_time()
        for when, settings in self.weather.reloads:
            await trio.sleep_until(started + when)
            if not self.fair.is_set():
                daemon.reload(settings)
        await daemon.stopping.wait()
        for _, settings in self.weather.reloads:
            await trio.sleep(self._dice.choice((0.0, 0.05, 1.0, 3.0)))
            daemon.reload(settings)

    async def _end(self, daemon: Daemon, boot: Boot, clients: trio.Nursery, outside: trio.Nursery) -> None:
        earlier = self.stop_now if boot.end != "fair" else trio.Event()
        with trio.move_on_after(boot.seconds):
            await earlier.wait()
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
        self.services.heal()
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
        settings = daemon.supervisor.settings
        execution = settings.docker.execution
        runs = execution.image_pull_policy != "Never" or execution.container["Image"] in self.engine.images
        newcomer = Newcomer(daemon.supervisor, self.services, outside, self.weather)
        with trio.move_on_after(PATIENCE_S) as patience:
            status, job = await newcomer.run(EXIT_7)
        if patience.cancelled_caught:
            raise Stuck("in fair weather a newcomer is not served")
        wanted = job.status if runs else NOT_RUN
        expect(status in (wanted, None), f"in fair weather a newcomer gets {status}, not {wanted}")
        newcomer.disconnect()

    async def _stop(self, daemon: Daemon, in_haste: bool) -> None:
        if self.weather.reloads and self._dice.random() < 0.5:
            daemon.reload(self.weather.reloads[0][1])
        daemon.stopping.set()
        daemon.server.post(ShutdownWanted(why="TERM"))
        if in_haste:
            await trio.sleep(self._dice.choice((0.0, 0.3, 2.0)))
            daemon.server.post(ShutdownWanted(why="TERM again"))
        with trio.move_on_after(max(GRACE_S) + max(KILL_S) + GONE_S + 5.0) as patience:
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
            return found.waiting if found is not None else 0

        self.watch.on_final, self.watch.waiting = on_final, waiting


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

"""A container engine in memory, for tests and simulations: the same promises as the real one, in trio alone.

Everything it does is decided by its seed and its failpoints, and it waits by `trio.sleep` only, so that a `MockClock`
can jump over it. It passes the same contract suite as the real engine.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import trio
from msgspec.structs import replace

from actors.ports import ContainerOrder, EngineFault, ExecOrder, Exit, FoundContainer, ImageCommand, Sink, Stream
from moorage.testing.failpoints import Action, Failpoints
from moorage.testing.fake_agent import is_agent
from moorage.testing.fake_container import FakeContainer, FakeExec, FakeImage, FakeRun, FakeStream, hang_up
from moorage.testing.programs import SIGNALS, knows
from protocol.base import FaultClass, Size
from protocol.settings import GUEST_IMAGE

T = TypeVar("T")
TOKEN_LABEL = "moorage.token"
NAME_CHARS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


class FakeEngine:
    """`images` are on the engine's host, `registry` holds what can be pulled (or the fault that a pull meets)."""

    def __init__(
        self,
        nursery: trio.Nursery,
        *,
        seed: int = 0,
        failpoints: Iterable[str] = (),
        http_s: float = 15.0,
        jitter_s: float = 0.0,
        api: tuple[int, int] = (1, 41),
    ) -> None:
        """`jitter_s`: each control call takes up to so long, drawn from the seed."""
        self.api = api
        self.images: dict[str, FakeImage] = {GUEST_IMAGE: FakeImage()}
        self.registry: dict[str, FakeImage | FaultClass] = {}
        self.calls: Counter[str] = Counter()
        self._dice = Random(seed)
        self.failpoints = Failpoints(failpoints, self._dice)
        self._nursery = nursery
        self._http_s = http_s
        self._jitter_s = jitter_s
        self._containers: dict[str, FakeContainer] = {}  # by id
        self._down = ""
        self._crashes = 0
        self.late = 0  # calls whose caller has given up, and that will happen all the same
        self._unbounded: dict[trio.CancelScope, None] = {}  # pulls and waits, oldest first, for a crash to break
        self.on_action: Callable[[str, Action], None] = lambda method, action: None

    @classmethod
    @asynccontextmanager
    async def open(cls, **options: Any) -> AsyncIterator["FakeEngine"]:
        """An engine whose programs run in a nursery of its own and end with it."""
        async with trio.open_nursery() as nursery:
            yield cls(nursery, **options)
            nursery.cancel_scope.cancel()

    # For tests and checkers.

    @property
    def alive(self) -> set[str]:
        """Names of all containers that exist, running or not."""
        return {one.order.name for one in self._containers.values()}

    def labels_of(self, name: str) -> Mapping[str, str]:
        return self._find(name).labels

    def order_of(self, name: str) -> ContainerOrder:
        return self._find(name).order

    def statistics(self) -> dict[str, int]:
        return {
            "containers": len(self._containers),
            "running": sum(one.run.running for one in self._containers.values()),
            "execs": sum(len(one.execs) for one in self._containers.values()),
            "streams": sum(len(run.streams) for run in self._runs()),
            "pulls_and_waits": len(self._unbounded),
            "calls": self.calls.total(),
        }

    def crash(self, error: str = "") -> None:
        """The engine dies: streams break (with `error`), whoever waits is told, and nothing answers until `restart`."""
        self._down = "the engine cannot be reached: connection refused"
        self._crashes += 1
        for scope in tuple(self._unbounded):
            scope.cancel()
        for run in self._runs():
            run.cut(error)

    def restart(self, containers_die: bool = True) -> None:
        """It answers again. Without live-restore the engine kills at its start what was left running."""
        self._down = ""
        if containers_die:
            for one in self._containers.values():
                self._kill_all(one)

    def heal(self) -> None:
        """Nothing goes wrong any more, and every answer comes at once."""
        self.failpoints = Failpoints((), self._dice)
        self._jitter_s = 0.0

    def hang_up(self) -> None:
        """The daemon that used it is gone, and all its streams with it."""
        for stream in [stream for run in self._runs() for stream in run.streams]:
            stream.close()

    def vanish(self, name: str) -> None:
        """Somebody else removes a container by force."""
        self._remove(name, self._find(name).labels.get(TOKEN_LABEL, ""))

    def out_of_memory(self, name: str) -> None:
        """The kernel kills all programs of a container."""
        self._kill_all(self._find(name), oom=True)

    # How calls go.

    async def _control(self, method: str, do: Callable[[], T]) -> T:
        """One bounded call that settles even if the caller is cancelled."""
        await trio.lowlevel.checkpoint_if_cancelled()
        self.calls[method] += 1
        with trio.CancelScope(shield=True):
            action = self._meets(method)
            await self._jitter()
            if self._down:
                raise EngineFault("unavailable", self._down)
            if action.kind in ("hang", "late") or (action.kind == "delay" and action.seconds >= self._http_s):
                await self._time_out(action, do)
            if action.kind == "delay":
                await trio.sleep(action.seconds)
            if action.kind == "fail":
                raise EngineFault(action.fault, f"failpoint in {method}")
            if self._down:
                raise EngineFault("unavailable", self._down)
            result, crashes = do(), self._crashes
            await self._jitter()
            if action.kind == "lose" or self._crashes != crashes:
                hang_up(result)
                fault = action.fault if action.kind == "lose" else "unavailable"
                raise EngineFault(fault, f"failpoint in {method}: the answer got lost")
            if isinstance(result, FakeStream):
                result.begin()
                await self._jitter()  # what comes at once may be there before the caller goes on
        return result

    async def _jitter(self) -> None:
        """A call's way to the engine, or its answer's way back."""
        await trio.sleep(self._dice.uniform(0, self._jitter_s / 2) if self._jitter_s else 0.0)

    def _meets(self, method: str) -> Action:
        action = self.failpoints.next(method)
        self.on_action(method, action)
        return action

    async def _time_out(self, action: Action, do: Callable[[], T]) -> None:
        self.late += action.kind == "late"
        await trio.sleep(self._http_s)
        if action.kind == "late":
            self._nursery.start_soon(self._do_late, action.seconds, do)
        raise EngineFault("timeout", f"the engine did not answer within {self._http_s:g} s")

    async def _do_late(self, seconds: float, do: Callable[[], T]) -> None:
        await trio.sleep(seconds)
        self.late -= 1
        if not self._down:
            with suppress(EngineFault):  # nobody is there to hear it
                hang_up(do())

    @asynccontextmanager
    async def _breakable(self, method: str) -> AsyncIterator[None]:
        """A call without a time limit, which a crash breaks."""
        self.calls[method] += 1
        action = self._meets(method)
        if self._down:
            raise EngineFault("unavailable", self._down)
        with trio.CancelScope() as scope:
            self._unbounded[scope] = None
            try:
                await trio.sleep(action.seconds)
                if action.kind == "hang":
                    await trio.sleep_forever()
                if action.kind == "fail":
                    raise EngineFault(action.fault, f"failpoint in {method}")
                yield
                await self._jitter()
                if action.kind == "lose":
                    raise EngineFault(action.fault, f"failpoint in {method}: the answer got lost")
            finally:
                self._unbounded.pop(scope, None)
        if scope.cancelled_caught:
            raise EngineFault("unavailable", "the engine broke off the connection")

    def _find(self, name: str) -> FakeContainer:
        """By id or name. Raises not_found."""
        for one in self._containers.values():
            if name in (one.id, one.order.name):
                return one
        raise EngineFault("not_found", f"No such container: {name}")

    def _running(self, name: str) -> FakeContainer:
        one = self._find(name)
        if not one.run.running:
            raise EngineFault("conflict", f"Container {one.id} is not running")
        return one

    def _exec(self, exec_id: str) -> FakeExec:
        for one in self._containers.values():
            if exec_id in one.execs:
                return one.execs[exec_id]
        raise EngineFault("not_found", f"No such exec instance: {exec_id}")

    def _runs(self) -> list[FakeRun]:
        return [run for one in self._containers.values() for run in one.runs()]

    def _new_id(self) -> str:
        return f"{self._dice.getrandbits(256):064x}"

    def _kill_all(self, container: FakeContainer, oom: bool = False) -> None:
        for run in container.runs():
            if run.running:
                run.kill(oom)

    # Images.

    async def inspect_image(self, reference: str) -> str:
        return await self._control("inspect_image", lambda: self._inspect_image(reference))

    def _inspect_image(self, reference: str) -> str:
        if reference not in self.images:
            raise EngineFault("not_found", f"No such image: {reference}")
        return f"sha256:{Random(reference).getrandbits(256):064x}"

    async def image_command(self, reference: str) -> ImageCommand:
        return await self._control("image_command", lambda: self._image_command(reference))

    def _image_command(self, reference: str) -> ImageCommand:
        self._inspect_image(reference)
        image = self.images[reference]
        return ImageCommand(entrypoint=image.entrypoint, command=image.command)

    async def architecture(self) -> str:
        return await self._control("architecture", lambda: "amd64")

    async def image_exists(self, reference: str) -> bool:
        return await self._control("image_exists", lambda: reference in self.images)

    async def import_image(self, tar: Path, reference: str, changes: Sequence[str] = ()) -> str:
        """Of `changes` ENTRYPOINT and CMD count, as JSON lists."""
        return await self._control("import_image", lambda: self._import(reference, changes))

    def _import(self, reference: str, changes: Sequence[str]) -> str:
        words = {name: json.loads(text) for name, _, text in (line.partition(" ") for line in changes)}
        self.images[reference] = FakeImage(entrypoint=words.get("ENTRYPOINT", ()), command=words.get("CMD", ()))
        return self._inspect_image(reference)

    async def pull_image(
        self, reference: str, platform: Mapping[str, Any], auth: Mapping[str, str], progress: Callable[[str], None]
    ) -> None:
        async with self._breakable("pull_image"):
            found = self.registry.get(reference, "not_found")
            if not isinstance(found, FakeImage):
                raise EngineFault(found, f"manifest for {reference}: {found}")
            if found.login not in (None, (auth.get("username"), auth.get("password"))):
                raise EngineFault("denied", f"pull access denied for {reference}")
            total = found.size_bytes / 1e6
            for step in range(4):
                done = f"{total * step / 4:.1f} of {total:.1f} MB"
                progress(f"{reference}: downloading {found.layers} layers, {done}")
                await trio.sleep(found.pull_seconds / 4)
            progress(f"{reference}: pulled {found.layers} layers, {total:.1f} MB")
            self.images[reference] = found

    # Containers.

    async def create_container(self, order: ContainerOrder) -> str:
        return await self._control("create_container", lambda: self._create(order))

    def _create(self, order: ContainerOrder) -> str:
        if not order.name.strip("_.-") or not NAME_CHARS.issuperset(order.name):
            raise EngineFault("invalid", f"not a container name: {order.name!r}")
        image = self.images.get(order.image)
        if image is None:
            raise EngineFault("not_found", f"No such image: {order.image}")
        for one in self._containers.values():
            if one.order.name == order.name:
                if one.labels.get(TOKEN_LABEL) == order.token:
                    return one.id
                raise EngineFault("conflict", f"the container name {order.name!r} is in use by {one.id}")
        entrypoint = image.entrypoint if order.entrypoint is None else order.entrypoint
        command = (image.command if order.entrypoint is None else ()) if order.command is None else order.command
        if not (*entrypoint, *command):
            raise EngineFault("invalid", "No command specified")
        env = {**image.env, **order.env}
        run = FakeRun([*entrypoint, *command], env, order.tty, order.stdin, is_first=True)
        if order.size is not None and self.api >= (1, 42):
            run.resize(order.size)
        labels = {**(order.container.get("Labels") or {}), **order.labels, TOKEN_LABEL: order.token}
        made = FakeContainer(self._new_id(), order, run, labels)
        run.on_exit = lambda: self._kill_all(made)  # nothing outlives PID 1
        self._containers[made.id] = made
        return made.id

    async def attach_container(self, container: str, tty: bool, sink: Sink) -> Stream:
        return await self._control("attach_container", lambda: self._find(container).run.attach(sink))

    async def start_container(self, container: str) -> None:
        await self._control("start_container", lambda: self._start(self._find(container).run))

    def _start(self, run: FakeRun) -> None:
        if run.running:
            return
        if not knows(run.argv) and not is_agent(run.argv):
            raise EngineFault("invalid", f'exec: "{run.argv[0]}": no such file or directory')
        if run.status is not None:
            raise EngineFault("internal", "the fake engine starts a program once")
        run.started = True
        self._nursery.start_soon(run.run)

    async def wait_container(self, container: str) -> Exit:
        async with self._breakable("wait_container"):
            run = self._find(container).run
            if run.started:
                await run.ended.wait()
        return Exit(status=run.status or 0, oom=run.oom)

    async def kill_container(self, container: str, signal: str) -> None:
        await self._control("kill_container", lambda: self._kill(container, signal))

    def _kill(self, container: str, signal: str) -> None:
        number = SIGNALS.get(signal.removeprefix("SIG"))
        if number is None:
            raise EngineFault("invalid", f"Invalid signal: {signal}")
        one = self._running(container)
        one.run.signal(number)
        if number == SIGNALS["KILL"]:
            self._kill_all(one)

    async def resize_container(self, container: str, size: Size) -> None:
        await self._control("resize_container", lambda: self._running(container).run.resize(size))

    async def rename_container(self, container: str, name: str) -> None:
        await self._control("rename_container", lambda: self._rename(container, name))

    def _rename(self, container: str, name: str) -> None:
        one = self._find(container)
        if name in self.alive:
            raise EngineFault("conflict", f"the container name {name!r} is in use")
        one.order = replace(one.order, name=name)

    async def container_image(self, container: str) -> str:
        return await self._control("container_image", lambda: self._inspect_image(self._find(container).order.image))

    async def remove_container(self, name: str, token: str) -> None:
        await self._control("remove_container", lambda: self._remove(name, token))

    def _remove(self, name: str, token: str) -> None:
        for one in tuple(self._containers.values()):
            if name in (one.id, one.order.name) and one.labels.get(TOKEN_LABEL) == token:
                self._kill_all(one)
                del self._containers[one.id]
                for run in one.runs():
                    if not run.started:
                        run.cut()

    async def list_containers(self, labels: Mapping[str, str]) -> list[FoundContainer]:
        return await self._control("list_containers", lambda: self._list(labels))

    def _list(self, labels: Mapping[str, str]) -> list[FoundContainer]:
        return [
            FoundContainer(id=one.id, name=one.order.name, labels=one.labels)
            for one in self._containers.values()
            if labels.items() <= one.labels.items()
        ]

    # Execs.

    async def create_exec(self, order: ExecOrder) -> str:
        return await self._control("create_exec", lambda: self._create_exec(order))

    def _create_exec(self, order: ExecOrder) -> str:
        if not order.command:
            raise EngineFault("invalid", "No exec command specified")
        one = self._running(order.container)
        env = {**self.images[one.order.image].env, **one.order.env, **order.env}
        exec_id = self._new_id()
        one.execs[exec_id] = FakeExec(one, order, FakeRun(order.command, env, order.tty, True, is_first=False))
        return exec_id

    async def start_exec(self, exec_id: str, tty: bool, size: Size | None, sink: Sink) -> Stream:
        return await self._control("start_exec", lambda: self._start_exec(exec_id, size, sink))

    def _start_exec(self, exec_id: str, size: Size | None, sink: Sink) -> Stream:
        found = self._exec(exec_id)
        self._running(found.container.id)
        if found.run.started:
            raise EngineFault("conflict", f"exec {exec_id} has run already")
        if size is not None and self.api >= (1, 42):
            found.run.resize(size)
        stream = found.run.attach(sink)
        found.run.started = True
        self._nursery.start_soon(found.run.run)  # a program that is not there ends with 127, as the shell says it
        return stream

    async def inspect_exec(self, exec_id: str) -> Exit | None:
        return await self._control("inspect_exec", lambda: self._inspect_exec(exec_id))

    def _inspect_exec(self, exec_id: str) -> Exit | None:
        run = self._exec(exec_id).run
        return None if run.status is None else Exit(status=run.status, oom=run.oom)

    async def resize_exec(self, exec_id: str, size: Size) -> None:
        await self._control("resize_exec", lambda: self._exec(exec_id).run.resize(size))

    async def close(self) -> None:
        await trio.lowlevel.checkpoint()

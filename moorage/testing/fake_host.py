"""What a fake engine stands on: what it holds, how its calls go, wait and fail, and how it dies."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Any, Self, TypeVar

import trio

from actors.ports import ContainerOrder, EngineFault
from moorage.testing.failpoints import Action, Failpoints
from moorage.testing.fake_agent import Whim
from moorage.testing.fake_container import FakeContainer, FakeExec, FakeImage, FakeRun, FakeStream, hang_up
from protocol.base import FaultClass
from protocol.settings import GUEST_IMAGE

T = TypeVar("T")
TOKEN_LABEL = "moorage.token"
NAME_CHARS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


class FakeHost:
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
        self.delayed = 0  # calls that take their time
        self.late = 0  # calls whose caller has given up, and that will happen all the same
        self._unbounded: dict[trio.CancelScope, None] = {}  # pulls and waits, oldest first, for a crash to break
        self.agent_whim: Callable[[], Whim] = lambda: ""  # of the next container's agent, should it be one
        self.on_action: Callable[[str, Action], None] = lambda method, action: None

    @classmethod
    @asynccontextmanager
    async def open(cls, **options: Any) -> AsyncIterator[Self]:
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

    def files_of(self, name: str) -> Mapping[str, bytes]:
        return self._find(name).files

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
        self.agent_whim = lambda: ""

    def break_streams(self, name: str, error: str = "") -> None:
        """All that is attached to one container breaks off; what runs there goes on."""
        for run in self._find(name).runs():
            run.cut(error)

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
                self.delayed += 1
                await trio.sleep(action.seconds)
                self.delayed -= 1
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
                if self._jitter_s:  # what comes at once may be there before the caller goes on
                    await self._jitter()
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

    def _remove(self, name: str, token: str) -> None:
        for one in tuple(self._containers.values()):
            if name in (one.id, one.order.name) and one.labels.get(TOKEN_LABEL) == token:
                self._kill_all(one)
                del self._containers[one.id]
                for run in one.runs():
                    if not run.started:
                        run.cut()

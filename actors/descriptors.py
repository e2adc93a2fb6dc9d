"""asyncio's descriptors in the epoll that trio itself waits with: what they call for runs as soon as trio wakes, and
what was called for by anybody before it sleeps.

A task's way through trio's scheduler, and a second epoll behind the first, cost as much as a keystroke's whole way to
its program. It reaches into private parts of trio, whose version is pinned for it.
"""

import select
import selectors
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import trio
from trio._core._io_epoll import EpollIOManager
from trio._core._run import GLOBAL_RUN_CONTEXT

TRIO_VERSION = "0.35.0"

Ready = list[tuple[selectors.SelectorKey, int]]  # a key's `data` is its reader and its writer; epoll's flags


class Owner(Protocol):
    """A loop. `task`: the one whose context is that of what runs, and which is told to be the current one."""

    @property
    def task(self) -> trio.lowlevel.Task: ...
    def run_ready(self, ready: Ready) -> None: ...

    @property
    def has_due(self) -> bool:
        """There is something that `run_due` would do."""

    def run_due(self) -> None: ...


class Events(EpollIOManager):
    """In the place of trio's own, over the same epoll; it knows which descriptors are a loop's."""

    def __init__(self, own: EpollIOManager, runner: Any) -> None:
        self._runner = runner
        # A host's loop would wait in a thread of its own, and would not hear of what was done before.
        self.runs_due = not runner.is_guest
        self.owners: list[Owner] = []
        self._epoll, self._registered = own._epoll, own._registered
        self._force_wakeup, self._force_wakeup_fd = own._force_wakeup, own._force_wakeup_fd
        self.watched: dict[int, Descriptors] = {}

    async def _epoll_wait(self, fd: Any, attr_name: str) -> None:
        """trio has one registration for a descriptor, and would take the loop's away."""
        if (number := _number(fd)) in self.watched:
            raise trio.BusyResourceError(f"an asyncio loop watches descriptor {number}")
        await super()._epoll_wait(number, attr_name)

    def get_events(self, timeout: float) -> list[tuple[int, int]]:
        """Between the tasks' turns, about to wait: what is done first may have something for them, or a deadline."""
        if self.runs_due:
            for owner in self.owners:
                if owner.has_due:
                    _run_as(owner.task, owner.run_due)
                    timeout = min(timeout, self._time_left())
        return self._epoll.poll(timeout, 1 + len(self._registered) + len(self.watched))

    def process_events(self, events: list[tuple[int, int]]) -> None:
        ready: dict[Descriptors, Ready] = {}
        for event in events:
            if (watching := self.watched.get(event[0])) is None:
                super().process_events([event])
            else:
                ready.setdefault(watching, []).append((watching.get_key(event[0]), event[1]))
        for watching, keys in ready.items():
            _run_as(watching.owner.task, watching.owner.run_ready, keys)

    def _time_left(self) -> float:
        """As trio counts it."""
        if self._runner.runq:
            return 0.0
        seconds: float = self._runner.clock.deadline_to_sleep_time(self._runner.deadlines.next_deadline())
        return max(0.0, seconds)


def _run_as(task: trio.lowlevel.Task, fn: Callable[..., None], *args: Any) -> None:
    GLOBAL_RUN_CONTEXT.task = task
    try:
        task.context.run(fn, *args)
    finally:
        del GLOBAL_RUN_CONTEXT.task


class Descriptors(selectors.EpollSelector):
    """Those of one loop. Only the selector's books are its own."""

    def __init__(self, owner: Owner) -> None:
        assert trio.__version__ == TRIO_VERSION, f"this is written for trio {TRIO_VERSION}"
        self.owner, self._events = owner, _of_this_run()
        self._selector: select.epoll
        self._fd_to_key: dict[int, selectors.SelectorKey]
        self._selector_cls = lambda: self._events._epoll
        super().__init__()
        self._events.owners.append(owner)

    @property
    def runs_due(self) -> bool:
        """What is due at the owner is run before trio waits; else somebody has to be woken for it."""
        return self._events.runs_due

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """What trio has waited for is still known to the epoll. Raises `trio.BusyResourceError` if it still waits."""
        if (number := _number(fileobj)) in self._events._registered:
            raise trio.BusyResourceError(f"a task of trio waits for descriptor {number}")
        try:
            key = super().register(fileobj, events, data)
        except FileExistsError:
            self._selector.unregister(fileobj)
            key = super().register(fileobj, events, data)
        self._events.watched[key.fd] = self
        return key

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        """As asyncio asks for each event, and nearly always by number. Raises KeyError."""
        key = self._fd_to_key.get(fileobj)
        return super().get_key(fileobj) if key is None else key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        key = super().unregister(fileobj)
        self._events.watched.pop(key.fd, None)
        return key

    def close(self) -> None:
        """Watch nothing any more; the epoll is trio's and stays open."""
        if self.owner in self._events.owners:
            self._events.owners.remove(self.owner)
        for key in tuple(self.get_map().values()):
            with suppress(OSError):
                self.unregister(key.fd)


def _number(fileobj: Any) -> int:
    return fileobj if isinstance(fileobj, int) else int(fileobj.fileno())


def _of_this_run() -> Events:
    runner = GLOBAL_RUN_CONTEXT.runner
    own = runner.io_manager
    if isinstance(own, Events):
        return own
    runner.io_manager = events = Events(own, runner)
    return events

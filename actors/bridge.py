"""The one place where trio meets asyncio.

asyncssh and aiodocker want an asyncio loop; everything else is trio. Both run in one thread: a callback of asyncio may
post to a trio mailbox directly, and a trio task awaits an asyncio coroutine through `aio` or `aio_settled`.
"""

import asyncio
import socket
from asyncio import Handle
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import Context
from heapq import heappop, heappush
from select import EPOLLIN, EPOLLOUT
from typing import Any, TypeVar

import trio
import trio_asyncio  # type: ignore[import-untyped]
from trio_asyncio._base import sniffio_library as library  # type: ignore[import-untyped]
from trio_asyncio._handles import AsyncHandle  # type: ignore[import-untyped]

from actors.bell import Bell
from actors.descriptors import Descriptors, Ready
from actors.turn import Turn

T = TypeVar("T")
LoopError = Callable[[Mapping[str, Any]], None]

TRIO_ASYNCIO_VERSION = "0.16.0"
ROUNDS_MAX = 16  # of callbacks that call for others, one after the other; then tasks of trio have their turns


class Loop(trio_asyncio.TrioEventLoop):  # type: ignore[misc]
    """trio-asyncio's loop without a turn of trio for each callback, and without a task for each descriptor.

    It reaches into private parts, hence the version. Callbacks that are due run one after the other, as in asyncio:
    those of descriptors as soon as trio wakes, all others before it waits (descriptors.py). The loop's own task is
    woken for what is left after that, for its end, and where trio is a guest in another loop.
    """

    def __init__(self, queue_len: int | None = None) -> None:
        super().__init__(queue_len)
        self.turn = Turn(self._turn_failed, self._takes_turns)
        self._selector = Descriptors(self)
        self._due: deque[Handle] = deque()
        self._bell = Bell(self._timers_are_due)
        self._waiting: trio.lowlevel.Task | None = None  # for something to do

    def _turn_failed(self, error: Exception) -> None:
        self.call_exception_handler({"message": "the end of a turn has failed", "exception": error})

    def _takes_turns(self) -> bool:
        """Whether what waits for a turn is sure of one."""
        if not self.is_running():
            return False
        if not self._selector.runs_due:
            self._wake()
        return True

    def _queue_handle(self, handle: Handle) -> Handle:
        self._check_closed()
        if isinstance(handle, asyncio.TimerHandle):
            while self._timers and self._timers[0]._cancelled:  # most are, long before their time
                heappop(self._timers)
            heappush(self._timers, handle)
            self._bell.by(handle.when())
        else:
            self._due.append(handle)
            if not self._selector.runs_due:
                self._wake()
        return handle

    def _timers_are_due(self) -> None:
        now = self.time()
        while self._timers and (self._timers[0]._cancelled or self._timers[0]._when <= now):
            self._due.append(heappop(self._timers))
        if self._timers:
            self._bell.by(self._timers[0]._when)
        if not self._selector.runs_due:
            self._wake()

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Handle:
        """As asyncio's own, without a look at what kind of function it is."""
        return self._queue_handle(Handle(callback, args, self, context))

    def call_soon_threadsafe(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Handle:
        self._check_closed()
        handle = Handle(callback, args, self, context)
        self._token.run_sync_soon(self._queue_handle, handle)
        return handle

    async def _main_loop_one(self, no_wait: bool = False) -> None:
        """A round, if anything is due; else wait to be woken."""
        if self._due or self.turn.is_wanted:
            self._round()
            if not no_wait:
                await trio.lowlevel.cancel_shielded_checkpoint()
        elif no_wait:
            raise trio.WouldBlock
        else:
            self._waiting = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._stop_waiting)

    @property
    def has_due(self) -> bool:
        """And the loop's task does not see to it already."""
        return (bool(self._due) or self.turn.is_wanted) and self._waiting is not None

    def run_due(self) -> None:
        """All that is due, and what that has called for. The end is for the loop's task to meet."""
        rounds = 0
        while self.has_due:
            if rounds == ROUNDS_MAX or self._stop_wait is not None:
                self._wake()
                return
            self._round()
            rounds += 1

    def _round(self) -> None:
        """All callbacks that are due: what they call for is another round's."""
        before, library.name = library.name, "asyncio"
        try:
            with self.turn:
                for _ in range(len(self._due)):
                    self._run(self._due.popleft())
        finally:
            library.name = before

    def _run(self, handle: Handle) -> None:
        if isinstance(handle, AsyncHandle):
            handle._context.run(self._nursery.start_soon, handle._run, name=handle._callback)
        elif not handle._cancelled:
            handle._run()

    def _wake(self) -> None:
        if self._waiting is not None:
            trio.lowlevel.reschedule(self._waiting)
            self._waiting = None

    def _stop_waiting(self, _: object) -> trio.lowlevel.Abort:
        self._waiting = None
        return trio.lowlevel.Abort.SUCCEEDED

    def carry(self, sock: socket.socket, protocol: asyncio.BaseProtocol) -> asyncio.Transport:
        """The transport of a connected socket, as `connect_accepted_socket` makes it, without a task that waits for
        `connection_made`: that is called soon, before anything that is called for after this."""
        transport: asyncio.Transport = self._make_socket_transport(sock, protocol)
        return transport

    @property
    def task(self) -> trio.lowlevel.Task:
        task: trio.lowlevel.Task = self._task
        return task

    def run_ready(self, ready: Ready) -> None:
        """What is called for by descriptors that are ready, and then what that has called for, unless it is the end."""
        with self.turn:
            for key, flags in ready:
                for handle, is_due in zip(key.data, (flags & ~EPOLLOUT, flags & ~EPOLLIN), strict=True):
                    if is_due and handle is not None and not handle._cancelled:
                        handle._run()
        if self._due and self._stop_wait is None:
            self._round()

    def _add_io_handler(
        self, set_handle: Callable[..., Handle | None], wait: object, fd: int, call: Callable[..., None], args: Any
    ) -> Handle:
        self._check_closed()
        handle = Handle(call, args, self)
        if (old := set_handle(fd, handle)) is not None:
            old.cancel()
        return handle

    def _cancel_fds(self) -> None:
        """Nothing runs for a descriptor, nor at a time, any more."""
        self._selector.close()
        self._bell.stop()


trio_asyncio._loop.TrioEventLoop = Loop  # what `open_loop` makes


@asynccontextmanager
async def open_loop(on_error: LoopError) -> AsyncIterator[None]:
    """An asyncio loop for everything inside.

    `on_error` gets asyncio's error context (keys `message`, `exception`…) of whatever nobody awaited. It is set before
    anything can run in the loop, because the default handler lets one such error end the whole program.
    """
    assert trio_asyncio.__version__ == TRIO_ASYNCIO_VERSION, f"Loop is written for trio-asyncio {TRIO_ASYNCIO_VERSION}"
    async with trio_asyncio.open_loop() as loop:
        loop.set_exception_handler(lambda _loop, context: on_error(context))
        yield


async def aio(fn: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Await `fn(*args)`, an asyncio coroutine, from trio. Cancelling the caller cancels the coroutine."""
    result: T = await trio_asyncio.aio_as_trio(fn)(*args)
    return result


async def aio_settled(fn: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Like `aio`, but once begun it goes on to its end: a cancelled caller hears what happened first.

    The answer is returned even then; the cancellation goes on at the caller's next checkpoint. `fn` has to have a time
    limit of its own.
    """
    await trio.lowlevel.checkpoint_if_cancelled()
    with trio.CancelScope(shield=True):
        result = await aio(fn, *args)
    return result  # noqa: RET504 (for mypy a cancel scope may swallow what is raised in it)


def loop_turn() -> Callable[[], Awaitable[None]]:
    """Called inside a loop: a function that waits, from any trio task, for one turn of it."""
    loop = trio_asyncio.current_loop.get()

    async def turn() -> None:
        done = trio.Event()
        loop.call_soon(done.set)
        await done.wait()

    return turn


def this_loop() -> Loop:
    """The one that is open here, for what neither waits nor fails there."""
    loop = trio_asyncio.current_loop.get()
    assert isinstance(loop, Loop)
    return loop


def this_turn() -> Turn:
    """Of the loop that is open here; one of its own when there is none, as in a simulation."""
    return turn_of(trio_asyncio.current_loop.get())


def turn_of(loop: asyncio.AbstractEventLoop | None) -> Turn:
    return loop.turn if isinstance(loop, Loop) else Turn()


def count_tasks() -> int:
    """All that live, of trio and of the asyncio loop that is open here."""
    loop = trio_asyncio.current_loop.get()
    return trio.lowlevel.current_statistics().tasks_living + len(asyncio.all_tasks(loop) if loop is not None else ())


def from_asyncio(fn: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
    """The other way: what asyncio may await, and trio runs."""
    wrapped: Callable[..., Awaitable[T]] = trio_asyncio.trio_as_aio(fn)
    return wrapped

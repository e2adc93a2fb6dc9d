"""The one place where trio meets asyncio.

asyncssh and aiodocker want an asyncio loop; everything else is trio. Both run in one thread: a callback of asyncio may
post to a trio mailbox directly, and a trio task awaits an asyncio coroutine through `aio` or `aio_settled`.
"""

import asyncio
import selectors
from asyncio import Handle
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import trio
import trio_asyncio  # type: ignore[import-untyped]

T = TypeVar("T")
LoopError = Callable[[Mapping[str, Any]], None]

TRIO_ASYNCIO_VERSION = "0.16.0"
TURNS_MAX = 8  # of descriptors, before trio's tasks have theirs
EVENTS = (selectors.EVENT_READ, selectors.EVENT_WRITE)


class Loop(trio_asyncio.TrioEventLoop):  # type: ignore[misc]
    """trio-asyncio's loop without a turn of trio for each callback, and without a task for each descriptor.

    It reaches into private parts, hence the version. Callbacks that are due run one after the other, as in asyncio;
    all descriptors are in one epoll of which trio watches the descriptor. Both at once: half the CPU of a transfer.
    """

    def __init__(self, queue_len: int | None = None) -> None:
        super().__init__(queue_len)
        self._selector = selectors.EpollSelector()

    async def _main_loop_init(self, nursery: trio.Nursery) -> None:
        await super()._main_loop_init(nursery)
        nursery.start_soon(self._watch)

    async def _main_loop_one(self, no_wait: bool = False) -> None:
        """One callback, and those that were due when it had run: what they call for is another turn's."""
        await super()._main_loop_one(no_wait)
        if not no_wait:
            with suppress(trio.WouldBlock):
                for _ in range(self._waiting()):
                    await super()._main_loop_one(no_wait=True)

    async def _watch(self) -> None:
        """Run what is called for by descriptors that are ready, then what that has called for."""
        while True:
            await trio.lowlevel.wait_readable(self._selector)
            for _ in range(TURNS_MAX):
                if self._waiting() or not self._run_ready():
                    break
            if self._waiting():
                await self.synchronize()

    def _run_ready(self) -> bool:
        """False: no descriptor is ready."""
        ready = self._selector.select(0)
        for key, mask in ready:
            for event, handle in zip(EVENTS, key.data, strict=True):
                if mask & event and handle is not None and not handle.cancelled():
                    handle._run()
        return bool(ready)

    def _waiting(self) -> int:
        return int(self._q_recv.statistics().current_buffer_used)

    def _add_io_handler(
        self, set_handle: Callable[..., Handle | None], wait: object, fd: int, call: Callable[..., None], args: Any
    ) -> Handle:
        self._check_closed()
        handle = Handle(call, args, self)
        if (old := set_handle(fd, handle)) is not None:
            old.cancel()
        return handle

    def _cancel_fds(self) -> None:
        """Nothing runs for a descriptor any more; the loop's `close` closes the epoll."""


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


def count_tasks() -> int:
    """All that live, of trio and of the asyncio loop that is open here."""
    loop = trio_asyncio.current_loop.get()
    return trio.lowlevel.current_statistics().tasks_living + len(asyncio.all_tasks(loop) if loop is not None else ())


def from_asyncio(fn: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
    """The other way: what asyncio may await, and trio runs."""
    wrapped: Callable[..., Awaitable[T]] = trio_asyncio.trio_as_aio(fn)
    return wrapped

"""The one place where trio meets asyncio.

asyncssh and aiodocker want an asyncio loop; everything else is trio. Both run in one thread: a callback of asyncio may
post to a trio mailbox directly, and a trio task awaits an asyncio coroutine through `aio` or `aio_settled`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import trio
import trio_asyncio  # type: ignore[import-untyped]

T = TypeVar("T")
LoopError = Callable[[Mapping[str, Any]], None]


@asynccontextmanager
async def open_loop(on_error: LoopError) -> AsyncIterator[None]:
    """An asyncio loop for everything inside.

    `on_error` gets asyncio's error context (keys `message`, `exception`…) of whatever nobody awaited. It is set before
    anything can run in the loop, because the default handler lets one such error end the whole program.
    """
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


def from_asyncio(fn: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
    """The other way: what asyncio may await, and trio runs."""
    wrapped: Callable[..., Awaitable[T]] = trio_asyncio.trio_as_aio(fn)
    return wrapped

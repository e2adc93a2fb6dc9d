"""trio and asyncio in one thread: answers, cancellation, and errors that nobody awaited."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
import trio

from actors.bridge import aio, aio_settled, open_loop

pytestmark = pytest.mark.trio


async def test_answers_and_errors_come_through() -> None:
    async def add(a: int, b: int) -> int:
        await asyncio.sleep(0)
        return a + b

    async def fail() -> None:
        raise ValueError("no")

    async with open_loop(print):
        assert await aio(add, 1, 2) == await aio_settled(add, 1, 2) == 3
        for call in (aio, aio_settled):
            with pytest.raises(ValueError, match="no"):
                await call(fail)


async def test_cancellation_goes_through() -> None:
    ended: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async with open_loop(print):
        with trio.move_on_after(0.01) as scope:
            await aio(wait)
    assert scope.cancelled_caught and ended == ["cancelled"]


async def test_settled_call_ends_first() -> None:
    async with open_loop(print):
        go_on: asyncio.Future[str] = await aio(_future)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def release() -> None:
                    scope.cancel()
                    with trio.CancelScope(shield=True):
                        await trio.lowlevel.checkpoint()
                        go_on.set_result("done")

                assert await aio_settled(_wait, go_on) == "done"
                await trio.lowlevel.checkpoint()
        assert scope.cancelled_caught
        with trio.CancelScope() as scope:
            scope.cancel()
            await aio_settled(_never)
        assert scope.cancelled_caught


async def _future() -> "asyncio.Future[str]":
    return asyncio.get_running_loop().create_future()


async def _wait(future: "asyncio.Future[str]") -> str:
    return await future


async def _never() -> None:
    raise AssertionError("a call that was cancelled before it began")


async def test_errors_that_nobody_awaits_are_told_and_survived() -> None:
    told: list[Mapping[str, Any]] = []

    async def leave_behind() -> None:
        async def boom() -> None:
            raise ValueError("task")

        def bang() -> None:
            raise ValueError("callback")

        asyncio.get_running_loop().call_soon(bang)
        task = asyncio.ensure_future(boom())
        await asyncio.wait([task])
        del task

    async with open_loop(told.append):
        await aio(leave_behind)
        await aio(asyncio.sleep, 0)
        assert await aio(asyncio.sleep, 0, "alive") == "alive"
    assert {str(context["exception"]) for context in told} == {"task", "callback"}

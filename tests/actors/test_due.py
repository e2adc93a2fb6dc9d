"""What has been called for is done before trio waits, timers are kept, and callbacks without an end leave room."""

import asyncio
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import trio

from actors.bridge import ROUNDS_MAX, aio, open_loop, this_loop

pytestmark = pytest.mark.trio


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    near.setblocking(False)
    with near, far:
        yield near, far


async def test_what_a_task_calls_for_runs_before_trio_waits() -> None:
    """And what waits for that goes on at once: no descriptor and no deadline has to wake anybody."""
    async with open_loop(print):
        loop = this_loop()
        called = trio.Event()
        with trio.fail_after(5):
            loop.call_soon(called.set)
            await called.wait()
            called = trio.Event()
            loop.call_soon_threadsafe(called.set)
            await called.wait()
            called = trio.Event()
            await trio.to_thread.run_sync(loop.call_soon_threadsafe, called.set)
            await called.wait()


async def test_a_deadline_that_a_callback_sets_is_kept() -> None:
    """trio has counted its time before; a scope that is opened later must not sleep through its end."""
    async with open_loop(print):
        loop = this_loop()
        scope = trio.CancelScope()
        with trio.fail_after(5):
            loop.call_soon(lambda: setattr(scope, "deadline", trio.current_time() + 0.02))
            with scope:
                await trio.sleep_forever()
        assert scope.cancelled_caught


async def test_callbacks_that_never_end_leave_everybody_their_turns() -> None:
    async with open_loop(print):
        loop = this_loop()
        count, reads = 0, 0
        goes_on = True

        def again() -> None:
            nonlocal count
            count += 1
            if goes_on:
                loop.call_soon(again)

        def read() -> None:
            nonlocal reads
            reads += len(near.recv(9))

        with pair() as (near, far), trio.fail_after(10):
            loop.add_reader(near, read)
            loop.call_soon(again)
            await trio.sleep(0.02)  # deadlines are kept
            far.send(b"x")
            while not reads:  # and descriptors are looked at
                await trio.lowlevel.checkpoint()
            loop.remove_reader(near)
        goes_on = False
        assert count > 10 * ROUNDS_MAX


async def test_timers_ring_in_their_order_and_cancelled_ones_do_not() -> None:
    async with open_loop(print):
        loop = this_loop()
        rung: list[int] = []
        timers = {number: loop.call_later(number / 100, rung.append, number) for number in (5, 1, 3, 2, 4)}
        timers[1].cancel()
        timers[3].cancel()
        with trio.fail_after(5):
            while len(rung) < 3:  # noqa: ASYNC110
                await trio.sleep(0.005)
        assert rung == [2, 4, 5]


async def test_a_timer_that_is_set_while_everybody_waits_for_a_later_one() -> None:
    async with open_loop(print):
        loop = this_loop()
        loop.call_later(60, print)
        await trio.sleep(0.01)
        rung = trio.Event()
        with pair() as (near, far), trio.fail_after(5):

            def read() -> None:
                near.recv(9)
                loop.call_later(0.01, rung.set)

            loop.add_reader(near, read)
            far.send(b"x")
            await rung.wait()
            loop.remove_reader(near)


async def test_an_error_of_a_callback_that_runs_before_trio_waits_ends_nothing() -> None:
    told: list[Mapping[str, Any]] = []
    async with open_loop(told.append):
        loop = this_loop()
        loop.call_soon(lambda: print(1 / 0))
        await trio.sleep(0.01)
        assert await aio(asyncio.sleep, 0, "alive") == "alive"
    assert [type(context["exception"]) for context in told] == [ZeroDivisionError]

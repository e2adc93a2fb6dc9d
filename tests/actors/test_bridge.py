"""trio and asyncio in one thread: answers, cancellation, and errors that nobody awaited."""

import asyncio
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import trio
import trio_asyncio

from actors.bridge import ROUNDS_MAX, TRIO_ASYNCIO_VERSION, Loop, aio, aio_settled, open_loop, this_turn
from actors.descriptors import TRIO_VERSION

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


@contextmanager
def pairs(count: int) -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    made = [socket.socketpair() for _ in range(count)]
    try:
        for pair in made:
            for end in pair:
                end.setblocking(False)
        yield made
    finally:
        for pair in made:
            for end in pair:
                end.close()


async def the_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


async def test_the_library_is_the_one_that_the_loop_is_written_for() -> None:
    assert trio_asyncio.__version__ == TRIO_ASYNCIO_VERSION
    assert trio.__version__ == TRIO_VERSION


async def test_callbacks_run_in_the_order_of_asyncio() -> None:
    """What a callback calls for comes behind what was called for before; tasks of trio have turns between some."""
    order: list[str] = []
    turns = 0
    rounds = 2 * ROUNDS_MAX

    async def count() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with open_loop(print), trio.open_nursery() as nursery:
        nursery.start_soon(count)
        loop = await aio(the_loop)
        assert isinstance(loop, Loop)
        ended: asyncio.Future[int] = loop.create_future()

        def first(left: int) -> None:
            order.append(f"first {left}")
            if left:
                loop.call_soon(first, left - 1)
            else:
                ended.set_result(turns)

        loop.call_soon(first, rounds)
        for name in ("second", "third"):
            loop.call_soon(order.append, name)
        loop.call_later(0, order.append, "timer")
        assert await aio(_wait, ended) > 1
        while "timer" not in order:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    order.remove("timer")
    assert order == [f"first {rounds}", "second", "third", *(f"first {left}" for left in reversed(range(rounds)))]


async def test_a_descriptor_that_is_always_ready_leaves_trio_its_turns() -> None:
    async with open_loop(print):
        loop, reads = await aio(the_loop), 0

        def read() -> None:
            nonlocal reads
            reads += 1

        with pairs(1) as [(near, far)]:
            far.send(b"x")  # never taken
            loop.add_reader(near, read)
            while reads < 100:
                await trio.lowlevel.checkpoint()
            assert loop.remove_reader(near)
            seen = reads
            await trio.sleep(0.01)
            assert reads == seen


async def test_what_has_been_removed_is_not_called_in_the_same_turn() -> None:
    calls: list[int] = []
    async with open_loop(print):
        loop = await aio(the_loop)
        with pairs(2) as made:

            def take(nth: int) -> None:
                calls.append(nth)
                for near, _ in made:
                    loop.remove_reader(near)

            for nth, (near, far) in enumerate(made):
                far.send(b"x")
                loop.add_reader(near, take, nth)
            while not calls:
                await trio.lowlevel.checkpoint()
            await trio.sleep(0.01)
    assert len(calls) == 1


async def test_readers_and_writers_of_one_descriptor() -> None:
    got: list[str] = []
    async with open_loop(print):
        loop = await aio(the_loop)
        with pairs(1) as [(near, far)]:
            loop.add_reader(near, lambda: got.append(near.recv(9).decode()))
            loop.add_writer(near, lambda: got.append("room") or loop.remove_writer(near))
            while got != ["room"]:
                await trio.lowlevel.checkpoint()
            far.send(b"word")
            while got != ["room", "word"]:
                await trio.lowlevel.checkpoint()
            loop.add_reader(near, lambda: got.append(near.recv(9).decode() + "!"))  # in the other's place
            far.send(b"word")
            while got != ["room", "word", "word!"]:
                await trio.lowlevel.checkpoint()
            loop.remove_reader(near)


async def test_an_error_of_a_reader_is_told_and_ends_nothing() -> None:
    told: list[str] = []
    async with open_loop(lambda context: told.append(repr(context.get("exception")))):
        loop = await aio(the_loop)
        with pairs(1) as [(near, far)]:

            def fail() -> None:
                near.recv(9)
                raise ValueError("no")

            loop.add_reader(near, fail)
            for _ in range(2):
                far.send(b"x")
                while far and not told:
                    await trio.lowlevel.checkpoint()
                assert told.pop() == "ValueError('no')"
            loop.remove_reader(near)


async def test_what_fails_at_the_end_of_a_turn_is_told_and_survived() -> None:
    told: list[Mapping[str, Any]] = []

    async def fail_later() -> None:
        this_turn().send_later(lambda: print(1 / 0))

    async with open_loop(told.append):
        await aio(fail_later)
        assert await aio(asyncio.sleep, 0, "alive") == "alive"
    assert [type(context["exception"]) for context in told] == [ZeroDivisionError]


async def test_what_trio_has_waited_for_may_be_watched_and_the_other_way_round() -> None:
    """trio leaves the descriptor in the epoll; asyncio would not be allowed to put it there."""
    got: list[bytes] = []
    async with open_loop(print):
        loop = await aio(the_loop)
        with pairs(1) as [(near, far)]:
            far.send(b"x")
            await trio.lowlevel.wait_readable(near)
            loop.add_reader(near, lambda: got.append(near.recv(9)))
            while got != [b"x"]:
                await trio.lowlevel.checkpoint()
            loop.remove_reader(near)
            far.send(b"y")
            await trio.lowlevel.wait_readable(near)
            assert near.recv(9) == b"y" and got == [b"x"]


async def test_a_descriptor_is_waited_for_by_one_side_only() -> None:
    """Either would take the other's registration away, and whoever lost it would wait for ever."""
    async with open_loop(print):
        loop = await aio(the_loop)
        with pairs(1) as [(near, far)]:
            loop.add_reader(near, lambda: near.recv(9))
            with pytest.raises(trio.BusyResourceError, match="asyncio"):
                await trio.lowlevel.wait_readable(near)
            loop.remove_reader(near)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.lowlevel.wait_readable, near)
                await trio.lowlevel.checkpoint()
                await trio.lowlevel.checkpoint()
                with pytest.raises(trio.BusyResourceError, match="a task of trio"):
                    loop.add_reader(near, print)
                far.send(b"x")


async def test_what_a_turn_ends_with_knows_the_loop() -> None:
    """A task that is begun there inherits the context."""
    said: list[str] = []
    done = trio.Event()
    async with open_loop(print), trio.open_nursery() as nursery:
        loop = await aio(the_loop)
        assert isinstance(loop, Loop)

        async def ask() -> None:
            said.append(await aio(asyncio.sleep, 0, "answer"))
            done.set()

        with pairs(1) as [(near, far)]:

            def read() -> None:
                near.recv(9)
                loop.turn.send_later(lambda: nursery.start_soon(ask))

            loop.add_reader(near, read)
            far.send(b"x")
            await done.wait()
            loop.remove_reader(near)
    assert said == ["answer"]


async def test_a_loop_that_has_ended_leaves_nothing_in_the_epoll() -> None:
    async with open_loop(print):
        with pairs(1) as [(near, far)]:
            async with open_loop(print):
                (await aio(the_loop)).add_reader(near, lambda: print("never"))
            far.send(b"x")
            await trio.lowlevel.wait_readable(near)

"""What a program that embeds Moorage may do: have trio as the guest of a loop of its own, and be ended with Ctrl-C."""

import asyncio
import queue
import signal
import socket
import threading
from collections.abc import Callable

import pytest
import trio
from outcome import Outcome

from actors.bridge import aio, aio_settled, open_loop, this_loop


def test_where_trio_is_a_guest_its_loop_works_too() -> None:
    """The host's loop waits in a thread, where nothing of ours may run."""
    todo: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
    ended: list[Outcome[list[str]]] = []
    threads: set[int] = set()

    async def main() -> list[str]:
        async with open_loop(print):
            loop = this_loop()
            said = [await aio(asyncio.sleep, 0.02, "timer"), await aio_settled(asyncio.sleep, 0, "soon")]
            near, far = socket.socketpair()
            with near, far:
                heard = trio.Event()

                def read() -> None:
                    threads.add(threading.get_ident())
                    near.recv(9)
                    loop.call_soon(heard.set)

                loop.add_reader(near, read)
                await trio.sleep(0.02)
                far.send(b"x")
                await heard.wait()
                loop.remove_reader(near)
            with trio.CancelScope() as scope:
                scope.deadline = trio.current_time() + 0.02
                await aio(asyncio.sleep, 60)
            return [*said, str(scope.cancelled_caught)]

    trio.lowlevel.start_guest_run(
        main, run_sync_soon_threadsafe=todo.put, done_callback=ended.append, host_uses_signal_set_wakeup_fd=True
    )
    while not ended:
        todo.get(timeout=5)()
    assert ended[0].unwrap() == ["timer", "soon", "True"]
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("when", ["before trio waits", "as trio wakes"])
def test_ctrl_c_while_something_of_ours_runs_is_the_main_tasks(when: str) -> None:
    ended: list[str] = []

    async def main() -> None:
        try:
            async with open_loop(print):
                await interrupted(when)
        finally:
            ended.append("in order")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(BaseExceptionGroup) as caught:
            trio.run(main)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended == ["in order"] and caught.value.split(KeyboardInterrupt)[1] is None


async def interrupted(when: str) -> None:
    loop = this_loop()
    near, far = socket.socketpair()
    with near, far:
        if when == "before trio waits":
            loop.call_soon(signal.raise_signal, signal.SIGINT)
        else:
            loop.add_reader(near, lambda: signal.raise_signal(signal.SIGINT) if near.recv(9) else None)
            far.send(b"x")
        try:
            await trio.sleep(5)
        finally:
            loop.remove_reader(near)

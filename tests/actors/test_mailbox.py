"""Where an actor's events wait."""

import pytest
import trio
import trio.testing

from actors.mailbox import Mailbox

pytestmark = pytest.mark.trio


async def test_what_is_put_is_taken_in_its_order_whoever_is_first() -> None:
    box, taken = Mailbox[int](), []

    async def read() -> None:
        for _ in range(4):
            taken.append(await box.take())

    box.put(1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        assert taken == [1] and len(box) == 0
        box.put(2)
        box.put(3)
        await trio.testing.wait_all_tasks_blocked()
        box.put(4)
    assert taken == [1, 2, 3, 4]


async def test_a_cancelled_reader_has_taken_none() -> None:
    box = Mailbox[int]()
    with trio.move_on_after(0) as scope:
        await box.take()
    assert scope.cancelled_caught
    box.put(1)
    with trio.CancelScope() as scope:
        scope.cancel()
        await box.take()
    assert scope.cancelled_caught and len(box) == 1
    assert await box.take() == 1


async def test_taking_lets_others_run() -> None:
    box, turns = Mailbox[int](), []

    async def other() -> None:
        turns.append(len(box))

    for number in range(3):
        box.put(number)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        while len(box):
            await box.take()
    assert turns[0] > 0


async def test_what_was_never_taken_can_be_had_at_once() -> None:
    box = Mailbox[int]()
    box.put(1)
    box.put(2)
    assert box.take_all() == [1, 2] and box.take_all() == []

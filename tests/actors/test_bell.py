"""One deadline that is moved: it rings at the earliest time asked for, once, and a clock that jumps knows of it."""

import pytest
import trio
import trio.testing

from actors.bell import Bell

pytestmark = pytest.mark.trio


class Rung:
    """When it rang."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.bell = Bell(lambda: self.at.append(trio.current_time()))
        self.began = trio.current_time()

    def by(self, seconds: float) -> None:
        self.bell.by(self.began + seconds)

    @property
    def after(self) -> list[float]:
        return [round(at - self.began, 3) for at in self.at]


async def test_it_rings_once_and_at_the_earliest(autojump_clock: trio.testing.MockClock) -> None:
    rung = Rung()
    for seconds in (30, 20, 25):
        rung.by(seconds)
    await trio.sleep(100)
    assert rung.after == [20]


async def test_it_may_be_asked_again_when_it_rings(autojump_clock: trio.testing.MockClock) -> None:
    rung = Rung()
    rung.by(10)
    await trio.sleep(10)
    rung.by(40)
    await trio.sleep(100)
    assert rung.after == [10, 40]


async def test_stopped_it_does_not_ring(autojump_clock: trio.testing.MockClock) -> None:
    rung = Rung()
    rung.by(10)
    rung.bell.stop()
    rung.bell.stop()
    await trio.sleep(100)
    assert rung.after == []
    rung.by(110)  # and may be used again
    await trio.sleep(100)
    assert rung.after == [110]


async def test_what_is_long_past_rings_at_once(autojump_clock: trio.testing.MockClock) -> None:
    rung = Rung()
    rung.by(-5)
    await trio.sleep(1)
    assert rung.after == [0]


async def test_trio_wakes_for_it_and_counts_it() -> None:
    """All tasks wait for something else; nothing is left in trio's books afterwards."""
    woken = trio.Event()
    bell = Bell(woken.set)
    before = trio.lowlevel.current_statistics().seconds_to_next_deadline
    bell.by(trio.current_time() + 0.05)
    assert trio.lowlevel.current_statistics().seconds_to_next_deadline <= 0.05
    await woken.wait()
    assert trio.lowlevel.current_statistics().seconds_to_next_deadline == before


async def test_many_moves_do_not_pile_up(autojump_clock: trio.testing.MockClock) -> None:
    """trio prunes what is stale, and must find the one that is not."""
    rung = Rung()
    for tenths in range(20_000, 100, -1):
        rung.by(tenths / 10)
    await trio.sleep(3000)
    assert rung.after == [10.1]

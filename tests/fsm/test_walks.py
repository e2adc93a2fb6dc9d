"""Seeded walks through every machine: what must hold on the way and at the end, and every row is gone."""

from collections import Counter

import pytest

from fsm.kernel import Moved
from tests.fsm.walks import ImageWorld, SignalWorld, SpareWorld, TerminalWorld, World, Wrong, walk
from tests.fsm.walks_auth import AuthWorld
from tests.fsm.walks_connection import ConnectionWorld
from tests.fsm.walks_container import ContainerWorld
from tests.fsm.walks_server import ServerWorld
from tests.fsm.walks_session import SessionWorld
from tests.fsm.walks_timer import TimerWorld

WALKS = {
    ServerWorld: 2000,
    ImageWorld: 600,
    TerminalWorld: 1200,
    SignalWorld: 300,
    ContainerWorld: 15000,
    SpareWorld: 200,
    ConnectionWorld: 3000,
    AuthWorld: 15000,
    SessionWorld: 14000,
    TimerWorld: 300,
}


@pytest.mark.parametrize("world", WALKS, ids=lambda world: world.kind.name)
def test_walks_end_and_every_row_is_gone(world: type[World]) -> None:
    rows: Counter[str] = Counter()
    for seed in range(WALKS[world]):
        rows.update(answer.row for _, answer in walk(world, seed).trace if isinstance(answer, Moved))
    assert set(world.kind.row) - set(rows) == set()


@pytest.mark.parametrize("world", WALKS, ids=lambda world: world.kind.name)
def test_same_seed_same_walk(world: type[World]) -> None:
    for seed in range(10):
        assert walk(world, seed).trace == walk(world, seed).trace


def test_another_seed_is_another_walk() -> None:
    assert len({str(walk(ContainerWorld, seed).trace) for seed in range(50)}) > 25


def test_what_is_wrong_names_its_seed() -> None:
    class Gloomy(SignalWorld):
        def at_end(self) -> None:
            self.expect(False, "it rains")

    with pytest.raises(Wrong, match=r"Gloomy seed 3: it rains\n  SignalOrdered"):
        walk(Gloomy, 3)

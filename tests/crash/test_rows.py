"""Killed after the rows of each machine, on the fake engine: the next start leaves nothing of it within 5 s.

Each run is killed at the first row that no run before was killed at, so that the rare ones have their turn.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping

import pytest

from actors.sweep import Sweeper
from fsm.kernel import Moved
from fsm.machines import KINDS
from moorage.testing.sometimes import rows, why_never
from protocol.connection import LandContainer
from protocol.container import AttachContainer, CreateContainer, StartContainer, WantImage
from protocol.image import PullImage
from protocol.session import AttachExec, CreateExec, OpenTerminal, OrderSignal, SpawnProgram
from protocol.spare import HandOver
from tests.crash.run import Crash, crash
from tests.fsm.grid import cases

SEEDS, RARE_MAX = 160, 3  # `make test`: rows that make something, but for the rarest
SEEDS_SLOW, SEEDS_RARE = 4000, 1500  # and all others, as far as whole runs get to them
KILLED_MIN = 0.8
# Orders and wishes by which something comes to be. All others ask, end or remove: a daemon that dies after one of their
# rows leaves no more than one that died just before, after a row that is here.
MAKES = frozenset(
    {LandContainer, WantImage, CreateContainer, AttachContainer, StartContainer, PullImage, HandOver}
    | {CreateExec, AttachExec, SpawnProgram, OpenTerminal, OrderSignal}
)
# Rows that make something and that no run gets to, with the reason why another one stands for them.
STANDS_FOR = {
    "SS0121": "asks for what SS0217 asks for, of a container that is there already; few runs get to it",
}


def makers() -> frozenset[str]:
    """The rows that make something, whatever the cell holds."""
    effects: Mapping[str, set[type]] = defaultdict(set)
    for kind in KINDS:
        for case in cases(kind):
            if isinstance(case.answer, Moved):
                effects[case.answer.row] |= {type(effect) for effect in case.answer.effects}
    return frozenset(row for row, asked in effects.items() if asked & MAKES)


def killed(seeds: Iterable[int], wanted: frozenset[str]) -> dict[str, Crash]:
    """By row. Raises what the first bad seed raises, with its number."""
    found: dict[str, Crash] = {}
    for seed in seeds:
        try:
            one = crash(seed, wanted - found.keys())
        except BaseException as error:
            error.add_note(f"seed {seed}, after {len(found)} rows")
            raise
        if one.row:
            found[one.row] = one
        if found.keys() == wanted:
            break
    return found


def test_after_each_row_that_makes_something() -> None:
    wanted = makers() - STANDS_FOR.keys()
    found = killed(range(SEEDS), wanted)
    assert len(found) >= len(wanted) - RARE_MAX, sorted(wanted - found.keys())
    assert sum(bool(one.left) for one in found.values()) > 5, "the crashes leave nothing to clear up"


@pytest.mark.slow
def test_after_every_row_that_makes_something() -> None:
    wanted = makers() - STANDS_FOR.keys()
    assert killed(range(SEEDS_RARE), wanted).keys() == wanted


@pytest.mark.slow
def test_after_each_row_that_a_run_gets_to() -> None:
    wanted = frozenset(row.id for row in rows() if not why_never(row))
    found = killed(range(SEEDS_SLOW), wanted)
    assert len(found) > KILLED_MIN * len(wanted), sorted(wanted - found.keys())
    note(found)


def note(found: Mapping[str, Crash]) -> None:
    """For the table in docs/reliability.md."""
    if path := os.environ.get("MOORAGE_TIMES"):
        left = sum(bool(one.left) for one in found.values())
        with open(path, "a") as out:
            most = max(one.seconds for one in found.values())
            out.write(f"{len(found)} of {len(list(rows()))} rows, {left} with something left, at most {most} s\n")


def test_what_stands_for_a_row() -> None:
    assert STANDS_FOR.keys() <= makers()
    never = {row.id for row in rows() if why_never(row)}
    assert not (never & makers()) - STANDS_FOR.keys()


def test_a_sweep_that_finds_nothing_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sweeper, "_is_orphan", lambda self, found, owned: False)
    with pytest.RaisesGroup(
        pytest.RaisesExc(AssertionError, match="left: "), flatten_subgroups=True, allow_unwrapped=True
    ):
        killed(range(20), frozenset({"CT0302", "CT0701"}))

"""The tables by themselves: how many steps a second they take, and what a machine holds in memory."""

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.results import Group
from fsm.kernel import Cell, Kind
from fsm.machines import KINDS, MACHINES, events, read_event
from protocol.base import Event
from protocol.ledger import read

SCENARIOS = Path(__file__).resolve().parent.parent / "scenarios"
CELLS = 10_000
STEPS_MIN = 200_000


def machines(bench: Bench) -> list[Group]:
    """Steps of recorded runs; nothing but the tables is timed."""
    runs = [_steps(path) for path in sorted(SCENARIOS.glob("*.jsonl"))]
    count = sum(map(len, runs))
    times = -(-STEPS_MIN // count)
    rates: list[float] = []
    for _ in range(bench.scale.rounds):
        seconds = 0.0
        for _ in range(times):
            seconds += sum(_fold(run) for run in runs)
        rates.append(times * count / seconds)
    sizes = {kind.name: [_cell_bytes(kind.cell)] for kind in KINDS}
    title = f"Steps of the machines, of {len(runs)} recorded scenarios with {count} steps"
    return [
        Group(key="steps", title=title, unit="/s", values={"all machines": rates}),
        Group(
            key="cells",
            title=f"Memory of a machine that has just begun, of {CELLS}",
            unit="bytes",
            values=sizes,
            note="Its cell; the table is there once for all of them.",
        ),
    ]


def _steps(path: Path) -> list[tuple[str, Kind, Event]]:
    known = events(KINDS)
    lines = read(path.read_bytes()).lines
    return [(f"{one.machine} {one.actor}", MACHINES[one.machine], read_event(one.event, known)) for one in lines]


def _fold(run: list[tuple[str, Kind, Event]]) -> float:
    """Seconds of the steps, through fresh cells."""
    cells: dict[str, Cell] = {name: kind.cell() for name, kind, _ in run}
    began = time.perf_counter()
    for name, kind, event in run:
        kind.step(cells[name], event)
    return time.perf_counter() - began


def _cell_bytes(make: Callable[[], Cell]) -> float:
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    cells = [make() for _ in range(CELLS)]
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / len(cells)

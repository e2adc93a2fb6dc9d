"""`moorage simulate`: many seeds on all processors, what they found, and what they never got to."""

import gc
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from enum import IntEnum
from multiprocessing import get_context
from pathlib import Path
from typing import TextIO

from msgspec import Struct, field

from moorage.testing.simulation import Report, simulate
from moorage.testing.sometimes import missing

SEEDS_AT_ONCE = 25
FAILURES_TOLD_MAX = 10
SEEDS_ENOUGH = 1000  # below this it is no news that something was not seen


class Exit(IntEnum):
    """Of several the first in the order crash, wrong, stuck."""

    FINE = 0
    CRASH = 3  # an error that nobody expected
    STUCK = 4  # something did not end in fair weather
    WRONG = 5  # something that must hold did not


ORDER = (("crash", Exit.CRASH), ("wrong", Exit.WRONG), ("stuck", Exit.STUCK))


class Totals(Struct):
    """Of some seeds. `failed` are the reports of those that were not in order."""

    seeds: int = 0
    steps: int = 0
    mailbox_most: int = 0
    marks: Counter[str] = field(default_factory=Counter)
    failed: list[Report] = field(default_factory=list)

    def add(self, other: "Totals") -> None:
        self.seeds += other.seeds
        self.steps += other.steps
        self.mailbox_most = max(self.mailbox_most, other.mailbox_most)
        self.marks.update(other.marks)
        self.failed += other.failed

    @property
    def exit(self) -> Exit:
        verdicts = {report.verdict for report in self.failed}
        return next((code for verdict, code in ORDER if verdict in verdicts), Exit.FINE)


def run_seeds(seeds: Sequence[int]) -> Totals:
    """One after the other, in this process. Looking for garbage while they run costs a tenth, and they leave little."""
    totals = Totals()
    gc.disable()
    try:
        for seed in seeds:
            report = simulate(seed)
            totals.add(Totals(1, report.steps, report.mailbox_most, Counter(report.marks)))
            if report.verdict != "fine":
                totals.failed.append(report)
    finally:
        gc.enable()
    gc.collect()
    return totals


def run_in_processes(seeds: range, jobs: int = 0) -> Totals:
    """All of them, on all processors."""
    totals = Totals()
    for part in _parts(seeds, jobs):
        totals.add(part)
    return totals


def simulate_command(first: int, last: int, jobs: int, record: str | None, out: TextIO) -> int:
    """`moorage simulate`: seeds `first` to `last` - 1. The recordings of a seed that fails go to RECORD/SEED."""
    started = time.monotonic()
    totals = Totals()
    for part in _parts(range(first, last), jobs):
        for report in part.failed:
            if len(totals.failed) < FAILURES_TOLD_MAX:
                _tell(report, record, out)
        totals.add(part)
    seconds = time.monotonic() - started
    out.write(f"{totals.seeds} seeds, {totals.steps} steps, {len(totals.failed)} failed, ")
    out.write(f"{totals.seeds / max(seconds, 0.001):.0f} seeds a second, mailboxes up to {totals.mailbox_most}\n")
    if totals.seeds >= SEEDS_ENOUGH and (never := missing(totals.marks)):
        out.write(f"never seen: {', '.join(never)}\n")
    return int(totals.exit)


def _parts(seeds: range, jobs: int) -> Iterator[Totals]:
    """In the order of the seeds."""
    chunks = [seeds[at : at + SEEDS_AT_ONCE] for at in range(0, len(seeds), SEEDS_AT_ONCE)]
    jobs = min(jobs or os.cpu_count() or 1, len(chunks))
    if jobs <= 1:
        yield from map(run_seeds, chunks)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(run_seeds, chunks)


def _tell(report: Report, record: str | None, out: TextIO) -> None:
    out.write(f"seed {report.seed}: {report.verdict}: {report.text}\n")
    out.write(f"  again: moorage simulate --seeds {report.seed}:{report.seed + 1} --record DIR\n")
    if record is not None:
        folder = Path(record) / str(report.seed)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        simulate(report.seed, folder)
        out.write(f"  recorded in {folder}\n")

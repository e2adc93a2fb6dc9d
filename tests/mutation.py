"""Damaged tables, and which tests notice: `python -m tests.mutation [--share 0.1] [--jobs N]`.

Each mutant has one row deleted, sent to another state, without what it does, without its guard, or without its code.
What nobody notices could be changed by mistake and land.
"""

import argparse
import os
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from fsm.kernel import Kind, Moved
from fsm.machines import MACHINES
from moorage.codes import entries, markdown
from tests.fsm import graph
from tests.fsm.grid import GOLDEN, remade, written
from tests.fsm.test_walks import WALKS
from tests.fsm.walks import walk

PAGE = Path(__file__).parents[1] / "docs" / "codes.md"
WORLDS = {world.kind.name: (world, seeds) for world, seeds in WALKS.items()}
CHECKS = ("tables", "walks", "codes page", "golden grid")  # in this order; the first that notices counts
NOBODY = "nobody"


class Mutant(NamedTuple):
    """One damage to one row. `to` is the state's name, for `retarget`; empty: it stays."""

    kind: str
    row: str
    damage: str
    to: str = ""

    def __str__(self) -> str:
        return f"{self.row} {self.damage} {self.to}".strip()

    def made(self) -> Kind:
        """The damaged machine. Raises AssertionError if it cannot even be built."""
        kind = MACHINES[self.kind]
        rows = list(kind.rows)
        at = next(number for number, row in enumerate(rows) if row.id == self.row)
        match self.damage:
            case "delete":
                del rows[at]
            case "retarget":
                rows[at] = replace(rows[at], to=kind.states[self.to] if self.to else None)
            case "do nothing":
                rows[at] = replace(rows[at], do=None)
            case "no guard":
                rows[at] = replace(rows[at], when=None)
            case "say nothing":
                rows[at] = replace(rows[at], says=())
        return remade(kind, rows)


def mutants() -> Iterator[Mutant]:
    """All of them, but those that are the same machine in other words."""
    for name, kind in MACHINES.items():
        for row in kind.rows:
            yield Mutant(name, row.id, "delete")
            at = (row.to or row.state).name
            for state in kind.states:
                if state.name != at:
                    yield Mutant(name, row.id, "retarget", "" if state is row.state else state.name)
            if row.do is not None:
                yield Mutant(name, row.id, "do nothing")
            if row.when is not None:
                yield Mutant(name, row.id, "no guard")
            if row.says:
                yield Mutant(name, row.id, "say nothing")


def noticed_by(mutant: Mutant) -> str:
    """The first check that fails with this machine, or `NOBODY`."""
    try:
        kind = mutant.made()
    except AssertionError:
        return "tables"
    for check, fails in zip(CHECKS, (_tables_fail, _walks_fail, _page_fails, _grid_fails), strict=True):
        if fails(kind):
            return check
    return NOBODY


def _tables_fail(kind: Kind) -> bool:
    """A gap in the numbers is no damage by itself: it would be listed as retired."""
    try:
        return any(list(check(kind)) for name, check in graph.CHECKS.items() if name != "ids")
    except Exception:
        return True


def _walks_fail(kind: Kind) -> bool:
    """What must hold on the way does not, or a row that is there is never gone."""
    world, seeds = WORLDS[kind.name]
    rows: set[str] = set()
    for seed in range(seeds):
        try:
            rows.update(answer.row for _, answer in walk(world, seed, kind).trace if isinstance(answer, Moved))
        except Exception:
            return True
    return set(kind.row) != rows


def _page_fails(kind: Kind) -> bool:
    return markdown(entries({**MACHINES, kind.name: kind})) != PAGE.read_text()


def _grid_fails(kind: Kind) -> bool:
    try:
        return written(kind) != (GOLDEN / f"{kind.name}.txt").read_text()
    except Exception:
        return True


def run(share: float = 1.0, jobs: int = 0, seed: int = 0) -> dict[Mutant, str]:
    """Who noticed each of this share of all mutants, drawn by `seed`."""
    dice = random.Random(seed)
    chosen = [mutant for mutant in mutants() if dice.random() < share]
    with ProcessPoolExecutor(jobs or os.cpu_count(), mp_context=get_context("spawn")) as pool:
        return dict(zip(chosen, pool.map(noticed_by, chosen, chunksize=10), strict=True))


def noticed(found: dict[Mutant, str], *without: str) -> float:
    """Which share was noticed, by other checks than these."""
    return sum(check not in (NOBODY, *without) for check in found.values()) / len(found)


def main() -> None:
    """Print the figures and the mutants that nobody noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--list", action="store_true", help="also those that the golden files alone notice")
    options = parser.parse_args()
    found = run(options.share, options.jobs)
    for damage in sorted({mutant.damage for mutant in found}):
        of_it = Counter(check for mutant, check in found.items() if mutant.damage == damage)
        print(f"{damage:<12} {sum(of_it.values()):>5}  {dict(of_it)}")
    print(f"{len(found)} mutants, noticed: {noticed(found):.1%}; without the golden grid "
          f"{noticed(found, 'golden grid'):.1%}; by tables and walks alone "
          f"{noticed(found, 'golden grid', 'codes page'):.1%}")  # fmt: skip
    shown = (NOBODY, *(("golden grid",) if options.list else ()))
    for mutant, check in found.items():
        if check in shown:
            print(f"  {check}: {mutant}")


if __name__ == "__main__":
    main()

"""That damaged tables are noticed, and that the count of it is honest."""

from collections import Counter

import pytest

from fsm.machines import MACHINES
from tests.mutation import NOBODY, Mutant, mutants, noticed, noticed_by, run

WANTED = 0.93  # without the golden grid, which has to notice the rest
SHARE = 0.08


def test_mutants_differ_from_the_machine_and_from_each_other() -> None:
    found = list(mutants())
    assert len(set(found)) == len(found)
    assert {mutant.kind for mutant in found} == set(MACHINES)
    rows = Counter(mutant.damage for mutant in found)
    assert rows["delete"] == sum(len(kind.rows) for kind in MACHINES.values())


@pytest.mark.parametrize(
    ("mutant", "check"),
    [
        (Mutant("container", "CT0902", "retarget", "REMOVED"), "walks"),
        (Mutant("container", "CT0402", "delete"), "tables"),
        (Mutant("container", "CT0303", "no guard"), "tables"),
        (Mutant("session", "SS0207", "say nothing"), NOBODY),  # it says nothing as it is
        (Mutant("session", "SS0204", "say nothing"), "codes page"),
        (Mutant("terminal", "TM0102", "retarget", "RESIZING_AGAIN"), "golden grid"),
    ],
)
def test_who_notices(mutant: Mutant, check: str) -> None:
    assert noticed_by(mutant) == check


@pytest.mark.slow
def test_nearly_all_are_noticed_without_the_golden_grid() -> None:
    found = run(SHARE)
    missed = [str(mutant) for mutant, check in found.items() if check in (NOBODY, "golden grid")]
    assert noticed(found, "golden grid") >= WANTED, missed
    assert not [str(mutant) for mutant, check in found.items() if check == NOBODY]

"""Every state with every event, against the golden files: a change of a table is a change of a text to be read."""

import difflib
import os

import pytest

from fsm.kernel import Kind, Moved
from fsm.machines import KINDS
from tests.fsm.grid import GOLDEN, cases, guard_values, written

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@each_kind
def test_answers_are_those_of_the_golden_file(kind: Kind) -> None:
    path, text = GOLDEN / f"{kind.name}.txt", written(kind)
    if "MOORAGE_UPDATE" in os.environ:
        path.write_text(text)
    golden = path.read_text().splitlines()
    difference = "\n".join(difflib.unified_diff(golden, text.splitlines(), path.name, "today", lineterm="", n=3))
    assert not difference, f"{difference}\nif that is meant: run once with MOORAGE_UPDATE=1 and review the change"


@each_kind
def test_every_row_is_in_the_grid(kind: Kind) -> None:
    fired = {case.answer.row for case in cases(kind) if isinstance(case.answer, Moved)}
    assert set(kind.row) - fired == set()


@each_kind
def test_every_guard_is_seen_to_hold_and_not_to_hold(kind: Kind) -> None:
    wanted = {(row.id, value) for row in kind.rows if row.when is not None for value in (True, False)}
    assert wanted - guard_values(kind) == set()


@each_kind
def test_a_refusal_leaves_the_cell_as_it_was(kind: Kind) -> None:
    for case in cases(kind):
        if case.answer is not None and not isinstance(case.answer, Moved):
            assert case.before == case.after

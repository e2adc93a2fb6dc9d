"""The kernel: how a row is found, what an answer holds, and how deadlines are armed, kept, used up and lapsed."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import pytest

from fsm.kernel import Cell, Effects, Kind, Moved, Refused, Row, RowTransition, Stale
from protocol.base import ArmDeadline, DeadlinePassed, Effect, Event


class Berth(Enum):
    IDLE = auto()
    PULLING = auto()
    STARTING = auto()
    RUNNING = auto()
    GONE = auto()


S = Berth


class Go(Event, frozen=True, kw_only=True, tag="go"):
    fast: bool = False


class Back(Event, frozen=True, kw_only=True, tag="back"): ...


class Unknown(Event, frozen=True, kw_only=True, tag="unknown"): ...


class Hoist(Effect, frozen=True, kw_only=True, tag="hoist"):
    what: str


def is_fast(cell: Cell, event: Go) -> bool:
    return event.fast


def hoist(cell: Cell, event: Event) -> Effects:
    return Hoist(what="sail"), Hoist(what="flag")


def note_seconds(cell: Cell, event: Event) -> Effects:
    cell.seconds = {"pull": 3.0, "start": 9.0}
    return ()


class BerthCell(Cell):
    state: str = S.IDLE.name


ROWS = (
    Row("BE0101", S.IDLE, Go, S.RUNNING, hoist, is_fast),
    Row("BE0102", S.IDLE, Go, S.PULLING, hoist),
    Row("BE0201", S.PULLING, Go, S.STARTING),
    Row("BE0202", S.PULLING, Back, None, hoist),
    Row("BE0203", S.PULLING, DeadlinePassed, S.IDLE, deadline="pull"),
    Row("BE0204", S.PULLING, DeadlinePassed, None, deadline="start"),
    Row("BE0301", S.STARTING, Go, S.RUNNING),
    Row("BE0302", S.STARTING, Back, S.PULLING),
    Row("BE0303", S.STARTING, DeadlinePassed, S.GONE, deadline="start"),
    Row("BE0401", S.RUNNING, Back, S.RUNNING, hoist),
)
SPANS = {"pull": (S.PULLING,), "start": (S.PULLING, S.STARTING), "watch": (S.RUNNING,)}


def kind(rows: tuple[Row, ...] = ROWS) -> Kind:
    return Kind("berth", S, S.IDLE, rows, SPANS, final=(S.GONE,), cell=BerthCell)


KIND = kind()


@dataclass
class Run:
    cell: Cell

    def __call__(self, event: Event) -> Any:
        return KIND.step(self.cell, event)


@pytest.fixture
def run() -> Run:
    """A machine whose first event has told the seconds of two of the three deadlines."""
    return Run(BerthCell(seconds={"pull": 3.0, "start": 9.0}))


def arms(answer: Moved) -> dict[str, tuple[int, float]]:
    return {effect.name: (effect.arm, effect.seconds) for effect in answer.effects if isinstance(effect, ArmDeadline)}


def test_the_answer_names_row_way_and_effects_in_their_order(run: Run) -> None:
    answer = run(Go())
    assert (answer.row, answer.source, answer.target) == ("BE0102", "IDLE", "PULLING")
    assert answer.effects[:2] == (Hoist(what="sail"), Hoist(what="flag"))


def test_the_first_row_whose_guard_holds_wins(run: Run) -> None:
    assert run(Go(fast=True)).row == "BE0101"
    assert run.cell.state == "RUNNING"


def test_staying_arms_nothing_and_keeps_the_state(run: Run) -> None:
    run(Go())
    before = dict(run.cell.armed)
    assert run(Back()) == Moved("BE0202", "PULLING", "PULLING", (Hoist(what="sail"), Hoist(what="flag")))
    assert run.cell.armed == before


def test_a_row_to_its_own_state_is_a_stay(run: Run) -> None:
    run(Go(fast=True))
    assert run(Back()) == Moved("BE0401", "RUNNING", "RUNNING", (Hoist(what="sail"), Hoist(what="flag")))


def test_an_event_without_a_row_is_refused_and_changes_nothing(run: Run) -> None:
    assert run(Back()) == Refused("IDLE", "Back")  # the machine knows it, this state does not
    assert run(Unknown()) == Refused("IDLE", "Unknown")  # nobody knows it
    assert run.cell.state == "IDLE" and run.cell.arms == 0


def test_a_deadline_is_armed_on_entering_its_span_kept_inside_and_lapsed_on_leaving(run: Run) -> None:
    assert arms(run(Go())) == {"pull": (1, 3.0), "start": (2, 9.0)}
    assert arms(run(Go())) == {}
    assert run.cell.armed == {"start": 2}
    run(Go())
    assert run.cell.armed == {}


def test_the_seconds_are_the_cells_and_what_has_none_is_not_armed(run: Run) -> None:
    run.cell.seconds = {"start": 0.25}
    assert arms(run(Go())) == {"start": (1, 0.25)}
    assert arms(run(Go(fast=True))) == {}
    assert arms(run(Go())) == {}  # RUNNING spans `watch`, of which no seconds are known
    assert run.cell.armed == {}


def test_a_maker_may_tell_the_seconds_before_they_are_needed() -> None:
    rows = (Row("BE0101", S.IDLE, Go, S.PULLING, note_seconds), *ROWS[2:])
    assert arms(kind(rows).step(BerthCell(), Go())) == {"pull": (1, 3.0), "start": (2, 9.0)}  # type: ignore[arg-type]


def test_entering_a_span_anew_arms_anew_under_a_new_number(run: Run) -> None:
    run(Go())
    run(Go())
    assert arms(run(Back())) == {"pull": (3, 3.0)}
    assert run(DeadlinePassed(name="pull", arm=1)) == Stale("PULLING")
    assert run.cell.armed == {"start": 2, "pull": 3}
    assert run(DeadlinePassed(name="pull", arm=3)).row == "BE0203"


def test_a_late_deadline_is_stale_wherever_the_machine_is(run: Run) -> None:
    run(Go())
    run(Go())
    assert run(DeadlinePassed(name="pull", arm=1)) == Stale("STARTING")
    assert run(DeadlinePassed(name="never heard of", arm=1)) == Stale("STARTING")
    assert run.cell.state == "STARTING"


def test_a_deadlines_row_is_found_by_its_name(run: Run) -> None:
    run(Go())
    assert run(DeadlinePassed(name="start", arm=2)).row == "BE0204"
    assert run.cell.state == "PULLING"


def test_a_deadline_is_used_up_when_it_has_passed(run: Run) -> None:
    run(Go())
    run(DeadlinePassed(name="start", arm=2))
    assert run(DeadlinePassed(name="start", arm=2)) == Stale("PULLING")
    run(Go())
    assert run.cell.armed == {}, "inside the span it is not armed a second time"


def test_a_deadline_that_fits_and_has_no_row_is_refused_and_stays_armed() -> None:
    no_row = kind(tuple(row for row in ROWS if row.id != "BE0303"))
    cell = BerthCell(state="STARTING", seconds={"start": 9.0}, armed={"start": 7}, arms=7)
    assert no_row.step(cell, DeadlinePassed(name="start", arm=7)) == Refused("STARTING", "DeadlinePassed")
    assert cell.armed == {"start": 7}


def test_cells_share_nothing() -> None:
    one, other = BerthCell(seconds={"pull": 1.0}), BerthCell()
    KIND.step(one, Go())
    assert other.armed == {} and other.seconds == {} and other.state == "IDLE"


def test_a_row_id_is_used_once() -> None:
    with pytest.raises(AssertionError, match="twice"):
        kind((*ROWS, Row("BE0102", S.RUNNING, Go, S.GONE)))


def test_the_librarys_callbacks_are_refused() -> None:
    row = ROWS[0]
    assert RowTransition("IDLE", "RUNNING", None, None, row=row).row is row
    with pytest.raises(AssertionError, match="no callbacks"):
        RowTransition("IDLE", "RUNNING", [print], row=row)
    with pytest.raises(AssertionError, match="no callbacks"):
        RowTransition("IDLE", "RUNNING", before=[print], row=row)


def test_a_guard_that_fails_passes_to_the_next_row_or_to_a_refusal() -> None:
    guarded = kind(ROWS[:1])
    assert guarded.step(BerthCell(), Go(fast=False)) == Refused("IDLE", "Go")
    assert guarded.step(BerthCell(), Go(fast=True)).row == "BE0101"  # type: ignore[union-attr]

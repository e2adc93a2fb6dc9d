"""Rows in, one shared machine per kind out. With diagram.py the only module that imports `transitions`.

A machine is a table of `Row`s. The library holds the table and answers what may fire where; its callbacks, model
registration, timeouts and queues are not used (docs/decisions.md says why). The step is ours: pure but for the cell.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, cast

from msgspec import Struct
from transitions import Event as LibraryEvent
from transitions import Machine as LibraryMachine
from transitions import Transition as LibraryTransition

from protocol.base import ArmDeadline, DeadlinePassed, Effect, Event
from protocol.codes import Code

Effects = tuple[Effect, ...]
Guard = Callable[[Any, Any], bool]
Maker = Callable[[Any, Any], Effects]


class Cell(Struct, eq=False):
    """All that one running machine remembers. Each kind subclasses it."""

    state: str
    arms: int = 0  # counts armings, so that a late deadline is known for one
    armed: dict[str, int] = {}  # deadline name -> its arming; msgspec copies the default
    seconds: dict[str, float] = {}  # deadline name -> how long, as the first event told; absent: not armed


class Row(Struct, frozen=True):
    """In `state`, on `event`, if `when` holds: go `to` (None: stay), `do`, and log what it `says`."""

    id: str
    state: Enum
    event: type[Event]
    to: Enum | None
    do: Maker | None = None
    when: Guard | None = None
    says: tuple[Code, ...] = ()
    deadline: str = ""  # on DeadlinePassed: which one


class Moved(Struct, frozen=True, tag="moved"):
    """A row fired: the machine moved, or stayed on purpose."""

    row: str
    source: str
    target: str
    effects: Effects = ()


class Stale(Struct, frozen=True, tag="stale"):
    """A deadline whose states have been left already."""

    source: str


class Refused(Struct, frozen=True, tag="refused"):
    """No row for this event here. The actor decides what a refusal means."""

    source: str
    event: str


Answer = Moved | Stale | Refused


class RowTransition(LibraryTransition):
    """The library's transition, carrying its row and refusing callbacks."""

    def __init__(self, source: str, dest: str | None, *plumbing: Any, row: Row, **more: Any) -> None:
        assert not any(plumbing) and not any(more.values()), "a row has a guard and a maker, no callbacks"
        super().__init__(source, dest)  # type: ignore[arg-type]
        self.row = row


class RowEvent(LibraryEvent):
    """The library's event, answering with the row that fits instead of firing callbacks."""

    def pick(self, cell: Cell, event: Event) -> Row | None:
        """The first row whose deadline name and guard fit, or None."""
        for transition in self.transitions.get(cell.state, ()):
            row: Row = transition.row  # type: ignore[attr-defined]
            if row.deadline and row.deadline != getattr(event, "name", ""):
                continue
            if row.when is None or row.when(cell, event):
                return row
        return None


class RowMachine(LibraryMachine):
    """The library's machine at its two seams."""

    transition_cls = RowTransition
    event_cls = RowEvent


class Kind:
    """One kind of machine: its rows, its deadlines, and how it takes a step.

    `deadlines` maps a name to the states it spans: armed when the span is entered, lapsed when it is left.
    `cell` makes a fresh cell. `final` states end the actor.
    """

    def __init__(
        self,
        name: str,
        states: type[Enum],
        initial: Enum,
        rows: Iterable[Row],
        deadlines: Mapping[str, Iterable[Enum]],
        final: Iterable[Enum],
        cell: Callable[[], Cell],
    ) -> None:
        self.name, self.states, self.initial, self.cell = name, states, initial, cell
        self.rows, self.final = tuple(rows), frozenset(state.name for state in final)
        self.deadlines = {name: frozenset(state.name for state in span) for name, span in deadlines.items()}
        self.row = {row.id: row for row in self.rows}
        assert len(self.row) == len(self.rows), f"{name}: a row id is used twice"
        self.machine = RowMachine(model=None, states=states, initial=initial, auto_transitions=False)
        for row in self.rows:
            self.machine.add_transition(row.event.__name__, row.state, row.to, row=row)
        self._events: dict[type[Event], RowEvent] = {
            row.event: cast(RowEvent, self.machine.events[row.event.__name__]) for row in self.rows
        }

    def step(self, cell: Cell, event: Event) -> Answer:
        """Take one event. Pure but for the cell: no clock, no I/O, no logging."""
        source = cell.state
        if type(event) is DeadlinePassed and cell.armed.get(event.name) != event.arm:
            return Stale(source)
        library_event = self._events.get(type(event))
        row = None if library_event is None else library_event.pick(cell, event)
        if row is None:
            return Refused(source, type(event).__name__)
        if type(event) is DeadlinePassed:
            del cell.armed[event.name]  # used up; entering its span anew arms it anew
        effects = () if row.do is None else row.do(cell, event)
        if row.to is not None and row.to.name != source:
            cell.state = row.to.name
            effects = (*effects, *self._rearm(cell, source))
        return Moved(row.id, source, cell.state, effects)

    def _rearm(self, cell: Cell, source: str) -> Iterable[Effect]:
        """A deadline spans one state or several: armed on entering its span, lapsed on leaving it."""
        for name, span in self.deadlines.items():
            if source in span and cell.state not in span:
                cell.armed.pop(name, None)
            elif cell.state in span and source not in span and name in cell.seconds:
                cell.arms += 1
                cell.armed[name] = cell.arms
                yield ArmDeadline(name=name, arm=cell.arms, seconds=cell.seconds[name])

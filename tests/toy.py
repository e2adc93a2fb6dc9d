"""A machine small enough to read at a glance, and a way to record it: the tests of ledger, replay and pictures use it.

A door: somebody knocks, it opens or jams, a jammed one is tried once more, and it does not stay open for ever.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from actors.recorder import Ledger, Recorder
from fsm.fingerprint import fingerprints
from fsm.kernel import Cell, Effects, Kind, Row
from protocol.base import DeadlinePassed, Effect, Event, Fault
from protocol.codes import Code
from protocol.ledger import Header

CREAKED = Code("MOORAGE_TOY_CREAKED", "notice", "the door creaked", "Oil it.", "the door creaked: {why}")
SLAMMED = Code("MOORAGE_TOY_SLAMMED", "info", "the door fell shut", "It was open too long.")
NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


class DoorState(Enum):
    SHUT = "shut"
    OPENING = "opening"
    OPEN = "open"
    GONE = "gone"


S = DoorState


class Knocked(Event, frozen=True, kw_only=True, tag="toy_knocked"):
    who: str
    seconds: dict[str, float]


class Opened(Event, frozen=True, kw_only=True, tag="toy_opened"): ...


class Jammed(Fault, frozen=True, kw_only=True, tag="toy_jammed"): ...


class Whistled(Event, frozen=True, kw_only=True, tag="toy_whistled"):
    """No row knows it."""

    tune: str = "la"


class Push(Effect, frozen=True, kw_only=True, tag="toy_push"):
    who: str
    strength: int


class DoorCell(Cell):
    state: str = S.SHUT.name
    who: str = ""
    tries: int = 0


TRIES_MAX = 2


def may_push_again(cell: DoorCell, event: Event) -> bool:
    return cell.tries < TRIES_MAX


def push(cell: DoorCell, event: Event) -> Effects:
    if isinstance(event, Knocked):
        cell.who, cell.seconds = event.who, dict(event.seconds)
    return (_push(cell),)


def _push(cell: DoorCell) -> Push:
    cell.tries += 1
    return Push(who=cell.who, strength=cell.tries)


ROWS = (
    Row("DR0101", S.SHUT, Knocked, S.OPENING, push),
    Row("DR0201", S.OPENING, Opened, S.OPEN),
    Row("DR0202", S.OPENING, Jammed, None, push, may_push_again, (CREAKED.quiet(),)),
    Row("DR0203", S.OPENING, Jammed, S.GONE, None, None, (CREAKED,)),
    Row("DR0301", S.OPEN, Knocked, None),
    Row("DR0302", S.OPEN, DeadlinePassed, S.GONE, None, None, (SLAMMED,), "open"),
)


def door(rows: Sequence[Row] = ROWS, deadlines: dict[str, tuple[DoorState, ...]] | None = None) -> Kind:
    """The machine, or a version of it with other rows or deadlines."""
    return Kind("door", S, S.SHUT, rows, deadlines or {"open": (S.OPEN,)}, final=(S.GONE,), cell=DoorCell)


DOOR = door()
DOORS = {"door": DOOR}
KNOCK = Knocked(who="ann", seconds={"open": 2.5})
LIFE: tuple[Event, ...] = (
    KNOCK,
    Jammed(fault="internal", why="rust", dice=0.25),
    Whistled(),
    Opened(),
    DeadlinePassed(name="open", arm=7),
    DeadlinePassed(name="open", arm=1),
)


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def recorder(directory: Path | None, clock: Clock, warnings: list[str] | None = None) -> Recorder:
    header = Header(moorage="0.0.9", fingerprint=fingerprints(DOORS), settings={"mode": "door"})
    told = warnings if warnings is not None else []
    return Recorder(directory, clock, header, told.append, lambda: NOON)


def live(ledger: Ledger, actor: str, events: Iterable[Event], clock: Clock, kind: Kind = DOOR) -> None:
    """Let an actor live through these events, a quarter of a second apart, noting each step."""
    cell = kind.cell()
    for event in events:
        ledger.write(actor, kind.name, event, kind.step(cell, event))
        clock.now += 0.25


def record(directory: Path, events: Iterable[Event] = LIFE) -> Path:
    """A scenario of one door."""
    clock = Clock()
    made = recorder(directory, clock).open("c0ffee")
    made.enlist("door-1")
    live(made, "door-1", events, clock)
    made.leave("door-1")
    (path,) = directory.glob("*.jsonl")
    return path

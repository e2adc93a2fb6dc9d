"""The size of one session's terminal, on its way to the program: one call at a time, and the newest size wins."""

from fsm.kernel import Effects, Kind, Row
from fsm.retry import BACKOFF, RetryCell, back_off, may_try_again
from protocol import codes
from protocol.base import DeadlinePassed, Event, Size
from protocol.terminal import (
    Resize,
    Resized,
    ResizeFailed,
    SizeWanted,
    Target,
    TerminalClosed,
    TerminalOpened,
)
from protocol.terminal import TerminalState as S

WINDOW = "window"  # docker.timeouts.window


class TerminalCell(RetryCell):
    """`wanted` is the newest size asked for, `sent` the one last given to the engine."""

    state: str = S.UNOPENED.name
    target: Target = "exec"
    id: str = ""
    wanted: Size | None = None
    sent: Size | None = None


def size_is_owed(cell: TerminalCell, event: TerminalOpened) -> bool:
    return event.size is not None


def newer_size_waits(cell: TerminalCell, event: Resized) -> bool:
    return cell.wanted != cell.sent


def program_is_not_ready(cell: TerminalCell, event: ResizeFailed) -> bool:
    """Engines before API 1.42 answer 409 or 500 while a program is still being started; so here a conflict passes."""
    return event.fault == "conflict" or may_try_again(cell, event)


def resize(cell: TerminalCell, event: Event) -> Effects:
    _note(cell, event)
    cell.sent = cell.wanted
    assert cell.sent is not None
    return (Resize(target=cell.target, id=cell.id, size=cell.sent),)


def note(cell: TerminalCell, event: Event) -> Effects:
    _note(cell, event)
    return ()


def _note(cell: TerminalCell, event: Event) -> None:
    match event:
        case TerminalOpened():
            cell.target, cell.id, cell.wanted = event.target, event.id, event.size
            cell.seconds = dict(event.seconds)
        case SizeWanted():
            cell.wanted = event.size
    if not isinstance(event, DeadlinePassed):
        cell.tries = 0


DEADLINES = {WINDOW: (S.RESIZING, S.RESIZING_AGAIN), BACKOFF: (S.RESIZING_AGAIN,)}

RESIZE, FAILED = codes.DOCKER_EXEC_RESIZE, codes.DOCKER_EXEC_RESIZE_FAILED

# fmt: off
ROWS = (
    #   id        in state          on              to                do        when                  says
    Row("TM0101", S.UNOPENED,       TerminalOpened, S.RESIZING,       resize,   size_is_owed,         (RESIZE,)),
    Row("TM0102", S.UNOPENED,       TerminalOpened, S.IDLE,           note),

    Row("TM0201", S.IDLE,           SizeWanted,     S.RESIZING,       resize,   None,                 (RESIZE,)),
    Row("TM0202", S.IDLE,           TerminalClosed, S.CLOSED),
    Row("TM0203", S.IDLE,           Resized,        None),  # answered after its deadline
    Row("TM0204", S.IDLE,           ResizeFailed,   None),

    Row("TM0301", S.RESIZING,       Resized,        None,             resize,   newer_size_waits,     (RESIZE,)),
    Row("TM0302", S.RESIZING,       Resized,        S.IDLE),
    Row("TM0303", S.RESIZING,       SizeWanted,     None,             note),
    Row("TM0304", S.RESIZING,       ResizeFailed,   S.RESIZING_AGAIN, back_off, program_is_not_ready, (FAILED.quiet(),)),
    Row("TM0305", S.RESIZING,       ResizeFailed,   S.IDLE,           None,     None,                 (FAILED,)),
    Row("TM0306", S.RESIZING,       DeadlinePassed, S.IDLE,           None,     None,                 (FAILED,), WINDOW),
    Row("TM0307", S.RESIZING,       TerminalClosed, S.CLOSED),

    Row("TM0401", S.RESIZING_AGAIN, DeadlinePassed, S.RESIZING,       resize,   None,                 (RESIZE,), BACKOFF),
    Row("TM0402", S.RESIZING_AGAIN, DeadlinePassed, S.IDLE,           None,     None,                 (FAILED,), WINDOW),
    Row("TM0403", S.RESIZING_AGAIN, SizeWanted,     None,             note),
    Row("TM0404", S.RESIZING_AGAIN, TerminalClosed, S.CLOSED),
    Row("TM0405", S.RESIZING_AGAIN, Resized,        None),  # of a call that the deadline had given up; another was queued
    Row("TM0406", S.RESIZING_AGAIN, ResizeFailed,   None),
)
# fmt: on

TERMINAL = Kind("terminal", S, S.UNOPENED, ROWS, DEADLINES, final=(S.CLOSED,), cell=TerminalCell)

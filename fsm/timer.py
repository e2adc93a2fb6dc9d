"""One time limit of one connection: how long it may be idle, or be there in all. A warning, the end, and the last word.

Bytes are no events: when the time may be over, the pumps are asked when they have last moved one.
"""

from fsm.kernel import Cell, Effects, Kind, Row
from protocol import codes
from protocol.base import DeadlinePassed, Event, Tell
from protocol.codes import Code
from protocol.connection import CloseWanted, LimitNears, LimitPassed
from protocol.limits import TimeLimit
from protocol.timer import IdleMeasured, MeasureIdle, TimerStarted, TimerStopped
from protocol.timer import TimerState as S

WARN = "warn"  # limits.idle or limits.total, less limits.warning
STRIKE = "strike"  # limits.warning
KILL = "kill"  # shutdown.kill: from TERM to closing


class TimerCell(Cell):
    state: str = S.NEW.name
    connection: str = ""
    limit: TimeLimit = "idle"
    allowed_s: float = 0.0
    quiet_s: float = 0.0  # idle for so long is idle
    warns: bool = True


# Guards


def limit_is_idle(cell: TimerCell, event: Event) -> bool:
    return cell.limit == "idle"


def nobody_is_warned(cell: TimerCell, event: Event) -> bool:
    return not cell.warns


def something_moved(cell: TimerCell, event: IdleMeasured) -> bool:
    return event.idle_s < cell.quiet_s


# Makers


def start(cell: TimerCell, event: TimerStarted) -> Effects:
    cell.connection, cell.limit, cell.allowed_s = event.connection, event.limit, event.allowed_s
    cell.warns, cell.seconds, cell.quiet_s = event.warns, dict(event.seconds), event.seconds[WARN]
    return ()


def measure(cell: TimerCell, event: DeadlinePassed) -> Effects:
    return (MeasureIdle(),)


def wait_for_the_rest(cell: TimerCell, event: IdleMeasured) -> Effects:
    cell.seconds[WARN] = round(cell.quiet_s - event.idle_s, 3)
    return ()


def warn(cell: TimerCell, event: Event) -> Effects:
    code = codes.MOORAGE_LIMIT_IDLE_NEAR if cell.limit == "idle" else codes.MOORAGE_LIMIT_TOTAL_NEAR
    left = f"{cell.seconds[STRIKE]:g}"
    return (Tell(to=cell.connection, event=LimitNears(code=code.name, why=code.user.format(left=left))),)


def strike(cell: TimerCell, event: Event) -> Effects:
    return (Tell(to=cell.connection, event=LimitPassed(code=_code(cell).name, why=_why(cell))),)


def close(cell: TimerCell, event: DeadlinePassed) -> Effects:
    """Its programs have not ended at TERM."""
    return (Tell(to=cell.connection, event=CloseWanted(why=f"{_why(cell)} ({_code(cell).name})")),)


def _code(cell: TimerCell) -> Code:
    return codes.MOORAGE_LIMIT_IDLE if cell.limit == "idle" else codes.MOORAGE_LIMIT_TOTAL


def _why(cell: TimerCell) -> str:
    return _code(cell).user.format(allowed=f"{cell.allowed_s:g}")


DEADLINES = {WARN: (S.WAITING,), STRIKE: (S.WARNED,), KILL: (S.ENDING,)}

IDLE_NEAR, TOTAL_NEAR = codes.MOORAGE_LIMIT_IDLE_NEAR, codes.MOORAGE_LIMIT_TOTAL_NEAR
IDLE, TOTAL = codes.MOORAGE_LIMIT_IDLE, codes.MOORAGE_LIMIT_TOTAL

# fmt: off
ROWS = (
    #   id        in state           on              to                 do                 when              says
    Row("TI0101", S.NEW,             TimerStarted,   S.WAITING,         start),

    Row("TI0201", S.WAITING,         DeadlinePassed, S.MEASURING,       measure,           limit_is_idle,    (), WARN),
    Row("TI0202", S.WAITING,         DeadlinePassed, S.ENDING,          strike,            nobody_is_warned, (TOTAL,), WARN),
    Row("TI0203", S.WAITING,         DeadlinePassed, S.WARNED,          warn,              None,             (TOTAL_NEAR,), WARN),
    Row("TI0204", S.WAITING,         TimerStopped,   S.DONE),

    Row("TI0301", S.MEASURING,       IdleMeasured,   S.WAITING,         wait_for_the_rest, something_moved),
    Row("TI0302", S.MEASURING,       IdleMeasured,   S.ENDING,          strike,            nobody_is_warned, (IDLE,)),
    Row("TI0303", S.MEASURING,       IdleMeasured,   S.WARNED,          warn,              None,             (IDLE_NEAR,)),
    Row("TI0304", S.MEASURING,       TimerStopped,   S.DONE),

    Row("TI0401", S.WARNED,          DeadlinePassed, S.MEASURING_AGAIN, measure,           limit_is_idle,    (), STRIKE),
    Row("TI0402", S.WARNED,          DeadlinePassed, S.ENDING,          strike,            None,             (TOTAL,), STRIKE),
    Row("TI0403", S.WARNED,          TimerStopped,   S.DONE),

    Row("TI0501", S.MEASURING_AGAIN, IdleMeasured,   S.WAITING,         wait_for_the_rest, something_moved),  # since the warning
    Row("TI0502", S.MEASURING_AGAIN, IdleMeasured,   S.ENDING,          strike,            None,             (IDLE,)),
    Row("TI0503", S.MEASURING_AGAIN, TimerStopped,   S.DONE),

    Row("TI0601", S.ENDING,          DeadlinePassed, S.DONE,            close,             None,             (), KILL),
    Row("TI0602", S.ENDING,          TimerStopped,   S.DONE),
)
# fmt: on

TIMER = Kind("timer", S, S.NEW, ROWS, DEADLINES, final=(S.DONE,), cell=TimerCell)

"""What is said to the timer machine, and what it asks for. One actor for each time limit of a connection."""

from enum import Enum

from protocol.base import Effect, Event
from protocol.limits import TimeLimit


class TimerState(Enum):
    NEW = "new"
    WAITING = "waiting"
    MEASURING = "measuring"
    WARNED = "warned"
    MEASURING_AGAIN = "measuring_again"
    ENDING = "ending"
    DONE = "done"


class TimerStarted(Event, frozen=True, kw_only=True, tag="timer_started"):
    """The connection was logged into. `warns`: its users are told before it is over; `allowed_s` is the limit.

    `seconds`: `warn`, from the login (or the last byte) to the warning; `strike`, from there to the end; and `kill`.
    """

    connection: str  # the connection actor's id
    limit: TimeLimit
    allowed_s: float
    warns: bool
    seconds: dict[str, float]


class IdleMeasured(Event, frozen=True, kw_only=True, tag="idle_measured"):
    """So long nothing has moved."""

    idle_s: float


class TimerStopped(Event, frozen=True, kw_only=True, tag="timer_stopped"):
    """The connection ends, for whatever reason."""


class MeasureIdle(Effect, frozen=True, kw_only=True, tag="measure_idle"):
    """How long has nothing moved in any session of the connection? Answered at once by `IdleMeasured`."""

"""What every message is: an event that happened, a fault (an event too), or an effect that is asked for.

Nothing secret enters a message: passwords, keys, environment values and stdin stay behind in the actor's hands and
are named here by a handle at most. Whatever a machine must not make up for itself (settings, time, random choices)
arrives inside an event, so that a ledger of events is all that replay needs.
"""

from typing import Literal

from msgspec import Struct

FaultClass = Literal["not_found", "conflict", "denied", "invalid", "unavailable", "timeout", "internal"]

# Asking again cannot help with these: the engine has understood us and says no.
PERMANENT: frozenset[FaultClass] = frozenset({"not_found", "conflict", "denied", "invalid"})
# An `internal` answer (HTTP 500) may be a hiccup or a bad bind mount; we try it this often in all, then believe it.
INTERNAL_ATTEMPTS_MAX = 3


class Event(Struct, frozen=True, kw_only=True, tag_field="event"):
    """Something that has happened, told to a machine."""


class Fault(Event, frozen=True, kw_only=True, tag_field="event"):
    """Something that was asked for and did not happen.

    `fault` is the class of the refusal (by the engine's status code, never its text), `why` the engine's own words,
    `dice` a number in [0, 1) drawn outside the machine, from which a retry takes its jitter.
    """

    fault: FaultClass
    why: str
    dice: float = 0.0


class Effect(Struct, frozen=True, kw_only=True, tag_field="effect"):
    """Something a machine asks its actor to do."""


class DeadlinePassed(Event, frozen=True, kw_only=True, tag="deadline_passed"):
    """The deadline `name` is over; `arm` tells which arming, so that one left behind is known to be stale."""

    name: str
    arm: int


class ArmDeadline(Effect, frozen=True, kw_only=True, tag="arm_deadline"):
    """Post `DeadlinePassed(name, arm)` in `seconds` from now, instead of any earlier arming of the same name."""

    name: str
    arm: int
    seconds: float


class Tell(Effect, frozen=True, kw_only=True, tag="tell"):
    """Post `event` to the actor called `to`. An actor that has ended hears nothing, and that is no error."""

    to: str
    event: Event


class Size(Struct, frozen=True):
    """A terminal's size in characters."""

    columns: int
    rows: int

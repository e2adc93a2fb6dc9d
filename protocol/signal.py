"""What is said to the signal machine, and what it asks for. One actor per signal on its way into a container."""

from enum import Enum

from protocol.base import Effect, Event, Fault

# RFC 4254 section 6.10's names, and their numbers on Linux.
SIGNAL_NUMBERS = {"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "ABRT": 6, "FPE": 8, "KILL": 9, "USR1": 10, "SEGV": 11,
                  "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15}  # fmt: skip


class SignalState(Enum):
    UNSENT = "unsent"
    SENDING = "sending"
    SENDING_AGAIN = "sending_again"
    SENT = "sent"
    FAILED = "failed"


class SignalOrdered(Event, frozen=True, kw_only=True, tag="signal_ordered"):
    """`signal` is a name of RFC 4254 without SIG, `id` the container's, `session` the actor that wants to know."""

    session: str
    id: str
    signal: str
    seconds: dict[str, float]


class SignalSent(Event, frozen=True, kw_only=True, tag="signal_sent"): ...


class SignalFailed(Fault, frozen=True, kw_only=True, tag="signal_failed"): ...


class SignalDelivered(Event, frozen=True, kw_only=True, tag="signal_delivered"):
    """To the session: the engine has taken it, so an exit by it can be told from a status above 128."""

    signal: str


class SendSignal(Effect, frozen=True, kw_only=True, tag="send_signal"):
    id: str
    signal: str


OUTCOMES: dict[type[Effect], tuple[type[Event], type[Fault]]] = {SendSignal: (SignalSent, SignalFailed)}

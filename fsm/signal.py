"""One signal on its way to a container's main program, through the engine's kill API."""

from fsm.kernel import Effects, Kind, Row
from fsm.retry import BACKOFF, RetryCell, back_off, may_try_again
from protocol import codes
from protocol.base import DeadlinePassed, Event, Tell
from protocol.signal import (
    SendSignal,
    SignalDelivered,
    SignalFailed,
    SignalOrdered,
    SignalSent,
)
from protocol.signal import SignalState as S

SPAN = "signal"  # docker.timeouts.signal


class SignalCell(RetryCell):
    state: str = S.UNSENT.name
    session: str = ""
    id: str = ""
    signal: str = ""


def send(cell: SignalCell, event: Event) -> Effects:
    if isinstance(event, SignalOrdered):
        cell.session, cell.id, cell.signal, cell.seconds = event.session, event.id, event.signal, dict(event.seconds)
    return (SendSignal(id=cell.id, signal=cell.signal),)


def report(cell: SignalCell, event: SignalSent) -> Effects:
    return (Tell(to=cell.session, event=SignalDelivered(signal=cell.signal)),)


DEADLINES = {SPAN: (S.SENDING, S.SENDING_AGAIN), BACKOFF: (S.SENDING_AGAIN,)}

SEND, FAILED = codes.DOCKER_CONTAINER_SIGNAL, codes.DOCKER_CONTAINER_SIGNAL_FAILED

# fmt: off
ROWS = (
    #   id        in state         on              to               do        when           says
    Row("SG0101", S.UNSENT,        SignalOrdered,  S.SENDING,       send,     None,          (SEND,)),

    Row("SG0201", S.SENDING,       SignalSent,     S.SENT,          report),
    Row("SG0202", S.SENDING,       SignalFailed,   S.SENDING_AGAIN, back_off, may_try_again, (FAILED.quiet(),)),
    Row("SG0203", S.SENDING,       SignalFailed,   S.FAILED,        None,     None,          (FAILED,)),
    Row("SG0204", S.SENDING,       DeadlinePassed, S.FAILED,        None,     None,          (FAILED,), SPAN),

    Row("SG0301", S.SENDING_AGAIN, DeadlinePassed, S.SENDING,       send,     None,          (SEND,), BACKOFF),
    Row("SG0302", S.SENDING_AGAIN, DeadlinePassed, S.FAILED,        None,     None,          (FAILED,), SPAN),
)
# fmt: on

SIGNAL = Kind("signal", S, S.UNSENT, ROWS, DEADLINES, final=(S.SENT, S.FAILED), cell=SignalCell)

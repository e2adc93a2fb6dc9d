"""The daemon itself: it serves, and then it ends in steps, each with its deadline."""

from fsm.kernel import Cell, Effects, Kind, Row
from protocol import codes
from protocol.base import DeadlinePassed, Event
from protocol.server import (
    AllGone,
    CloseConnections,
    DrainConnections,
    Listening,
    ShutdownWanted,
    StopAccepting,
    TerminateConnections,
)
from protocol.server import ServerState as S

GRACE = "grace"  # shutdown.grace: sessions may end by themselves
KILL = "kill"  # shutdown.kill: from TERM to closing
GONE = "gone"  # how long the last removals may take to be confirmed


class ServerCell(Cell):
    state: str = S.STARTING.name


def serve(cell: ServerCell, event: Listening) -> Effects:
    cell.seconds = dict(event.seconds)
    return ()


def drain(cell: ServerCell, event: Event) -> Effects:
    return StopAccepting(), DrainConnections()


def terminate(cell: ServerCell, event: Event) -> Effects:
    return (TerminateConnections(),)


def close(cell: ServerCell, event: Event) -> Effects:
    return (CloseConnections(),)


DEADLINES = {GRACE: (S.DRAINING,), KILL: (S.TERMINATING,), GONE: (S.KILLING,)}

READY = (codes.SSH_AVAILABLE, codes.MOORAGE_READY)
DRAIN, TERMINATE, CLOSE = codes.MOORAGE_DRAINING, codes.MOORAGE_TERMINATING, codes.MOORAGE_KILLING
STOPPED, UNCLEAN = codes.MOORAGE_STOPPED, codes.MOORAGE_STOPPED_UNCLEAN

# fmt: off
ROWS = (
    #   id        in state       on              to             do         when  says
    Row("SV0101", S.STARTING,    Listening,      S.SERVING,     serve,     None, READY),
    Row("SV0102", S.STARTING,    ShutdownWanted, S.STOPPED,     None,      None, (STOPPED,)),

    Row("SV0201", S.SERVING,     ShutdownWanted, S.DRAINING,    drain,     None, (DRAIN,)),

    Row("SV0301", S.DRAINING,    AllGone,        S.STOPPED,     None,      None, (STOPPED,)),
    Row("SV0302", S.DRAINING,    DeadlinePassed, S.TERMINATING, terminate, None, (TERMINATE,), GRACE),
    Row("SV0303", S.DRAINING,    ShutdownWanted, S.TERMINATING, terminate, None, (TERMINATE,)),  # asked twice: hurry

    Row("SV0401", S.TERMINATING, AllGone,        S.STOPPED,     None,      None, (STOPPED,)),
    Row("SV0402", S.TERMINATING, DeadlinePassed, S.KILLING,     close,     None, (CLOSE,), KILL),
    Row("SV0403", S.TERMINATING, ShutdownWanted, None),

    Row("SV0501", S.KILLING,     AllGone,        S.STOPPED,     None,      None, (STOPPED,)),
    Row("SV0502", S.KILLING,     DeadlinePassed, S.STOPPED,     None,      None, (UNCLEAN,), GONE),
    Row("SV0503", S.KILLING,     ShutdownWanted, None),
)
# fmt: on

SERVER = Kind("server", S, S.STARTING, ROWS, DEADLINES, final=(S.STOPPED,), cell=ServerCell)

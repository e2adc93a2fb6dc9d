"""The daemon itself: it serves, and then it ends in steps, each with its deadline."""

from fsm.kernel import Cell, Effects, Kind, Row
from protocol import codes
from protocol.base import DeadlinePassed, Event
from protocol.server import (
    AdoptSettings,
    AllGone,
    AnswerReload,
    CloseConnections,
    DrainConnections,
    Listening,
    ReadSettings,
    ReloadWanted,
    SettingsRead,
    SettingsRefused,
    ShutdownWanted,
    StopAccepting,
    TerminateConnections,
)
from protocol.server import ServerState as S

GRACE = "grace"  # shutdown.grace: sessions may end by themselves
KILL = "kill"  # shutdown.kill: from TERM to closing
GONE = "gone"  # how long the last removals may take to be confirmed


TOO_LATE = "the server is shutting down"


class ServerCell(Cell):
    state: str = S.STARTING.name


def serve(cell: ServerCell, event: Listening) -> Effects:
    cell.seconds = dict(event.seconds)
    return ()


def read(cell: ServerCell, event: ReloadWanted) -> Effects:
    return (ReadSettings(attempt=event.attempt),)


def adopt(cell: ServerCell, event: SettingsRead) -> Effects:
    cell.seconds = {**cell.seconds, **event.seconds}
    return AdoptSettings(attempt=event.attempt), AnswerReload(attempt=event.attempt, changes=event.changes)


def keep(cell: ServerCell, event: SettingsRefused) -> Effects:
    return (AnswerReload(attempt=event.attempt, why=event.why),)


def too_late(cell: ServerCell, event: ReloadWanted | SettingsRead) -> Effects:
    return (AnswerReload(attempt=event.attempt, why=TOO_LATE),)


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
RELOADED, KEPT = codes.MOORAGE_RELOADED, codes.MOORAGE_RELOAD_REFUSED

# fmt: off
ROWS = (
    #   id        in state       on               to             do         when  says
    Row("SV0101", S.STARTING,    Listening,       S.SERVING,     serve,     None, READY),
    Row("SV0102", S.STARTING,    ShutdownWanted,  S.STOPPED,     None,      None, (STOPPED,)),

    Row("SV0201", S.SERVING,     ShutdownWanted,  S.DRAINING,    drain,     None, (DRAIN,)),
    # One is read after the other, and each is adopted or refused as a whole.
    Row("SV0202", S.SERVING,     ReloadWanted,    None,          read),
    Row("SV0203", S.SERVING,     SettingsRead,    None,          adopt,     None, (RELOADED,)),
    Row("SV0204", S.SERVING,     SettingsRefused, None,          keep,      None, (KEPT,)),

    Row("SV0301", S.DRAINING,    AllGone,         S.STOPPED,     None,      None, (STOPPED,)),
    Row("SV0302", S.DRAINING,    DeadlinePassed,  S.TERMINATING, terminate, None, (TERMINATE,), GRACE),
    Row("SV0303", S.DRAINING,    ShutdownWanted,  S.TERMINATING, terminate, None, (TERMINATE,)),  # asked twice: hurry
    Row("SV0304", S.DRAINING,    ReloadWanted,    None,          too_late,  None, (KEPT,)),
    Row("SV0305", S.DRAINING,    SettingsRead,    None,          too_late,  None, (KEPT,)),
    Row("SV0306", S.DRAINING,    SettingsRefused, None,          keep,      None, (KEPT,)),

    Row("SV0401", S.TERMINATING, AllGone,         S.STOPPED,     None,      None, (STOPPED,)),
    Row("SV0402", S.TERMINATING, DeadlinePassed,  S.KILLING,     close,     None, (CLOSE,), KILL),
    Row("SV0403", S.TERMINATING, ShutdownWanted,  None),
    Row("SV0404", S.TERMINATING, ReloadWanted,    None,          too_late,  None, (KEPT,)),
    Row("SV0405", S.TERMINATING, SettingsRead,    None,          too_late,  None, (KEPT,)),
    Row("SV0406", S.TERMINATING, SettingsRefused, None,          keep,      None, (KEPT,)),

    Row("SV0501", S.KILLING,     AllGone,         S.STOPPED,     None,      None, (STOPPED,)),
    Row("SV0502", S.KILLING,     DeadlinePassed,  S.STOPPED,     None,      None, (UNCLEAN,), GONE),
    Row("SV0503", S.KILLING,     ShutdownWanted,  None),
    Row("SV0504", S.KILLING,     ReloadWanted,    None,          too_late,  None, (KEPT,)),
    Row("SV0505", S.KILLING,     SettingsRead,    None,          too_late,  None, (KEPT,)),
    Row("SV0506", S.KILLING,     SettingsRefused, None,          keep,      None, (KEPT,)),
)
# fmt: on

SERVER = Kind("server", S, S.STARTING, ROWS, DEADLINES, final=(S.STOPPED,), cell=ServerCell)

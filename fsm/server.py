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
    EndAttempt,
    Listening,
    PassSockets,
    ReadSettings,
    ReloadWanted,
    SettingsRead,
    SettingsRefused,
    ShutdownWanted,
    StartSuccessor,
    StopAccepting,
    SuccessorCame,
    SuccessorFailed,
    SuccessorReady,
    TerminateConnections,
    UpgradeWanted,
)
from protocol.server import ServerState as S

GRACE = "grace"  # shutdown.grace: sessions may end by themselves
KILL = "kill"  # shutdown.kill: from TERM to closing
GONE = "gone"  # how long the last removals may take to be confirmed
UPGRADE = "upgrade"  # from the wish for an upgrade to a successor that is ready


TOO_LATE = "the server is shutting down"


class ServerCell(Cell):
    """`attempt` is the newest upgrade that was tried; it has one successor at most."""

    state: str = S.STARTING.name
    attempt: str = ""


# Guards


def was_sent_for(cell: ServerCell, event: SuccessorCame) -> bool:
    return event.sent_for


def is_awaited(cell: ServerCell, event: SuccessorCame | SuccessorReady | SuccessorFailed) -> bool:
    return event.attempt == cell.attempt


# Makers


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
    return (AnswerReload(attempt=event.attempt, why=REFUSALS.get(cell.state, TOO_LATE)),)


def drain(cell: ServerCell, event: Event) -> Effects:
    return StopAccepting(), DrainConnections()


def drain_on(cell: ServerCell, event: ShutdownWanted) -> Effects:
    return (DrainConnections(),)


def start(cell: ServerCell, event: UpgradeWanted) -> Effects:
    cell.attempt = event.attempt
    return (StartSuccessor(attempt=event.attempt, argv=event.argv),)


def receive(cell: ServerCell, event: SuccessorCame) -> Effects:
    cell.attempt = event.attempt
    return (PassSockets(attempt=event.attempt),)


def refuse(cell: ServerCell, event: UpgradeWanted | SuccessorCame) -> Effects:
    return (EndAttempt(attempt=event.attempt, why=REFUSALS.get(cell.state, TOO_LATE)),)


def give_up(cell: ServerCell, event: SuccessorFailed | DeadlinePassed) -> Effects:
    late = f"the new process was not ready within {cell.seconds.get(UPGRADE, 0):g} s"
    return (EndAttempt(attempt=cell.attempt, why=event.why if isinstance(event, SuccessorFailed) else late),)


def give_up_and_drain(cell: ServerCell, event: ShutdownWanted) -> Effects:
    return EndAttempt(attempt=cell.attempt, why=TOO_LATE), *drain(cell, event)


def retire(cell: ServerCell, event: SuccessorReady) -> Effects:
    """We stop first: what comes in between waits in the queue of the socket that both of us hold."""
    return StopAccepting(), EndAttempt(attempt=cell.attempt)


def terminate(cell: ServerCell, event: Event) -> Effects:
    return (TerminateConnections(),)


def close(cell: ServerCell, event: Event) -> Effects:
    return (CloseConnections(),)


REFUSALS = {
    S.SERVING.name: "that attempt is over",
    S.UPGRADING.name: "another upgrade is under way",
    S.RETIRING.name: "a newer process accepts the connections",
}
DEADLINES = {GRACE: (S.DRAINING,), KILL: (S.TERMINATING,), GONE: (S.KILLING,), UPGRADE: (S.UPGRADING,)}

READY = (codes.SSH_AVAILABLE, codes.MOORAGE_READY)
DRAIN, TERMINATE, CLOSE = codes.MOORAGE_DRAINING, codes.MOORAGE_TERMINATING, codes.MOORAGE_KILLING
UPGRADE_BEGUN, UPGRADED, NO_UPGRADE = codes.MOORAGE_UPGRADING, codes.MOORAGE_UPGRADED, codes.MOORAGE_UPGRADE_FAILED
STOPPED, UNCLEAN = codes.MOORAGE_STOPPED, codes.MOORAGE_STOPPED_UNCLEAN
RELOADED, KEPT = codes.MOORAGE_RELOADED, codes.MOORAGE_RELOAD_REFUSED

# fmt: off
ROWS = (
    #   id        in state       on               to             do                 when          says
    Row("SV0101", S.STARTING,    Listening,       S.SERVING,     serve,             None,         READY),
    Row("SV0102", S.STARTING,    ShutdownWanted,  S.STOPPED,     None,              None,         (STOPPED,)),

    Row("SV0201", S.SERVING,     ShutdownWanted,  S.DRAINING,    drain,             None,         (DRAIN,)),
    # One is read after the other, and each is adopted or refused as a whole.
    Row("SV0202", S.SERVING,     ReloadWanted,    None,          read),
    Row("SV0203", S.SERVING,     SettingsRead,    None,          adopt,             None,         (RELOADED,)),
    Row("SV0204", S.SERVING,     SettingsRefused, None,          keep,              None,         (KEPT,)),
    Row("SV0205", S.SERVING,     UpgradeWanted,   S.UPGRADING,   start,             None,         (UPGRADE_BEGUN,)),
    Row("SV0206", S.SERVING,     SuccessorCame,   None,          refuse,            was_sent_for),  # its attempt has been given up
    Row("SV0207", S.SERVING,     SuccessorCame,   S.UPGRADING,   receive,           None,         (UPGRADE_BEGUN,)),
    Row("SV0208", S.SERVING,     SuccessorReady,  None),  # it crossed our giving up
    Row("SV0209", S.SERVING,     SuccessorFailed, None),

    Row("SV0301", S.DRAINING,    AllGone,         S.STOPPED,     None,              None,         (STOPPED,)),
    Row("SV0302", S.DRAINING,    DeadlinePassed,  S.TERMINATING, terminate,         None,         (TERMINATE,), GRACE),
    Row("SV0303", S.DRAINING,    ShutdownWanted,  S.TERMINATING, terminate,         None,         (TERMINATE,)),  # asked twice: hurry
    Row("SV0304", S.DRAINING,    ReloadWanted,    None,          too_late,          None,         (KEPT,)),
    Row("SV0305", S.DRAINING,    SettingsRead,    None,          too_late,          None,         (KEPT,)),
    Row("SV0306", S.DRAINING,    SettingsRefused, None,          keep,              None,         (KEPT,)),
    Row("SV0307", S.DRAINING,    UpgradeWanted,   None,          refuse),
    Row("SV0308", S.DRAINING,    SuccessorCame,   None,          refuse),
    Row("SV0309", S.DRAINING,    SuccessorReady,  None),  # it crossed our giving up
    Row("SV0310", S.DRAINING,    SuccessorFailed, None),

    Row("SV0401", S.TERMINATING, AllGone,         S.STOPPED,     None,              None,         (STOPPED,)),
    Row("SV0402", S.TERMINATING, DeadlinePassed,  S.KILLING,     close,             None,         (CLOSE,), KILL),
    Row("SV0403", S.TERMINATING, ShutdownWanted,  None),
    Row("SV0404", S.TERMINATING, ReloadWanted,    None,          too_late,          None,         (KEPT,)),
    Row("SV0405", S.TERMINATING, SettingsRead,    None,          too_late,          None,         (KEPT,)),
    Row("SV0406", S.TERMINATING, SettingsRefused, None,          keep,              None,         (KEPT,)),
    Row("SV0407", S.TERMINATING, UpgradeWanted,   None,          refuse),
    Row("SV0408", S.TERMINATING, SuccessorCame,   None,          refuse),
    Row("SV0409", S.TERMINATING, SuccessorReady,  None),  # it crossed our giving up
    Row("SV0410", S.TERMINATING, SuccessorFailed, None),

    Row("SV0501", S.KILLING,     AllGone,         S.STOPPED,     None,              None,         (STOPPED,)),
    Row("SV0502", S.KILLING,     DeadlinePassed,  S.STOPPED,     None,              None,         (UNCLEAN,), GONE),
    Row("SV0503", S.KILLING,     ShutdownWanted,  None),
    Row("SV0504", S.KILLING,     ReloadWanted,    None,          too_late,          None,         (KEPT,)),
    Row("SV0505", S.KILLING,     SettingsRead,    None,          too_late,          None,         (KEPT,)),
    Row("SV0506", S.KILLING,     SettingsRefused, None,          keep,              None,         (KEPT,)),
    Row("SV0507", S.KILLING,     UpgradeWanted,   None,          refuse),
    Row("SV0508", S.KILLING,     SuccessorCame,   None,          refuse),
    Row("SV0509", S.KILLING,     SuccessorReady,  None),  # it crossed our giving up
    Row("SV0510", S.KILLING,     SuccessorFailed, None),

    Row("SV0601", S.UPGRADING,   SuccessorCame,   None,          receive,           is_awaited),
    Row("SV0602", S.UPGRADING,   SuccessorCame,   None,          refuse),
    Row("SV0603", S.UPGRADING,   SuccessorReady,  S.RETIRING,    retire,            is_awaited,   (UPGRADED,)),
    Row("SV0604", S.UPGRADING,   SuccessorReady,  None),  # of an attempt that was given up, as below
    Row("SV0605", S.UPGRADING,   SuccessorFailed, S.SERVING,     give_up,           is_awaited,   (NO_UPGRADE,)),
    Row("SV0606", S.UPGRADING,   SuccessorFailed, None),
    Row("SV0607", S.UPGRADING,   DeadlinePassed,  S.SERVING,     give_up,           None,         (NO_UPGRADE,), UPGRADE),
    Row("SV0608", S.UPGRADING,   UpgradeWanted,   None,          refuse),
    Row("SV0609", S.UPGRADING,   ShutdownWanted,  S.DRAINING,    give_up_and_drain, None,         (DRAIN,)),
    Row("SV0610", S.UPGRADING,   ReloadWanted,    None,          read),
    Row("SV0611", S.UPGRADING,   SettingsRead,    None,          adopt,             None,         (RELOADED,)),
    Row("SV0612", S.UPGRADING,   SettingsRefused, None,          keep,              None,         (KEPT,)),

    Row("SV0701", S.RETIRING,    AllGone,         S.STOPPED,     None,              None,         (STOPPED,)),
    Row("SV0702", S.RETIRING,    ShutdownWanted,  S.DRAINING,    drain_on,          None,         (DRAIN,)),
    Row("SV0703", S.RETIRING,    UpgradeWanted,   None,          refuse),
    Row("SV0704", S.RETIRING,    SuccessorCame,   None,          refuse),
    Row("SV0705", S.RETIRING,    SuccessorReady,  None),  # of an attempt that was given up
    Row("SV0706", S.RETIRING,    SuccessorFailed, None),
    Row("SV0707", S.RETIRING,    ReloadWanted,    None,          too_late,          None,         (KEPT,)),
    Row("SV0708", S.RETIRING,    SettingsRead,    None,          too_late,          None,         (KEPT,)),
    Row("SV0709", S.RETIRING,    SettingsRefused, None,          keep,              None,         (KEPT,)),
)
# fmt: on

SERVER = Kind("server", S, S.STARTING, ROWS, DEADLINES, final=(S.STOPPED,), cell=ServerCell)

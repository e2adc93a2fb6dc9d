"""One SSH connection, from accept to close. In mode `connection` it owns the container that its sessions run in.

Provisioning starts when authentication succeeds, not when the first channel asks: by then the container mostly runs.
"""

from fsm.kernel import Cell, Effects, Kind, Row
from protocol import codes
from protocol.base import DeadlinePassed, Event, Tell
from protocol.connection import (
    AbortConnection,
    Authenticated,
    AuthFailed,
    CloseConnection,
    CloseWanted,
    ConnectionOpened,
    Disconnected,
    DrainWanted,
    LandContainer,
    RequestRefused,
    SessionEnded,
    SessionOpened,
    ShimFailed,
    TerminateWanted,
)
from protocol.connection import ConnectionState as S
from protocol.container import ContainerExited, ContainerFailed, ContainerLanded, ContainerProgressed, StopWanted
from protocol.settings import ExecutionMode

GRACE = "login_grace"  # ssh.loginGrace: from accept to authenticated
FAREWELL = "farewell"  # without a container: time for sessions to come and be told
CLOSE = "close"  # from our close to the client's


class ConnectionCell(Cell):
    """`container` is the actor's id and empty in session mode; `landed` and `failed` are what sessions are told."""

    state: str = S.NEW.name
    mode: ExecutionMode = "connection"
    image: str = ""
    container: str = ""
    landed: ContainerLanded | None = None
    failed: ContainerFailed | None = None
    sessions: tuple[str, ...] = ()
    drain: bool = False


# Guards


def mode_is_connection(cell: ConnectionCell, event: Event) -> bool:
    return cell.mode == "connection"


def has_no_session(cell: ConnectionCell, event: Event) -> bool:
    return not cell.sessions


def was_last_session(cell: ConnectionCell, event: SessionEnded) -> bool:
    return cell.sessions == (event.session,)


def drain_is_wanted(cell: ConnectionCell, event: Event) -> bool:
    return cell.drain


def drains_for_nobody(cell: ConnectionCell, event: Event) -> bool:
    """No session is here, and a server that drains lets none be opened."""
    return cell.drain and not cell.sessions


def no_forward(cell: ConnectionCell, event: RequestRefused) -> bool:
    return event.refused_by == "forwarding"


def no_reverse(cell: ConnectionCell, event: RequestRefused) -> bool:
    return event.refused_by == "reverse_forwarding"


def spoke_no_ssh(cell: ConnectionCell, event: Disconnected) -> bool:
    return event.cause == "not_ssh"


def fell_silent(cell: ConnectionCell, event: Disconnected) -> bool:
    return event.cause == "silent"


def sessions_suffice(cell: ConnectionCell, event: RequestRefused) -> bool:
    return event.refused_by == "max_sessions"


# Makers


def note(cell: ConnectionCell, event: ConnectionOpened) -> Effects:
    cell.mode, cell.image, cell.seconds = event.mode, event.image, dict(event.seconds)
    cell.container = event.container if event.mode == "connection" else ""
    return ()


def land(cell: ConnectionCell, event: Authenticated) -> Effects:
    return (LandContainer(container=cell.container, image=cell.image),)


def welcome(cell: ConnectionCell, event: SessionOpened) -> Effects:
    """A session that opens late is told what the others know already."""
    cell.sessions = (*cell.sessions, event.session)
    news = cell.failed or cell.landed
    return () if news is None else (Tell(to=event.session, event=news),)


def forget(cell: ConnectionCell, event: SessionEnded) -> Effects:
    cell.sessions = tuple(session for session in cell.sessions if session != event.session)
    return ()


def landed(cell: ConnectionCell, event: ContainerLanded) -> Effects:
    cell.landed = event
    return _tell(cell, event)


def failed(cell: ConnectionCell, event: ContainerFailed) -> Effects:
    cell.failed = event
    return _tell(cell, event)


def died(cell: ConnectionCell, event: ContainerExited) -> Effects:
    """Running sessions hear how it ended; those that are still to come hear that there is nothing to run in."""
    oom = ", out of memory" if event.oom else ""
    why = codes.MOORAGE_CONTAINER_DIED.user.format(status=event.status, oom=oom)
    cell.failed = ContainerFailed(code=codes.MOORAGE_CONTAINER_DIED.name, why=why)
    return _tell(cell, event)


def pass_on(cell: ConnectionCell, event: Event) -> Effects:
    return _tell(cell, event)


def note_drain(cell: ConnectionCell, event: DrainWanted) -> Effects:
    cell.drain = True
    return ()


def terminate(cell: ConnectionCell, event: TerminateWanted) -> Effects:
    """Sessions first, so that they are told before their programs end."""
    container = (Tell(to=cell.container, event=event),) if cell.container else ()
    return *_tell(cell, event), *container


def close(cell: ConnectionCell, event: Event) -> Effects:
    return *_release(cell, "the connection is being closed"), CloseConnection(why=_reason(cell, event))


def close_ended(cell: ConnectionCell, event: SessionEnded) -> Effects:
    return *forget(cell, event), *close(cell, event)


def abort(cell: ConnectionCell, event: Event) -> Effects:
    return (AbortConnection(),)


def release(cell: ConnectionCell, event: Disconnected) -> Effects:
    return _release(cell, event.why or "the client has disconnected")


def _release(cell: ConnectionCell, why: str) -> Effects:
    return (Tell(to=cell.container, event=StopWanted(why=why)),) if cell.container else ()


def _tell(cell: ConnectionCell, event: Event) -> Effects:
    return tuple(Tell(to=session, event=event) for session in cell.sessions)


def _reason(cell: ConnectionCell, event: Event) -> str:
    match event:
        case ShimFailed():
            return codes.MOORAGE_CONNECTION_CRASHED.user
        case DrainWanted() | SessionEnded() if cell.failed is None:
            return codes.DOCKER_CONTAINER_SHUTTING_DOWN.user
        case CloseWanted():
            return event.why
        case DeadlinePassed(name="login_grace"):
            return f"no login within {cell.seconds[GRACE]:g} s"
    return cell.failed.why if cell.failed is not None else codes.DOCKER_CONTAINER_SHUTTING_DOWN.user


DEADLINES = {GRACE: (S.HANDSHAKING,), FAREWELL: (S.STRANDED,), CLOSE: (S.CLOSING,)}

CONNECTED, DISCONNECTED = codes.SSH_CONNECTED, codes.SSH_DISCONNECTED
NO_LOGIN, LATE = codes.SSH_HANDSHAKE_FAILED, codes.MOORAGE_LOGIN_GRACE
NO, YES = codes.SSH_AUTH_FAILED, (codes.SSH_AUTH_SUCCESSFUL, codes.SSH_HANDSHAKE_SUCCESSFUL)
REJECTED, DIED = codes.SSH_BACKEND_REJECTED_HANDSHAKE, codes.MOORAGE_CONTAINER_DIED
REFUSED = codes.SSH_NEW_CHANNEL_REJECTED
FORWARD, REVERSE, ENOUGH = (codes.SECURITY_FORWARDING_REJECTED, codes.SECURITY_REVERSE_FORWARDING_REJECTED,
                            codes.SECURITY_MAX_SESSIONS)  # fmt: skip
CRASHED = codes.MOORAGE_CONNECTION_CRASHED
STRANGER, SILENT = codes.MOORAGE_NOT_SSH, codes.MOORAGE_CLIENT_SILENT
ENDING = codes.MOORAGE_TERMINATING

# fmt: off
ROWS = (
    #   id        in state       on                   to             do           when                says
    Row("CN0101", S.NEW,         ConnectionOpened,    S.HANDSHAKING, note,        None,               (CONNECTED,)),

    Row("CN0201", S.HANDSHAKING, AuthFailed,          None,          None,        None,               (NO,)),
    Row("CN0202", S.HANDSHAKING, Authenticated,       S.LANDING,     land,        mode_is_connection, YES),
    Row("CN0203", S.HANDSHAKING, Authenticated,       S.SERVING,     None,        None,               YES),
    Row("CN0204", S.HANDSHAKING, DeadlinePassed,      S.CLOSING,     close,       None,               (LATE, NO_LOGIN), GRACE),
    Row("CN0211", S.HANDSHAKING, Disconnected,        S.CLOSED,      None,        spoke_no_ssh,       (STRANGER, NO_LOGIN, DISCONNECTED)),
    Row("CN0205", S.HANDSHAKING, Disconnected,        S.CLOSED,      None,        None,               (NO_LOGIN, DISCONNECTED)),
    Row("CN0206", S.HANDSHAKING, RequestRefused,      None,          None,        None,               (REFUSED,)),
    Row("CN0207", S.HANDSHAKING, ShimFailed,          S.CLOSING,     close,       None,               (CRASHED,)),
    Row("CN0208", S.HANDSHAKING, DrainWanted,         S.CLOSING,     close),
    Row("CN0209", S.HANDSHAKING, TerminateWanted,     S.CLOSING,     close),
    Row("CN0210", S.HANDSHAKING, CloseWanted,         S.CLOSING,     close),

    Row("CN0313", S.LANDING,     ContainerLanded,     S.CLOSING,     close,       drains_for_nobody),
    Row("CN0301", S.LANDING,     ContainerLanded,     S.DRAINING,    landed,      drain_is_wanted),
    Row("CN0302", S.LANDING,     ContainerLanded,     S.SERVING,     landed),
    Row("CN0303", S.LANDING,     ContainerFailed,     S.STRANDED,    failed,      None,               (REJECTED,)),
    Row("CN0304", S.LANDING,     ContainerProgressed, None,          pass_on),
    Row("CN0305", S.LANDING,     SessionOpened,       None,          welcome),
    Row("CN0306", S.LANDING,     SessionEnded,        None,          forget),
    Row("CN0314", S.LANDING,     RequestRefused,      None,          None,        no_forward,         (FORWARD,)),
    Row("CN0315", S.LANDING,     RequestRefused,      None,          None,        no_reverse,         (REVERSE,)),
    Row("CN0316", S.LANDING,     RequestRefused,      None,          None,        sessions_suffice,   (ENOUGH,)),
    Row("CN0307", S.LANDING,     RequestRefused,      None,          None,        None,               (REFUSED,)),
    Row("CN0317", S.LANDING,     Disconnected,        S.CLOSED,      release,     fell_silent,        (SILENT, DISCONNECTED)),
    Row("CN0308", S.LANDING,     Disconnected,        S.CLOSED,      release,     None,               (DISCONNECTED,)),
    Row("CN0309", S.LANDING,     ShimFailed,          S.CLOSING,     close,       None,               (CRASHED,)),
    Row("CN0310", S.LANDING,     DrainWanted,         None,          note_drain),  # it may land and run first
    Row("CN0311", S.LANDING,     TerminateWanted,     S.CLOSING,     close,       None,               (ENDING,)),
    Row("CN0312", S.LANDING,     CloseWanted,         S.CLOSING,     close),

    Row("CN0401", S.SERVING,     SessionOpened,       None,          welcome),
    Row("CN0402", S.SERVING,     SessionEnded,        None,          forget),
    Row("CN0403", S.SERVING,     ContainerExited,     S.STRANDED,    died,        None,               (DIED,)),
    Row("CN0412", S.SERVING,     RequestRefused,      None,          None,        no_forward,         (FORWARD,)),
    Row("CN0413", S.SERVING,     RequestRefused,      None,          None,        no_reverse,         (REVERSE,)),
    Row("CN0414", S.SERVING,     RequestRefused,      None,          None,        sessions_suffice,   (ENOUGH,)),
    Row("CN0404", S.SERVING,     RequestRefused,      None,          None,        None,               (REFUSED,)),
    Row("CN0415", S.SERVING,     Disconnected,        S.CLOSED,      release,     fell_silent,        (SILENT, DISCONNECTED)),
    Row("CN0405", S.SERVING,     Disconnected,        S.CLOSED,      release,     None,               (DISCONNECTED,)),
    Row("CN0406", S.SERVING,     ShimFailed,          S.CLOSING,     close,       None,               (CRASHED,)),
    Row("CN0407", S.SERVING,     DrainWanted,         S.CLOSING,     close,       has_no_session),
    Row("CN0408", S.SERVING,     DrainWanted,         S.DRAINING),
    Row("CN0411", S.SERVING,     TerminateWanted,     S.CLOSING,     close,       has_no_session,     (ENDING,)),
    Row("CN0409", S.SERVING,     TerminateWanted,     S.DRAINING,    terminate,   None,               (ENDING,)),
    Row("CN0410", S.SERVING,     CloseWanted,         S.CLOSING,     close),

    Row("CN0501", S.STRANDED,    SessionOpened,       None,          welcome),
    Row("CN0502", S.STRANDED,    SessionEnded,        S.CLOSING,     close_ended, was_last_session),
    Row("CN0503", S.STRANDED,    SessionEnded,        None,          forget),
    Row("CN0504", S.STRANDED,    DeadlinePassed,      S.CLOSING,     close,       None,               (), FAREWELL),
    Row("CN0511", S.STRANDED,    RequestRefused,      None,          None,        no_forward,         (FORWARD,)),
    Row("CN0512", S.STRANDED,    RequestRefused,      None,          None,        no_reverse,         (REVERSE,)),
    Row("CN0513", S.STRANDED,    RequestRefused,      None,          None,        sessions_suffice,   (ENOUGH,)),
    Row("CN0505", S.STRANDED,    RequestRefused,      None,          None,        None,               (REFUSED,)),
    Row("CN0514", S.STRANDED,    Disconnected,        S.CLOSED,      release,     fell_silent,        (SILENT, DISCONNECTED)),
    Row("CN0506", S.STRANDED,    Disconnected,        S.CLOSED,      release,     None,               (DISCONNECTED,)),
    Row("CN0507", S.STRANDED,    ShimFailed,          S.CLOSING,     close,       None,               (CRASHED,)),
    Row("CN0508", S.STRANDED,    DrainWanted,         None),  # it is on its way out already
    Row("CN0509", S.STRANDED,    TerminateWanted,     None),
    Row("CN0510", S.STRANDED,    CloseWanted,         S.CLOSING,     close),

    Row("CN0601", S.DRAINING,    SessionOpened,       None,          welcome),  # it was under way when the drain began
    Row("CN0602", S.DRAINING,    SessionEnded,        S.CLOSING,     close_ended, was_last_session),
    Row("CN0603", S.DRAINING,    SessionEnded,        None,          forget),
    Row("CN0604", S.DRAINING,    ContainerExited,     S.STRANDED,    died),  # expected after our TERM
    Row("CN0611", S.DRAINING,    RequestRefused,      None,          None,        no_forward,         (FORWARD,)),
    Row("CN0612", S.DRAINING,    RequestRefused,      None,          None,        no_reverse,         (REVERSE,)),
    Row("CN0613", S.DRAINING,    RequestRefused,      None,          None,        sessions_suffice,   (ENOUGH,)),
    Row("CN0605", S.DRAINING,    RequestRefused,      None,          None,        None,               (REFUSED,)),
    Row("CN0614", S.DRAINING,    Disconnected,        S.CLOSED,      release,     fell_silent,        (SILENT, DISCONNECTED)),
    Row("CN0606", S.DRAINING,    Disconnected,        S.CLOSED,      release,     None,               (DISCONNECTED,)),
    Row("CN0607", S.DRAINING,    ShimFailed,          S.CLOSING,     close,       None,               (CRASHED,)),
    Row("CN0608", S.DRAINING,    DrainWanted,         None),
    Row("CN0609", S.DRAINING,    TerminateWanted,     None,          terminate,   None,               (ENDING,)),
    Row("CN0610", S.DRAINING,    CloseWanted,         S.CLOSING,     close),

    Row("CN0701", S.CLOSING,     Disconnected,        S.CLOSED,      None,        None,               (DISCONNECTED,)),
    Row("CN0702", S.CLOSING,     DeadlinePassed,      None,          abort,       None,               (), CLOSE),
    Row("CN0703", S.CLOSING,     SessionOpened,       None),  # all that crosses our close on the wire
    Row("CN0704", S.CLOSING,     SessionEnded,        None),
    Row("CN0705", S.CLOSING,     ContainerLanded,     None),
    Row("CN0706", S.CLOSING,     ContainerFailed,     None),
    Row("CN0707", S.CLOSING,     ContainerProgressed, None),
    Row("CN0708", S.CLOSING,     ContainerExited,     None),
    Row("CN0709", S.CLOSING,     AuthFailed,          None),
    Row("CN0710", S.CLOSING,     Authenticated,       None),
    Row("CN0711", S.CLOSING,     RequestRefused,      None),
    Row("CN0712", S.CLOSING,     ShimFailed,          None,          abort),  # not even the close works
    Row("CN0713", S.CLOSING,     DrainWanted,         None),
    Row("CN0714", S.CLOSING,     TerminateWanted,     None),
    Row("CN0715", S.CLOSING,     CloseWanted,         None,          abort),
)
# fmt: on

CONNECTION = Kind("connection", S, S.NEW, ROWS, DEADLINES, final=(S.CLOSED,), cell=ConnectionCell)

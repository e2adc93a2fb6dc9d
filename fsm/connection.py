"""One SSH connection, from accept to close. In mode `connection` it owns the container that its sessions run in.

Provisioning starts when authentication succeeds, not when the first channel asks: by then the container mostly runs.
"""

from fsm import limits
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
    LimitNears,
    LimitPassed,
    RequestRefused,
    SessionEnded,
    SessionOpened,
    ShimFailed,
    StartTimer,
    TerminateWanted,
)
from protocol.connection import ConnectionState as S
from protocol.container import ContainerExited, ContainerFailed, ContainerLanded, ContainerProgressed, StopWanted
from protocol.settings import ExecutionMode
from protocol.timer import TimerStopped

GRACE = "login_grace"  # ssh.loginGrace: from accept to authenticated
FAREWELL = "farewell"  # without a container: time for sessions to come and be told
CLOSE = "close"  # from our close to the client's


class ConnectionCell(Cell):
    """`container` is the actor's id and empty in session mode, `called` what it is to be called in connection mode;
    `landed` and `failed` are what sessions are told. `timers` are the actors of its limits in time, `passed` is the
    one that is over.
    """

    state: str = S.NEW.name
    mode: ExecutionMode = "connection"
    image: str = ""
    called: str = ""
    container: str = ""
    landed: ContainerLanded | None = None
    failed: ContainerFailed | None = None
    sessions: tuple[str, ...] = ()
    drain: bool = False
    timers: tuple[str, ...] = ()
    passed: LimitPassed | None = None


# Guards


def address_has_enough(cell: ConnectionCell, event: ConnectionOpened) -> bool:
    return event.reached is not None


def may_not_choose(cell: ConnectionCell, event: Authenticated) -> bool:
    return event.unsettled == "template"


def has_no_settings(cell: ConnectionCell, event: Authenticated) -> bool:
    return event.unsettled != ""


def enough_connections(cell: ConnectionCell, event: Authenticated) -> bool:
    return event.reached is not None and event.reached.what == "connections"


def enough_containers(cell: ConnectionCell, event: Authenticated) -> bool:
    return event.reached is not None and event.reached.what == "containers"


def enough_logins(cell: ConnectionCell, event: Authenticated) -> bool:
    return event.reached is not None


def mode_is_connection(cell: ConnectionCell, event: Authenticated) -> bool:
    return (event.mode or cell.mode) == "connection"


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


def sessions_suffice(cell: ConnectionCell, event: RequestRefused) -> bool:
    return event.refused_by == "max_sessions"


def limits_refuse(cell: ConnectionCell, event: RequestRefused) -> bool:
    """The sessions of its user or its address, in all connections together."""
    return event.refused_by == "limits"


# Makers


def note(cell: ConnectionCell, event: ConnectionOpened) -> Effects:
    cell.mode, cell.image, cell.seconds = event.mode, event.image, dict(event.seconds)
    cell.called = event.container
    cell.container = event.container if event.mode == "connection" else ""
    return ()


def turn_away(cell: ConnectionCell, event: ConnectionOpened) -> Effects:
    assert event.reached is not None
    return *note(cell, event), CloseConnection(why=limits.with_code(event.reached))


def serve(cell: ConnectionCell, event: Authenticated) -> Effects:
    """What it connected with was the file's; this is its own."""
    cell.mode, cell.image = event.mode or cell.mode, event.image or cell.image
    cell.container = cell.called if cell.mode == "connection" else ""
    cell.timers = tuple(event.timers)
    return tuple(StartTimer(timer=timer, started=started) for timer, started in event.timers.items())


def land(cell: ConnectionCell, event: Authenticated) -> Effects:
    timers = serve(cell, event)
    return LandContainer(container=cell.container, image=cell.image), *timers


def strand(cell: ConnectionCell, event: Authenticated) -> Effects:
    """There is nothing for this client, and each of its sessions is told so."""
    cell.container = ""
    code = codes.MOORAGE_TEMPLATE_REFUSED if event.unsettled == "template" else codes.BACKEND_CONFIG_ERROR
    cell.failed = ContainerFailed(code=code.name, why=code.user.format(template=event.template))
    return ()


def crowd_out(cell: ConnectionCell, event: Authenticated) -> Effects:
    """Let in, so that its sessions can be told why there is nothing to run in."""
    assert event.reached is not None
    cell.container = ""
    cell.failed = limits.failure(event.reached)
    return ()


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


def end_in_time(cell: ConnectionCell, event: LimitPassed) -> Effects:
    """As when the server ends, but in the limit's words."""
    cell.passed = event
    return terminate(cell, TerminateWanted(why=event.why, by=event.code))


def close(cell: ConnectionCell, event: Event) -> Effects:
    return *_release(cell, "the connection is being closed"), CloseConnection(why=_reason(cell, event))


def close_ended(cell: ConnectionCell, event: SessionEnded) -> Effects:
    return *forget(cell, event), *close(cell, event)


def abort(cell: ConnectionCell, event: Event) -> Effects:
    return (AbortConnection(),)


def release(cell: ConnectionCell, event: Disconnected) -> Effects:
    return _release(cell, event.why or "the client has disconnected")


def _release(cell: ConnectionCell, why: str) -> Effects:
    container = (Tell(to=cell.container, event=StopWanted(why=why)),) if cell.container else ()
    return *container, *(Tell(to=timer, event=TimerStopped()) for timer in cell.timers)


def _tell(cell: ConnectionCell, event: Event) -> Effects:
    return tuple(Tell(to=session, event=event) for session in cell.sessions)


def _reason(cell: ConnectionCell, event: Event) -> str:
    match event:
        case ShimFailed():
            return codes.MOORAGE_CONNECTION_CRASHED.user
        case LimitPassed(why=why, code=code):
            return f"{why} ({code})"
        case SessionEnded() if cell.passed is not None:
            return f"{cell.passed.why} ({cell.passed.code})"
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
NOT_YOURS, UNSETTLED = codes.MOORAGE_TEMPLATE_REFUSED, codes.BACKEND_CONFIG_ERROR
ENDING = codes.MOORAGE_TERMINATING
CONNECTIONS, CONTAINERS = codes.MOORAGE_LIMIT_CONNECTIONS, codes.MOORAGE_LIMIT_CONTAINERS
SESSIONS, LOGINS = codes.MOORAGE_LIMIT_SESSIONS, codes.MOORAGE_LIMIT_LOGIN_RATE

# fmt: off
ROWS = (
    #   id        in state       on                   to             do           when                says
    Row("CN0102", S.NEW,         ConnectionOpened,    S.CLOSING,     turn_away,   address_has_enough, (CONNECTED, CONNECTIONS)),
    Row("CN0101", S.NEW,         ConnectionOpened,    S.HANDSHAKING, note,        None,               (CONNECTED,)),

    Row("CN0201", S.HANDSHAKING, AuthFailed,          None,          None,        None,               (NO,)),
    Row("CN0211", S.HANDSHAKING, Authenticated,       S.STRANDED,    strand,      may_not_choose,     (*YES, NOT_YOURS, REJECTED)),
    Row("CN0212", S.HANDSHAKING, Authenticated,       S.STRANDED,    strand,      has_no_settings,    (*YES, UNSETTLED, REJECTED)),
    Row("CN0213", S.HANDSHAKING, Authenticated,       S.STRANDED,    crowd_out,   enough_connections, (*YES, CONNECTIONS)),
    Row("CN0214", S.HANDSHAKING, Authenticated,       S.STRANDED,    crowd_out,   enough_containers,  (*YES, CONTAINERS)),
    Row("CN0215", S.HANDSHAKING, Authenticated,       S.STRANDED,    crowd_out,   enough_logins,      (*YES, LOGINS)),
    Row("CN0202", S.HANDSHAKING, Authenticated,       S.LANDING,     land,        mode_is_connection, YES),
    Row("CN0203", S.HANDSHAKING, Authenticated,       S.SERVING,     serve,       None,               YES),
    Row("CN0204", S.HANDSHAKING, DeadlinePassed,      S.CLOSING,     close,       None,               (LATE, NO_LOGIN), GRACE),
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
    Row("CN0317", S.LANDING,     RequestRefused,      None,          None,        limits_refuse,      (SESSIONS,)),
    Row("CN0307", S.LANDING,     RequestRefused,      None,          None,        None,               (REFUSED,)),
    Row("CN0308", S.LANDING,     Disconnected,        S.CLOSED,      release,     None,               (DISCONNECTED,)),
    Row("CN0309", S.LANDING,     ShimFailed,          S.CLOSING,     close,       None,               (CRASHED,)),
    Row("CN0310", S.LANDING,     DrainWanted,         None,          note_drain),  # it may land and run first
    Row("CN0311", S.LANDING,     TerminateWanted,     S.CLOSING,     close,       None,               (ENDING,)),
    Row("CN0312", S.LANDING,     CloseWanted,         S.CLOSING,     close),
    Row("CN0318", S.LANDING,     LimitNears,          None,          pass_on),
    Row("CN0319", S.LANDING,     LimitPassed,         S.CLOSING,     close),

    Row("CN0401", S.SERVING,     SessionOpened,       None,          welcome),
    Row("CN0402", S.SERVING,     SessionEnded,        None,          forget),
    Row("CN0403", S.SERVING,     ContainerExited,     S.STRANDED,    died,        None,               (DIED,)),
    Row("CN0412", S.SERVING,     RequestRefused,      None,          None,        no_forward,         (FORWARD,)),
    Row("CN0413", S.SERVING,     RequestRefused,      None,          None,        no_reverse,         (REVERSE,)),
    Row("CN0414", S.SERVING,     RequestRefused,      None,          None,        sessions_suffice,   (ENOUGH,)),
    Row("CN0415", S.SERVING,     RequestRefused,      None,          None,        limits_refuse,      (SESSIONS,)),
    Row("CN0404", S.SERVING,     RequestRefused,      None,          None,        None,               (REFUSED,)),
    Row("CN0405", S.SERVING,     Disconnected,        S.CLOSED,      release,     None,               (DISCONNECTED,)),
    Row("CN0406", S.SERVING,     ShimFailed,          S.CLOSING,     close,       None,               (CRASHED,)),
    Row("CN0407", S.SERVING,     DrainWanted,         S.CLOSING,     close,       has_no_session),
    Row("CN0408", S.SERVING,     DrainWanted,         S.DRAINING),
    Row("CN0411", S.SERVING,     TerminateWanted,     S.CLOSING,     close,       has_no_session,     (ENDING,)),
    Row("CN0409", S.SERVING,     TerminateWanted,     S.DRAINING,    terminate,   None,               (ENDING,)),
    Row("CN0410", S.SERVING,     CloseWanted,         S.CLOSING,     close),
    Row("CN0416", S.SERVING,     LimitNears,          None,          pass_on),
    Row("CN0417", S.SERVING,     LimitPassed,         S.CLOSING,     close,       has_no_session),
    Row("CN0418", S.SERVING,     LimitPassed,         S.DRAINING,    end_in_time),

    Row("CN0501", S.STRANDED,    SessionOpened,       None,          welcome),
    Row("CN0502", S.STRANDED,    SessionEnded,        S.CLOSING,     close_ended, was_last_session),
    Row("CN0503", S.STRANDED,    SessionEnded,        None,          forget),
    Row("CN0504", S.STRANDED,    DeadlinePassed,      S.CLOSING,     close,       None,               (), FAREWELL),
    Row("CN0511", S.STRANDED,    RequestRefused,      None,          None,        no_forward,         (FORWARD,)),
    Row("CN0512", S.STRANDED,    RequestRefused,      None,          None,        no_reverse,         (REVERSE,)),
    Row("CN0513", S.STRANDED,    RequestRefused,      None,          None,        sessions_suffice,   (ENOUGH,)),
    Row("CN0514", S.STRANDED,    RequestRefused,      None,          None,        limits_refuse,      (SESSIONS,)),
    Row("CN0505", S.STRANDED,    RequestRefused,      None,          None,        None,               (REFUSED,)),
    Row("CN0506", S.STRANDED,    Disconnected,        S.CLOSED,      release,     None,               (DISCONNECTED,)),
    Row("CN0507", S.STRANDED,    ShimFailed,          S.CLOSING,     close,       None,               (CRASHED,)),
    Row("CN0508", S.STRANDED,    DrainWanted,         None),  # it is on its way out already
    Row("CN0509", S.STRANDED,    TerminateWanted,     None),
    Row("CN0510", S.STRANDED,    CloseWanted,         S.CLOSING,     close),
    Row("CN0515", S.STRANDED,    LimitNears,          None),
    Row("CN0516", S.STRANDED,    LimitPassed,         None),

    Row("CN0601", S.DRAINING,    SessionOpened,       None,          welcome),  # it was under way when the drain began
    Row("CN0602", S.DRAINING,    SessionEnded,        S.CLOSING,     close_ended, was_last_session),
    Row("CN0603", S.DRAINING,    SessionEnded,        None,          forget),
    Row("CN0604", S.DRAINING,    ContainerExited,     S.STRANDED,    died),  # expected after our TERM
    Row("CN0611", S.DRAINING,    RequestRefused,      None,          None,        no_forward,         (FORWARD,)),
    Row("CN0612", S.DRAINING,    RequestRefused,      None,          None,        no_reverse,         (REVERSE,)),
    Row("CN0613", S.DRAINING,    RequestRefused,      None,          None,        sessions_suffice,   (ENOUGH,)),
    Row("CN0614", S.DRAINING,    RequestRefused,      None,          None,        limits_refuse,      (SESSIONS,)),
    Row("CN0605", S.DRAINING,    RequestRefused,      None,          None,        None,               (REFUSED,)),
    Row("CN0606", S.DRAINING,    Disconnected,        S.CLOSED,      release,     None,               (DISCONNECTED,)),
    Row("CN0607", S.DRAINING,    ShimFailed,          S.CLOSING,     close,       None,               (CRASHED,)),
    Row("CN0608", S.DRAINING,    DrainWanted,         None),
    Row("CN0609", S.DRAINING,    TerminateWanted,     None,          terminate,   None,               (ENDING,)),
    Row("CN0610", S.DRAINING,    CloseWanted,         S.CLOSING,     close),
    Row("CN0615", S.DRAINING,    LimitNears,          None,          pass_on),
    Row("CN0616", S.DRAINING,    LimitPassed,         None,          end_in_time),

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
    Row("CN0716", S.CLOSING,     LimitNears,          None),
    Row("CN0717", S.CLOSING,     LimitPassed,         None),
)
# fmt: on

CONNECTION = Kind("connection", S, S.NEW, ROWS, DEADLINES, final=(S.CLOSED,), cell=ConnectionCell)

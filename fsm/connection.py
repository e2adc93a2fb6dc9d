"""One SSH connection, from accept to close. In mode `connection` it owns the container that its sessions run in.

Provisioning starts when authentication succeeds, not when the first channel asks: by then the container mostly runs.
"""

from fsm import limits
from fsm.kernel import Cell, Effects
from protocol import codes
from protocol.base import DeadlinePassed, Event, Tell
from protocol.connection import (
    AbortConnection,
    Authenticated,
    CloseConnection,
    CloseWanted,
    ConnectionOpened,
    Disconnected,
    DrainWanted,
    LandContainer,
    LimitPassed,
    RequestRefused,
    SessionEnded,
    SessionOpened,
    ShimFailed,
    StartTimer,
    TerminateWanted,
)
from protocol.connection import ConnectionState as S
from protocol.container import ContainerExited, ContainerFailed, ContainerLanded, StopWanted
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


def spoke_no_ssh(cell: ConnectionCell, event: Disconnected) -> bool:
    return event.cause == "not_ssh"


def fell_silent(cell: ConnectionCell, event: Disconnected) -> bool:
    return event.cause == "silent"


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

"""One session channel, from its opening to its exit status: the makers. Rows: `session_rows`.

In mode `connection` the program is an engine exec in the connection's container; in mode `session` it is the main
program of a container of the session's own. What differs is guarded by `mode_is_session`; what is told to the user, and
in which order the channel ends, is the same.
"""

from fsm.kernel import Effects
from fsm.session_cell import STATUS_KILLED, STATUS_LOST, STATUS_NOT_RUN, SessionCell, signal_of
from fsm.session_words import REFUSALS, death, last_words, why_of
from protocol import codes
from protocol.base import DeadlinePassed, Event, Size, Tell
from protocol.codes import Code
from protocol.connection import LandContainer, LimitNears, SessionEnded, TerminateWanted
from protocol.container import (
    ContainerExited,
    ContainerFailed,
    ContainerLanded,
    ContainerProgressed,
    StopWanted,
)
from protocol.session import (
    AttachExec,
    ChannelClosed,
    ChannelOpened,
    CreateExec,
    DropChannel,
    DropStream,
    ExecCreated,
    ExecInspected,
    InspectExec,
    OpenTerminal,
    OrderSignal,
    OutputEnded,
    ProgramExited,
    ProgramSpawned,
    ProgramWanted,
    PtyWanted,
    ResizeProgram,
    SendExit,
    SignalProgram,
    SignalWanted,
    SpawnFailed,
    SpawnProgram,
    TellUser,
    WindowChanged,
)
from protocol.signal import SignalDelivered, SignalOrdered
from protocol.terminal import SizeWanted, TerminalClosed, TerminalOpened

# Makers: what is noted


def open_(cell: SessionCell, event: ChannelOpened) -> Effects:
    cell.session, cell.connection, cell.image = event.session, event.connection, event.image
    cell.mode, cell.can_size_first, cell.seconds = event.mode, event.can_size_first, dict(event.seconds)
    cell.container = event.container if event.mode == "session" else ""
    cell.failed = event.failed
    return ()


def note_pty(cell: SessionCell, event: PtyWanted) -> Effects:
    cell.pty, cell.size = True, _drawn(event.size)
    return ()


def note_size(cell: SessionCell, event: WindowChanged) -> Effects:
    cell.size = (_drawn(event.size) or cell.size) if cell.pty else None
    return ()


def note_landed(cell: SessionCell, event: ContainerLanded) -> Effects:
    cell.landed, cell.served, cell.runs_in = event.id, event.served, event.container
    return ()


def note_failed(cell: SessionCell, event: ContainerFailed) -> Effects:
    cell.failed = event
    return ()


def note_died(cell: SessionCell, event: ContainerExited) -> Effects:
    cell.failed = death(event)
    return ()


def note_exit(cell: SessionCell, event: ContainerExited) -> Effects:
    cell.exit = event
    return ()


def note_program_exit(cell: SessionCell, event: ProgramExited) -> Effects:
    cell.exited = event
    return ()


def note_spawned(cell: SessionCell, event: ProgramSpawned) -> Effects:
    cell.target = str(event.pid)
    return ()


def note_output_ended(cell: SessionCell, event: OutputEnded) -> Effects:
    cell.output_ended, cell.broken = True, event.error
    return ()


def note_signal(cell: SessionCell, event: SignalDelivered) -> Effects:
    cell.signals = (*cell.signals, event.signal)
    return ()


# Makers: towards a running program


def land_own(cell: SessionCell, event: ProgramWanted) -> Effects:
    cell.program = event.program
    return (LandContainer(container=cell.container, image=cell.image, tty=cell.pty, size=_first_size(cell)),)


def wait_for_container(cell: SessionCell, event: ProgramWanted) -> Effects:
    cell.program = event.program
    return ()


def create_exec(cell: SessionCell, event: Event) -> Effects:
    if isinstance(event, ProgramWanted):
        cell.program = event.program
    if isinstance(event, ContainerLanded):
        cell.landed = event.id
    if not isinstance(event, DeadlinePassed):
        cell.tries = 0
    return (CreateExec(container=cell.landed, program=cell.program, tty=cell.pty, size=_first_size(cell)),)


def attach_exec(cell: SessionCell, event: ExecCreated) -> Effects:
    cell.target, cell.tries = event.exec, 0
    return (AttachExec(exec=cell.target, tty=cell.pty, size=_first_size(cell)),)


def _first_size(cell: SessionCell) -> Size | None:
    """What the program starts with, where the engine takes one."""
    cell.started_size = cell.size if cell.can_size_first else None
    return cell.started_size


def run_exec(cell: SessionCell, event: Event) -> Effects:
    return _open_terminal(cell, "exec")


def run_own(cell: SessionCell, event: ContainerLanded) -> Effects:
    cell.landed = cell.target = event.id
    held, cell.held = cell.held, ()
    orders = [order for name in held for order in signal(cell, SignalWanted(signal=name))]
    return *_open_terminal(cell, "container"), *orders


def spawn(cell: SessionCell, event: Event) -> Effects:
    """The link keeps the order, so signals that came too early follow at once."""
    if isinstance(event, ProgramWanted):
        cell.program = event.program
    if isinstance(event, ContainerLanded):
        note_landed(cell, event)
    held, cell.held = cell.held, ()
    order = SpawnProgram(container=cell.runs_in, program=cell.program, tty=cell.pty, size=cell.size)
    return order, *(SignalProgram(signal=name) for name in held)


def _open_terminal(cell: SessionCell, target: str) -> Effects:
    """The size goes along when it is not the one that the program started with."""
    if not cell.pty:
        return ()
    cell.terminal = f"{cell.session}-tty"
    size = cell.size if cell.size != cell.started_size else None
    opened = TerminalOpened(
        target="exec" if target == "exec" else "container",
        id=cell.target,
        size=size,
        seconds={"window": cell.seconds["window"]},
    )
    return (OpenTerminal(terminal=cell.terminal, opened=opened),)


# Makers: while it runs


def resize(cell: SessionCell, event: WindowChanged) -> Effects:
    if not cell.terminal or _drawn(event.size) is None:
        return ()
    return (Tell(to=cell.terminal, event=SizeWanted(size=event.size)),)


def signal(cell: SessionCell, event: SignalWanted) -> Effects:
    cell.children += 1
    ordered = SignalOrdered(
        session=cell.session, id=cell.target, signal=event.signal, seconds={"signal": cell.seconds["signal"]}
    )
    return (OrderSignal(actor=f"{cell.session}-signal-{cell.children}", ordered=ordered),)


def resize_program(cell: SessionCell, event: WindowChanged) -> Effects:
    if not cell.pty or _drawn(event.size) is None:
        return ()
    return (ResizeProgram(size=event.size),)


def signal_program(cell: SessionCell, event: SignalWanted) -> Effects:
    return (SignalProgram(signal=event.signal),)


def hold_signal(cell: SessionCell, event: SignalWanted) -> Effects:
    """Its output may reach the client before the engine's word reaches us that it has started."""
    if event.signal not in cell.held:
        cell.held = (*cell.held, event.signal)
    return ()


def show_progress(cell: SessionCell, event: ContainerProgressed) -> Effects:
    return (TellUser(text=event.line),)


def tell_limit(cell: SessionCell, event: LimitNears) -> Effects:
    return (TellUser(text=event.why, code=event.code),)


def tell_terminating(cell: SessionCell, event: TerminateWanted) -> Effects:
    """A served program and one that is a container's own is sent TERM; an exec ends with its connection's container."""
    sentence = last_words(event, codes.MOORAGE_TERMINATING)
    if cell.served:
        return sentence, SignalProgram(signal="TERM")
    return (sentence, Tell(to=cell.container, event=event)) if cell.container else (sentence,)


# Makers: the end


def refuse(cell: SessionCell, event: ProgramWanted) -> Effects:
    unknown = codes.DOCKER_SUBSYSTEM_NOT_SUPPORTED if event.program == "subsystem" else codes.MOORAGE_COMMAND_REFUSED
    code = REFUSALS.get((event.refused_by, event.program), unknown)
    return _give_up(code, event.why, STATUS_NOT_RUN)


def tell_no_tty(cell: SessionCell, event: PtyWanted) -> Effects:
    return _tell_once(cell, codes.SECURITY_TTY_REJECTED)


def tell_no_signal(cell: SessionCell, event: SignalWanted) -> Effects:
    return _tell_once(cell, codes.SECURITY_SIGNAL_REJECTED)


def give_up(cell: SessionCell, event: Event) -> Effects:
    failed = event if isinstance(event, ContainerFailed) else cell.failed
    if isinstance(event, ContainerExited):
        failed = death(event)
    assert failed is not None
    return TellUser(text=failed.why, code=failed.code), SendExit(status=STATUS_NOT_RUN)


def turn_away(cell: SessionCell, event: TerminateWanted) -> Effects:
    """It has no program yet. Its own container, if there is one under way, goes too."""
    sentence = last_words(event, codes.DOCKER_CONTAINER_SHUTTING_DOWN)
    return *leave(cell, event), sentence, SendExit(status=STATUS_NOT_RUN)


def fail_create(cell: SessionCell, event: Event) -> Effects:
    return _give_up(codes.DOCKER_EXEC_CREATE_FAILED, why_of(cell, event), STATUS_NOT_RUN)


def fail_attach(cell: SessionCell, event: Event) -> Effects:
    return DropStream(), *_give_up(codes.DOCKER_EXEC_ATTACH_FAILED, why_of(cell, event), STATUS_NOT_RUN)


def fail_spawn(cell: SessionCell, event: Event) -> Effects:
    status = event.status if isinstance(event, SpawnFailed) else STATUS_NOT_RUN
    return DropStream(), *_give_up(codes.MOORAGE_SPAWN_FAILED, why_of(cell, event), status)


def inspect(cell: SessionCell, event: Event) -> Effects:
    if isinstance(event, OutputEnded):
        cell.output_ended = True
    if not isinstance(event, DeadlinePassed):
        cell.tries = 0
    return (InspectExec(exec=cell.target),)


def ask_again(cell: SessionCell, event: ExecInspected) -> Effects:
    """The engine closes the stream when the program has ended, so this is a moment's lag, and waited for as one."""
    cell.tries += 1
    cell.why = "the engine says that it still runs" if event.status is None else f"it ended with {event.status}"
    cell.seconds["backoff"] = round(min(1.0, 0.005 * 2 ** min(cell.tries - 1, 8)) * (1.0 - event.dice / 2), 4)
    return ()


def finish_exec(cell: SessionCell, event: ExecInspected) -> Effects:
    assert event.status is not None
    return *_close_terminal(cell), *_memory(event.oom), SendExit(status=event.status)


def finish_own(cell: SessionCell, event: Event) -> Effects:
    """Session mode, both known: the output is out and the container has ended."""
    exit_ = event if isinstance(event, ContainerExited) else cell.exit
    assert exit_ is not None
    name = signal_of(cell, exit_.status, exit_.oom)
    message = "out of memory" if exit_.oom else ""
    return *_close_terminal(cell), *_memory(exit_.oom), SendExit(status=exit_.status, signal=name, message=message)


def _memory(oom: bool) -> Effects:
    code = codes.MOORAGE_OUT_OF_MEMORY
    return (TellUser(text=code.user, code=code.name),) if oom else ()


def finish_program(cell: SessionCell, event: Event) -> Effects:
    """Served, both known: the output is out and the agent has told how the program ended."""
    exited = event if isinstance(event, ProgramExited) else cell.exited
    assert exited is not None
    return (SendExit(status=exited.status, signal=exited.signal, core=exited.core),)


def finish_dead(cell: SessionCell, event: Event) -> Effects:
    """The container ended under the program."""
    exit_ = event if isinstance(event, ContainerExited) else cell.exit
    assert exit_ is not None
    died = death(exit_)
    sentence = TellUser(text=died.why, code=died.code)
    return *_close_terminal(cell), sentence, SendExit(status=STATUS_KILLED)


def finish_lost(cell: SessionCell, event: Event) -> Effects:
    return (*_close_terminal(cell), *_give_up(codes.DOCKER_EXIT_CODE_FAILED, why_of(cell, event), STATUS_LOST))


def finish_broken(cell: SessionCell, event: Event) -> Effects:
    """Whatever the program's own status is or will be: a part of its output is missing, and that must not look well."""
    why = event.error if isinstance(event, OutputEnded) else cell.broken
    own = (Tell(to=cell.container, event=StopWanted(why=why)),) if cell.container else ()
    sentence = _give_up(codes.DOCKER_STREAM_OUTPUT_FAILED, why, STATUS_LOST)
    return (*_close_terminal(cell), *own, *sentence)


def drop_channel(cell: SessionCell, event: Event) -> Effects:
    return (DropChannel(),)


def leave(cell: SessionCell, event: Event) -> Effects:
    """The channel is gone or will be: nothing of this session may go on."""
    own = (Tell(to=cell.container, event=StopWanted(why="its session has ended")),) if cell.container else ()
    return *_close_terminal(cell), *own, DropStream()


def end(cell: SessionCell, event: ChannelClosed) -> Effects:
    return *leave(cell, event), Tell(to=cell.connection, event=SessionEnded(session=cell.session))


def _close_terminal(cell: SessionCell) -> Effects:
    terminal, cell.terminal = cell.terminal, ""
    return (Tell(to=terminal, event=TerminalClosed()),) if terminal else ()


def _give_up(code: Code, why: str, status: int) -> Effects:
    return TellUser(text=code.user.format(why=why), code=code.name), SendExit(status=status)


def _tell_once(cell: SessionCell, code: Code) -> Effects:
    """A client can ask as often as it likes; the sentence is for its user, and one is enough."""
    if code.name in cell.told:
        return ()
    cell.told = (*cell.told, code.name)
    return (TellUser(text=code.user, code=code.name),)


def _drawn(size: Size) -> Size | None:
    """RFC 4254 section 6.2: dimensions of zero are to be ignored."""
    return size if size.columns > 0 and size.rows > 0 else None

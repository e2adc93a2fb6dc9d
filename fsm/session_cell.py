"""What a session remembers, and the questions its rows ask of that. Rows: `session_rows`, makers: `session`."""

from fsm.retry import RetryCell
from protocol.base import Event, Size
from protocol.container import ContainerExited, ContainerFailed, ContainerLanded
from protocol.session import (
    EnvOffered,
    ExecInspected,
    ExecInspectFailed,
    OddRequest,
    OutputEnded,
    Program,
    ProgramExited,
    ProgramWanted,
    PtyWanted,
    SignalWanted,
)
from protocol.session import SessionState as S
from protocol.settings import ExecutionMode
from protocol.signal import SIGNAL_NUMBERS

COMMAND = "command_start"  # docker.timeouts.commandStart: exec create and attach
EXIT = "exit_code"  # how long the engine may take to say how the program ended
CLOSE = "close"  # from our close to the client's

# What `docker run` answers when the engine could not run the program at all, and ssh(1) when the outcome is not known.
STATUS_NOT_RUN = 125
STATUS_LOST = 255
STATUS_KILLED = 137
# The engine tells of a killed exec some milliseconds before it tells that the container has ended with it.
KILLED_ASKED_MAX = 6


class SessionCell(RetryCell):
    """`target` is what runs: the exec's id, or in session mode the container's. `signals` were delivered to it."""

    state: str = S.OPEN.name
    session: str = ""
    connection: str = ""
    container: str = ""  # the actor of its own container, in session mode
    image: str = ""
    mode: ExecutionMode = "connection"
    can_size_first: bool = False
    served: bool = False  # by the guest agent in the container
    program: Program = "shell"
    pty: bool = False
    size: Size | None = None
    started_size: Size | None = None  # what the program was started with
    landed: str = ""  # the engine's id of the container to run in
    runs_in: str = ""  # the actor of that container
    failed: ContainerFailed | None = None
    target: str = ""
    terminal: str = ""
    children: int = 0
    held: tuple[str, ...] = ()  # signals that came before we heard of its start
    signals: tuple[str, ...] = ()
    exit: ContainerExited | None = None
    exited: ProgramExited | None = None  # as the agent tells it
    output_ended: bool = False
    told: tuple[str, ...] = ()  # codes of refusals that the user has read already
    broken: str = ""  # why the output ended too early


def mode_is_session(cell: SessionCell, event: Event) -> bool:
    return cell.mode == "session"


def program_is_container(cell: SessionCell, event: Event) -> bool:
    """The container's main program is the session's."""
    return cell.mode == "session" and not cell.served


def agent_is_here(cell: SessionCell, event: Event) -> bool:
    """In the container that has landed."""
    return event.served if isinstance(event, ContainerLanded) else cell.served


def program_exit_is_known(cell: SessionCell, event: Event) -> bool:
    return cell.exited is not None


def policy_refuses(cell: SessionCell, event: EnvOffered | PtyWanted | SignalWanted) -> bool:
    """The event carries the answer that the client was given at once."""
    return event.refused_by == "security"


def no_x11(cell: SessionCell, event: OddRequest) -> bool:
    return event.refused_by == "security" and event.what == "x11-req"


def no_exec(cell: SessionCell, event: ProgramWanted) -> bool:
    return event.refused_by == "security" and event.program == "exec"


def no_shell(cell: SessionCell, event: ProgramWanted) -> bool:
    return event.refused_by == "security" and event.program == "shell"


def no_subsystem(cell: SessionCell, event: ProgramWanted) -> bool:
    return event.refused_by == "security" and event.program == "subsystem"


def commands_are_off(cell: SessionCell, event: ProgramWanted) -> bool:
    return event.refused_by == "dockerrun"


def env_is_too_small(cell: SessionCell, event: ProgramWanted) -> bool:
    return event.refused_by == "environment"


def limits_refuse(cell: SessionCell, event: ProgramWanted) -> bool:
    return event.refused_by == "limits"


def is_taken(cell: SessionCell, event: EnvOffered) -> bool:
    return event.taken


def subsystem_is_unknown(cell: SessionCell, event: ProgramWanted) -> bool:
    return not event.admitted and event.program == "subsystem"


def program_is_refused(cell: SessionCell, event: ProgramWanted) -> bool:
    return not event.admitted


def container_has_failed(cell: SessionCell, event: Event) -> bool:
    return cell.failed is not None


def container_is_here(cell: SessionCell, event: Event) -> bool:
    return cell.landed != ""


def user_is_watching(cell: SessionCell, event: Event) -> bool:
    return cell.pty


def output_has_ended(cell: SessionCell, event: Event) -> bool:
    return cell.output_ended


def own_output_has_ended(cell: SessionCell, event: Event) -> bool:
    return cell.mode == "session" and cell.output_ended


def served_output_is_cut(cell: SessionCell, event: OutputEnded) -> bool:
    """The program has ended, and the link before all of its output was here."""
    return cell.exited is not None and event.error != ""


def stream_broke(cell: SessionCell, event: OutputEnded) -> bool:
    return event.error != ""


def own_stream_broke(cell: SessionCell, event: OutputEnded) -> bool:
    return program_is_container(cell, event) and event.error != ""


def stream_has_broken(cell: SessionCell, event: Event) -> bool:
    return cell.broken != ""


def program_has_ended(cell: SessionCell, event: ExecInspected) -> bool:
    return event.status is not None


def container_died_too(cell: SessionCell, event: ExecInspected) -> bool:
    return event.status == STATUS_KILLED and cell.exit is not None


def container_may_have_died(cell: SessionCell, event: ExecInspected) -> bool:
    """Killed by whom? If with its container, we hear of that in a moment, and the user is to hear it too."""
    return event.status == STATUS_KILLED and cell.tries < KILLED_ASKED_MAX


def container_may_be_gone(cell: SessionCell, event: ExecInspectFailed) -> bool:
    """An engine forgets a container's execs before it has told us of its end."""
    return event.fault == "not_found"


def ran_out_of_memory(cell: SessionCell, event: ExecInspected) -> bool:
    return event.oom


def own_ran_out_of_memory(cell: SessionCell, event: Event) -> bool:
    exit_ = event if isinstance(event, ContainerExited) else cell.exit
    return program_is_container(cell, event) and exit_ is not None and exit_.oom


def ended_by_our_signal(cell: SessionCell, event: Event) -> bool:
    """Session mode only: an exec's status does not tell what killed it."""
    exit_ = event if isinstance(event, ContainerExited) else cell.exit
    return program_is_container(cell, event) and exit_ is not None and signal_of(cell, exit_.status, exit_.oom) != ""


def container_has_exited(cell: SessionCell, event: Event) -> bool:
    return cell.exit is not None


def signal_of(cell: SessionCell, status: int, oom: bool) -> str:
    """The signal it ended by, if we can know: one that we delivered, or the kernel's when memory ran out."""
    if oom and status == STATUS_KILLED:
        return "KILL"
    return next((name for name in reversed(cell.signals) if status == 128 + SIGNAL_NUMBERS[name]), "")

"""What is said to the session machine, and what it asks for."""

from enum import Enum
from typing import Literal

from protocol.base import Effect, Event, Fault, Size
from protocol.container import ContainerFailed
from protocol.settings import ExecutionMode
from protocol.signal import SignalOrdered
from protocol.terminal import TerminalOpened

Program = Literal["shell", "exec", "subsystem"]
# What refused a request, where it was no fault of the request itself: the security policy, ContainerSSH's old
# disableCommand, the environment that cannot take what a forced command must see, or the limits.
RefusedBy = Literal["", "security"]
ProgramRefusedBy = Literal["", "security", "dockerrun", "environment", "limits"]


class SessionState(Enum):
    OPEN = "open"
    LANDING = "landing"
    CREATING = "creating"
    CREATING_AGAIN = "creating_again"
    ATTACHING = "attaching"
    SPAWNING = "spawning"
    RUNNING = "running"
    DRAINING = "draining"
    AWAITING_EXIT = "awaiting_exit"
    READING_EXIT = "reading_exit"
    READING_EXIT_AGAIN = "reading_exit_again"
    CLOSING = "closing"
    ENDED = "ended"


class ChannelOpened(Event, frozen=True, kw_only=True, tag="channel_opened"):
    """A session channel (RFC 4254 section 6.1) is open. `seconds` are the deadlines by name.

    `failed`: its connection has come too much, and there is to be no container.
    """

    session: str
    connection: str  # the connection actor's id
    container: str  # the name this session's own container will have, in session mode
    image: str
    mode: ExecutionMode
    can_size_first: bool  # the engine honours ConsoleSize (API 1.42)
    seconds: dict[str, float]
    failed: ContainerFailed | None = None


class EnvOffered(Event, frozen=True, kw_only=True, tag="env_offered"):
    """`env`: the name only; the value waits in the session's vault. Not taken: `why` says why not."""

    name: str
    taken: bool = True
    why: str = ""
    refused_by: RefusedBy = ""


class PtyWanted(Event, frozen=True, kw_only=True, tag="pty_wanted"):
    """Refused by the policy: there will be no terminal, and `why` says which key it was."""

    term: str
    size: Size
    why: str = ""
    refused_by: RefusedBy = ""


class CommandForced(Event, frozen=True, kw_only=True, tag="command_forced"):
    """The program that is wanted next is not what the client asked for: the settings or the key's line insist."""

    origin: Literal["security.forceCommand", "key"]


class ProgramWanted(Event, frozen=True, kw_only=True, tag="program_wanted"):
    """`shell`, `exec` or `subsystem`. `admitted` is the answer the client was given at once, `why` the reason of a no.

    `command` is for people and auditors: the exec string (escaped, cut) or its SHA-256, or the subsystem's name.
    """

    program: Program
    command: str = ""
    admitted: bool = True
    why: str = ""
    refused_by: ProgramRefusedBy = ""


class WindowChanged(Event, frozen=True, kw_only=True, tag="window_changed"):
    size: Size


class SignalWanted(Event, frozen=True, kw_only=True, tag="signal_wanted"):
    """`signal`: the name without SIG, one of RFC 4254 section 6.10. Refused by the policy: it goes nowhere."""

    signal: str
    why: str = ""
    refused_by: RefusedBy = ""


class OddRequest(Event, frozen=True, kw_only=True, tag="odd_request"):
    """A channel request that was answered no: unknown type, unknown signal, malformed."""

    what: str
    why: str
    refused_by: RefusedBy = ""


class InputEnded(Event, frozen=True, kw_only=True, tag="input_ended"):
    """The client sent EOF: the program's stdin has been half-closed, and nothing else happens."""


class OutputEnded(Event, frozen=True, kw_only=True, tag="output_ended"):
    """The engine's stream has ended and all of it is on its way to the client. `error`: it broke."""

    error: str = ""
    bytes_in: int = 0
    bytes_out: int = 0


class ChannelClosed(Event, frozen=True, kw_only=True, tag="channel_closed"):
    """The channel is gone: we closed it, the client did, or the connection was lost (`why`)."""

    why: str = ""


class ExecCreated(Event, frozen=True, kw_only=True, tag="exec_created"):
    exec: str


class ExecCreateFailed(Fault, frozen=True, kw_only=True, tag="exec_create_failed"): ...


class ExecAttached(Event, frozen=True, kw_only=True, tag="exec_attached"): ...


class ExecAttachFailed(Fault, frozen=True, kw_only=True, tag="exec_attach_failed"): ...


class ExecInspected(Event, frozen=True, kw_only=True, tag="exec_inspected"):
    """`status` is None while the engine says that it still runs."""

    status: int | None
    oom: bool = False
    dice: float = 0.0


class ExecInspectFailed(Fault, frozen=True, kw_only=True, tag="exec_inspect_failed"): ...


class ProgramSpawned(Event, frozen=True, kw_only=True, tag="program_spawned"):
    """The guest agent has started it. `pid` is the one inside the container."""

    pid: int


class SpawnFailed(Fault, frozen=True, kw_only=True, tag="spawn_failed"):
    """The guest agent could not start it. `status` is what a shell would answer: 127 not found, 126 not to be run."""

    status: int = 125


class ProgramExited(Event, frozen=True, kw_only=True, tag="program_exited"):
    """The guest agent's word on how it ended: `status`, or the `signal` (without SIG) that ended it."""

    status: int = 0
    signal: str = ""
    core: bool = False


class CreateExec(Effect, frozen=True, kw_only=True, tag="create_exec"):
    """argv, env and the command itself come from the session's vault."""

    container: str
    program: Program
    tty: bool
    size: Size | None


class AttachExec(Effect, frozen=True, kw_only=True, tag="attach_exec"):
    """Start it and join its stream to the channel."""

    exec: str
    tty: bool
    size: Size | None


class InspectExec(Effect, frozen=True, kw_only=True, tag="inspect_exec"):
    exec: str


class SpawnProgram(Effect, frozen=True, kw_only=True, tag="spawn_program"):
    """Ask the agent in the container of the actor `container`. argv, env and the rest come from the session's vault.

    It has no outcome of its own: `ProgramSpawned` or `SpawnFailed` comes over the link, and later `ProgramExited`.
    """

    container: str
    program: Program
    tty: bool
    size: Size | None


class SignalProgram(Effect, frozen=True, kw_only=True, tag="signal_program"):
    """Through the agent: to its process group, or, at a terminal, to the one in the foreground."""

    signal: str


class ResizeProgram(Effect, frozen=True, kw_only=True, tag="resize_program"):
    size: Size


class TellUser(Effect, frozen=True, kw_only=True, tag="tell_user"):
    """One sentence on the channel's stderr. `code` is its message code."""

    text: str
    code: str = ""


class SendExit(Effect, frozen=True, kw_only=True, tag="send_exit"):
    """EOF, then `exit-status` (or `exit-signal` when `signal` is set), then close."""

    status: int
    signal: str = ""
    message: str = ""
    core: bool = False


class DropChannel(Effect, frozen=True, kw_only=True, tag="drop_channel"):
    """Close the channel now, sent or not."""


class DropStream(Effect, frozen=True, kw_only=True, tag="drop_stream"):
    """Let go of the engine's stream."""


class OpenTerminal(Effect, frozen=True, kw_only=True, tag="open_terminal"):
    """Start a terminal actor called `terminal` with this first event."""

    terminal: str
    opened: TerminalOpened


class OrderSignal(Effect, frozen=True, kw_only=True, tag="order_signal"):
    """Start a signal actor called `actor` with this first event."""

    actor: str
    ordered: SignalOrdered


OUTCOMES: dict[type[Effect], tuple[type[Event], type[Fault]]] = {
    CreateExec: (ExecCreated, ExecCreateFailed),
    AttachExec: (ExecAttached, ExecAttachFailed),
    InspectExec: (ExecInspected, ExecInspectFailed),
}

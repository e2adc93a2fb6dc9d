"""The two sides an actor deals with, as typed verbs: the engine, and a session's channel.

`actors/engine` and `moorage.testing` implement `Engine`; `actors/ssh` implements `Channel`. They never meet except
through protocol messages and `pump.py`. No library's name appears here.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from fsm.policy import ChannelRefusal
from protocol.base import Event, FaultClass, Size
from protocol.container import Link
from protocol.settings import Settings

if TYPE_CHECKING:
    from actors.login import AuthPort, LoginTransport
    from actors.pump import Pump


class OutsideFault(Exception):
    """Something outside of us did not do what was asked. `fault` is its class, `why` its own sentence."""

    def __init__(self, fault: FaultClass, why: str) -> None:
        super().__init__(f"{fault}: {why}")
        self.fault: FaultClass = fault
        self.why = why


class EngineFault(OutsideFault):
    """The engine did not do what was asked. `fault` is classed by status code, `why` is the engine's own sentence."""


class ContainerOrder(Struct, frozen=True, kw_only=True):
    """All that one container is made from. Env values live here and nowhere in a message.

    `container`, `host`, `network`, `platform` are Docker Engine API objects in the API's own spelling (settings.py has
    normalised them); the fields below are laid over them. `token` is unique per container and goes into the label
    `moorage.token`: a name conflict with a container that carries it is our own earlier try, and counts as created.
    """

    name: str
    token: str
    image: str
    container: Mapping[str, Any] = {}
    host: Mapping[str, Any] = {}
    network: Mapping[str, Any] = {}
    platform: Mapping[str, Any] = {}
    command: Sequence[str] | None = None  # None: the image's own CMD
    entrypoint: Sequence[str] | None = None  # None: the image's own; []: none
    env: Mapping[str, str] = {}
    labels: Mapping[str, str] = {}
    tty: bool = False
    stdin: bool = False  # OpenStdin, StdinOnce and all three attached
    size: Size | None = None  # ConsoleSize, where the API honours it
    files: Mapping[str, bytes] = {}  # put into it before it starts


class ExecOrder(Struct, frozen=True, kw_only=True):
    """One program in a running container."""

    container: str  # id or name
    command: Sequence[str]
    env: Mapping[str, str] = {}
    tty: bool = False
    size: Size | None = None
    user: str = ""
    directory: str = ""


class ImageCommand(Struct, frozen=True, kw_only=True):
    """What an image runs by itself: its ENTRYPOINT and its CMD."""

    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()


class SpawnOrder(Struct, frozen=True, kw_only=True):
    """One program for a guest agent to start. `env` is laid over the container's own."""

    argv: Sequence[str]
    env: Mapping[str, str] = {}
    tty: bool = False
    size: Size | None = None
    modes: bytes = b""  # encoded terminal modes, RFC 4254 section 8


class Exit(Struct, frozen=True, kw_only=True):
    """How a program or container ended. `oom` is the engine's own word that memory ran out."""

    status: int
    oom: bool = False


class FoundContainer(Struct, frozen=True, kw_only=True):
    """A container that carries our instance label, as `list_containers` finds it."""

    id: str
    name: str
    labels: Mapping[str, str]


class Sink(Protocol):
    """What an engine stream calls. All four are called in the loop's thread and never block."""

    def output(self, data: bytes | memoryview, stderr: bool) -> None: ...
    def output_ended(self, error: str) -> None:
        """No more output will come; `error` is empty when the engine closed it in order. Called exactly once."""

    def pause_input(self) -> None:
        """The engine's side is full: call `write` no more until `resume_input`."""

    def resume_input(self) -> None: ...


class Stream(Protocol):
    """An attached exec's or container's stdio. Nothing here waits; what is full says so through the sink."""

    @property
    def outlives_output(self) -> bool:
        """The program may have closed its output and still read; else the end of the output is the end of all."""

    def write(self, data: bytes | memoryview) -> None: ...
    def write_eof(self) -> None:
        """Half-close: the program reads end of file on stdin, its output goes on."""

    def pause_output(self) -> None: ...
    def resume_output(self) -> None: ...
    def close(self) -> None:
        """Drop the stream; no sink method is called afterwards."""


class ServedProgram(Stream, Protocol):
    """A program that a guest agent has been asked to start. What is asked of it arrives in the order of asking."""

    def signal(self, name: str) -> None:
        """To its process group; at a terminal, to the one in the foreground. `name` without SIG."""

    def resize(self, size: Size) -> None: ...


class AgentLink(Protocol):
    """The link to the guest agent of one container."""

    order: ContainerOrder  # what the container has to be made from, for the agent to be its first program
    sink: Sink  # where its attached stdio goes, in a link of that kind

    def made(self, container: str) -> None:
        """The engine has made the container and calls it so."""

    def join(self, stream: Stream) -> None:
        """The attached stdio is there."""

    def report(self, hear: Callable[[Event], None]) -> None:
        """From now on `hear` gets `AgentGreeted` (at once if it has) and `LinkLost`."""

    def spawn(self, order: SpawnOrder, sink: Sink, hear: Callable[[Event], None]) -> ServedProgram:
        """`hear` gets `ProgramSpawned` or `SpawnFailed`, and `ProgramExited`. Never raises for a link that is gone."""

    def close(self) -> None:
        """Let go of everything. Nobody hears of it."""


class Agents(Protocol):
    """How the guest agent is brought into containers and spoken to. `kind` is what a probe at the start has found."""

    kind: Link
    probes: set[str]  # tokens of containers that are no login's

    async def open(self, order: ContainerOrder) -> AgentLink:
        """A link for the container that is made from `order`. Raises `EngineFault`."""

    async def mend(self, engine: Any, why: str) -> bool:
        """A container with the agent did not start, `why` is the engine's sentence. Whether it may now."""


class Channel(Protocol):
    """A session's SSH channel, as the pump and the session actor see it."""

    def write(self, data: bytes | memoryview, stderr: bool) -> None: ...
    def write_eof(self) -> None: ...
    def exit_status(self, status: int) -> None:
        """Send `exit-status`."""

    def exit_signal(self, name: str, core: bool, message: str) -> None:
        """Send `exit-signal` (name without SIG)."""

    def close(self) -> None:
        """Close once what has been written is sent."""

    def abort(self) -> None:
        """Close at once, whatever is still unsent."""

    def pause_input(self) -> None: ...
    def resume_input(self) -> None: ...
    def unsent_bytes(self) -> int:
        """Output taken by `write` and not yet on its way to the client."""

    def notify_when_sent(self, callback: Callable[[], None]) -> None:
        """Call back once `unsent_bytes()` is 0 (at once if it is)."""


class Engine(Protocol):
    """Docker Engine API, as far as Moorage needs it. Methods raise `EngineFault` and nothing else.

    Control calls are bounded by `timeouts.http` (a fault of class `timeout`); pulls, waits and streams are not.
    A cancelled call settles on the engine before the cancellation goes on, except pull and wait, which just stop.
    """

    api: tuple[int, int]  # negotiated, e.g. (1, 41)

    async def inspect_image(self, reference: str) -> str:
        """The image's id. `not_found` when it is not on this host."""

    async def image_command(self, reference: str) -> ImageCommand: ...
    async def pull_image(
        self, reference: str, platform: Mapping[str, Any], auth: Mapping[str, str], progress: Callable[[str], None]
    ) -> None:
        """Pull until done. An error inside the stream is a fault. `progress` gets readable lines with sizes."""

    async def create_container(self, order: ContainerOrder) -> str:
        """The new container's id. Creating again after an answer that got lost gives the same container."""

    async def attach_container(self, container: str, tty: bool, sink: Sink) -> Stream:
        """Attach stdin, stdout and stderr. Returns once the engine has switched protocols: `start` may follow."""

    async def start_container(self, container: str) -> None: ...
    async def has_been_started(self, container: str) -> bool:
        """Whether its program has ever run. Only after an answer that got lost does one need to ask."""

    async def wait_container(self, container: str) -> Exit:
        """Wait until it runs no more."""

    async def kill_container(self, container: str, signal: str) -> None: ...
    async def resize_container(self, container: str, size: Size) -> None: ...
    async def rename_container(self, container: str, name: str) -> None: ...
    async def write_files(self, container: str, files: Mapping[str, bytes]) -> None:
        """Into one that is made and need not run: absolute paths, for the container's user alone (mode 0600)."""

    async def container_image(self, container: str) -> str:
        """The id of the image that it was made from."""

    async def remove_container(self, name: str, token: str) -> None:
        """Kill and remove by name or id, only if its token is ours. Gone is done; being removed is `conflict`."""

    async def list_containers(self, labels: Mapping[str, str]) -> list[FoundContainer]:
        """Running or not, those that carry all these labels."""

    async def create_exec(self, order: ExecOrder) -> str:
        """The exec's id."""

    async def start_exec(self, exec_id: str, tty: bool, size: Size | None, sink: Sink) -> Stream: ...
    async def inspect_exec(self, exec_id: str) -> Exit | None:
        """How it ended, or None while it runs."""

    async def resize_exec(self, exec_id: str, size: Size) -> None: ...
    async def close(self) -> None: ...


class Mailbox(Protocol):
    """An actor as others see it."""

    id: str

    def post(self, event: Event) -> None:
        """What must be heard: outcomes, disconnects, wishes of our own parts. Never refused, never waits."""

    def offer(self, event: Event) -> bool:
        """What a peer can send as often as it likes. False: 64 are waiting already, and this one is not taken."""


class ConnectionPort(Mailbox, Protocol):
    """A connection actor, as its callbacks see it. `settings` are those that hold for it.

    `files` is for the login to fill: what web services want to be in the user's containers.
    """

    settings: Settings
    files: Mapping[str, bytes]


class Vault(Struct):
    """What one session knows and no message may carry: environment values and the command as it was sent."""

    env: dict[str, str] = {}
    command: bytes = b""
    subsystem: str = ""
    term: str = ""
    modes: bytes = b""  # encoded terminal modes, RFC 4254 section 8


class SessionPort(Mailbox, Protocol):
    """A session actor, as its channel's callbacks see it."""

    vault: Vault
    pump: "Pump"


class Transport(Protocol):
    """An SSH connection, as its actor sees it."""

    def close(self, why: str) -> None:
        """Send SSH_MSG_DISCONNECT with `why` as its description and close."""

    def abort(self) -> None:
        """Close the socket without a word."""


class Supervisor(Protocol):
    """Where the SSH side brings what arrives. The server actor is one."""

    def connection_made(self, transport: Transport, remote: str) -> ConnectionPort:
        """A connection was accepted: its new actor (which has its `ConnectionOpened` already)."""

    def login_begun(self, connection: ConnectionPort, transport: "LoginTransport", version: str) -> "AuthPort":
        """The client, of that version, is about to log in: its new auth actor."""

    def session_opened(self, connection: ConnectionPort, channel: Channel) -> SessionPort:
        """A session channel opens: its new actor (which has its `ChannelOpened` already), or see `may_open`."""

    def may_open(self, connection: ConnectionPort) -> ChannelRefusal:
        """May this connection open another session?"""

    def turned_away(self) -> None:
        """A connection was closed before its login: `maxStartups` left no room for it."""

    def crashed(self, connection: Mailbox | None, why: str) -> None:
        """An error of ours somewhere in the shim. With no connection to blame it is only logged."""


class ServerPort(Protocol):
    """What the server actor can do to the daemon around it."""

    def stop_accepting(self) -> None:
        """No new connections, and no containers kept ready for them."""

    def refuse_sessions(self) -> None:
        """No further sessions in the connections that are there."""

    def is_arriving(self) -> bool:
        """Is a connection accepted already that has no actor yet?"""

    def start_successor(self, attempt: str, argv: Sequence[str]) -> None:
        """Start the new version. What comes of it is posted: `SuccessorCame`, or `SuccessorFailed`."""

    def pass_sockets(self, attempt: str) -> None:
        """Give the successor the listening sockets. `SuccessorReady` or `SuccessorFailed` follows."""

    def end_attempt(self, attempt: str, why: str) -> None:
        """Tell all who take part how it ended. With a `why` a successor that we have started is ended."""

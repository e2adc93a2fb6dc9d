"""The host's end of a link to one guest agent: programs, their streams and their credit.

Bytes go from protocol to protocol: what the agent sends reaches the session's channel in the call that brought it, and
what the client sends leaves in the call that took it. Every frame is a hostile guest's until it has been checked; one
that breaks the rules ends the link.
"""

import hmac
import os
from collections.abc import Callable
from typing import Protocol

from actors.ports import ContainerOrder, Sink, SpawnOrder, Stream
from protocol.base import Event, FaultClass, Size
from protocol.container import AgentGreeted, LinkLost
from protocol.frame_types import (
    DATA_BYTES_MAX,
    SIGNALS,
    STDERR,
    STDIN,
    STDOUT,
    AgentHello,
    Close,
    Credit,
    Data,
    EndOfFile,
    Err,
    Exit,
    Frame,
    HostHello,
    Ping,
    Resize,
    Signal,
    Spawn,
    Spawned,
    Terminal,
)
from protocol.frames import FrameDecoder, FrameError, data_header, encode
from protocol.session import ProgramExited, ProgramSpawned, SpawnFailed

WINDOW_BYTES = 1024 * 1024  # what each output of a program may send before we take it
RETURN_BYTES = WINDOW_BYTES // 4  # credit goes back in pieces of this size
HELD_BYTES_LOW = 64 * 1024
HEARTBEAT_S = 10.0
SILENCE_MS = 40_000  # three heartbeats lost: the engine that carried them is gone, and so are we
SIGNAL_NAMES = {number: name for name, number in SIGNALS.items()}
MODE_BYTES = 5
MODES_END = 0
# errno of a spawn -> fault class, and what a shell would answer
NOT_FOUND, NOT_TO_BE_RUN = 127, 126
Hear = Callable[[Event], None]


class Wire(Protocol):
    """What carries a link's bytes."""

    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...


class Link:
    """Implements `ports.AgentLink`. `token` is what the agent has to show; `beats`: it ends when it hears nothing."""

    def __init__(self, order: ContainerOrder, token: str, beats: bool) -> None:
        self.order = order
        self.container = ""  # the engine's id, once there is one
        self.sink: Sink = AttachedSink(self)
        self._token, self._beats = token, beats
        self._decoder = FrameDecoder("agent")
        self._wire: Wire | None = None
        self._window = 0  # of a program's stdin
        self._programs: dict[int, Served] = {}
        self._opened = 0
        self._greeted = False
        self._lost: LinkLost | None = None
        self._hear: Hear | None = None
        self.when_closed: Callable[[], None] = lambda: None

    # ports.AgentLink

    def made(self, container: str) -> None:
        self.container = container

    def join(self, stream: Stream) -> None:
        self.carry(stream)

    def report(self, hear: Hear) -> None:
        self._hear = hear
        if self._greeted:
            hear(AgentGreeted())
        if self._lost is not None:
            hear(self._lost)

    def spawn(self, order: SpawnOrder, sink: Sink, hear: Hear) -> "Served":
        self._opened += 1
        program = Served(self, self._opened, sink, hear, self._window, order.tty)
        if self._wire is None:
            program.lost("it is gone")
            return program
        try:
            self.send(encode(_spawn(order, self._opened)))
        except FrameError as error:
            program.refused("invalid", str(error), NOT_TO_BE_RUN)
            return program
        self._programs[program.channel] = program
        return program

    def close(self) -> None:
        self._hear = None
        self._end("we have closed it")

    # The wire's side.

    def carry(self, wire: Wire) -> None:
        """Here are the bytes' ways in and out."""
        self._wire = wire
        self.send(encode(HostHello(window=WINDOW_BYTES, heartbeat_ms=SILENCE_MS if self._beats else 0)))

    def feed(self, data: bytes) -> None:
        """From the agent. What breaks the rules ends the link."""
        if self._lost is not None:
            return
        try:
            for frame in self._decoder.feed(data):
                self._take(frame)
        except FrameError as error:
            self._end(f"it broke the rules: {error}")

    def lost(self, why: str) -> None:
        """The wire is gone."""
        self._end(why or "its connection ended")

    def beat(self) -> None:
        """Let the agent know that we live."""
        if self._beats and self._greeted and self._wire is not None:
            self.send(encode(Ping(mark=bytes(8))))

    def send(self, data: bytes) -> None:
        if self._wire is not None:
            self._wire.write(data)

    def forget(self, channel: int) -> None:
        self._programs.pop(channel, None)

    def _end(self, why: str) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()
        if self._lost is not None:
            return
        self._lost = LinkLost(why=why)
        programs, self._programs = self._programs, {}
        for program in programs.values():
            program.lost(why)
        if self._hear is not None:
            self._hear(self._lost)
        self.when_closed()

    def _take(self, frame: Frame) -> None:
        if self._lost is not None:
            return
        if isinstance(frame, AgentHello):
            if not hmac.compare_digest(frame.token, self._token.encode()):
                self._end("its agent does not know the token")
                return
            self._window, self._greeted = frame.window, True
            if self._hear is not None:
                self._hear(AgentGreeted())
        elif frame.channel == 0:
            if isinstance(frame, Err):
                self._end(f"the agent gave up ({os.strerror(frame.errno)})")
        elif (program := self._programs.get(frame.channel)) is not None:
            program.take(frame)
        else:
            raise FrameError(f"a frame for channel {frame.channel}, which is not open")


class Served:
    """One program. Implements `ports.ServedProgram`: the pump's stream, and the session's signals and sizes."""

    def __init__(self, link: Link, channel: int, sink: Sink, hear: Hear, credit: int, tty: bool) -> None:
        self.channel = channel
        self._link, self._sink, self._hear, self._tty = link, sink, hear, tty
        self._credit = credit  # bytes that its stdin may still be sent
        self._held = bytearray()
        self._full = False  # the sink was told to pause
        self._eof_wanted = self._stdin_closed = False
        self._paused = False
        self._owed = {STDOUT: 0, STDERR: 0}  # taken, and not yet given back as credit
        self._open = {STDOUT} if tty else {STDOUT, STDERR}
        self._silent = False  # closed by us: the sink and the session hear nothing more
        self._ended = False  # the sink knows that the output has ended

    # ports.ServedProgram

    def write(self, data: bytes) -> None:
        if self._stdin_closed or self._silent:
            return
        self._held += data
        self._flush()
        if self._held and not self._full:
            self._full = True
            self._sink.pause_input()

    def write_eof(self) -> None:
        """A terminal has no end of file that is not a character."""
        if not self._tty:
            self._eof_wanted = True
            self._flush()

    def pause_output(self) -> None:
        self._paused = True

    def resume_output(self) -> None:
        self._paused = False
        for stream in self._owed:
            self._give_back(stream)

    def close(self) -> None:
        """End its programs. The agent's last frames for it are not looked at."""
        if not self._silent:
            self._silent = True
            self._link.send(encode(Close(channel=self.channel)))

    def signal(self, name: str) -> None:
        self._ask(Signal(channel=self.channel, number=SIGNALS[name]))

    def resize(self, size: Size) -> None:
        self._ask(Resize(channel=self.channel, rows=size.rows, columns=size.columns))

    # The link's side.

    def take(self, frame: Frame) -> None:
        """A frame for this channel."""
        match frame:
            case Data(stream=stream, piece=piece):
                self._output(stream, bytes(piece))
            case Credit(bytes=more):
                self._credit += more
                self._flush()
            case EndOfFile(stream=0):
                self._stdin_closed = True  # nobody reads it: what is held goes nowhere
                self._held.clear()
                self._resume()
            case EndOfFile(stream=stream):
                self._open.discard(stream)
                if not self._open:
                    self._end("")
            case Spawned(pid=pid):
                self._tell(ProgramSpawned(pid=pid))
            case Exit(how=how, number=number):
                self._tell(_exited(how, number))
            case Err(stage=stage, errno=errno):
                self._fail(stage, errno)
            case Close():
                self._link.forget(self.channel)
                self._end("")

    def lost(self, why: str) -> None:
        """The link is gone, and with it the program."""
        self._stdin_closed = True
        self._end(f"the link to the container is lost: {why}")

    def refused(self, fault: FaultClass, why: str, status: int) -> None:
        self._stdin_closed = True
        self._tell(SpawnFailed(fault=fault, why=why, status=status))

    def _ask(self, frame: Frame) -> None:
        if not self._silent and not self._ended:
            self._link.send(encode(frame))

    def _tell(self, event: Event) -> None:
        if not self._silent:
            self._hear(event)

    def _output(self, stream: int, data: bytes) -> None:
        self._owed[stream] += len(data)
        if self._owed[stream] > WINDOW_BYTES:
            raise FrameError(f"more output on channel {self.channel} than it may send")
        if not self._silent:
            self._sink.output(data, stream == STDERR)
        if not self._paused:
            self._give_back(stream)

    def _give_back(self, stream: int) -> None:
        owed = self._owed[stream]
        if owed >= RETURN_BYTES and not self._silent and stream in self._open:
            self._owed[stream] = 0
            self._link.send(encode(Credit(channel=self.channel, stream=stream, bytes=owed)))

    def _flush(self) -> None:
        while self._held and self._credit:
            piece = bytes(memoryview(self._held)[: min(self._credit, DATA_BYTES_MAX)])
            del self._held[: len(piece)]
            self._credit -= len(piece)
            self._link.send(data_header(self.channel, STDIN, len(piece)) + piece)
        if self._eof_wanted and not self._held and not self._stdin_closed:
            self._stdin_closed = True
            self._link.send(encode(EndOfFile(channel=self.channel, stream=STDIN)))
        if len(self._held) < HELD_BYTES_LOW:
            self._resume()

    def _resume(self) -> None:
        if self._full:
            self._full = False
            if not self._silent:
                self._sink.resume_input()

    def _fail(self, stage: str, errno: int) -> None:
        """What stands behind each stage is the agent's business; what it means to the user is told here."""
        why, fault, status = os.strerror(errno), FAULTS.get(errno, "unavailable"), 125
        if stage in ("exec", "directory"):
            status = NOT_FOUND if fault == "not_found" else NOT_TO_BE_RUN
        what = {"exec": "the program", "directory": "the working directory", "user": "the user"}.get(stage, stage)
        self.refused(fault, f"{what}: {why}", status)

    def _end(self, error: str) -> None:
        if not self._ended:
            self._ended = True
            if not self._silent:
                self._sink.output_ended(error)


class AttachedSink:
    """The link over a container's attached stdio: its stdout is ours, on its stderr the agent says what is wrong."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._complaint = b""

    def output(self, data: bytes, stderr: bool) -> None:
        if stderr:
            self._complaint = (self._complaint + data)[-200:]
        else:
            self._link.feed(data)

    def output_ended(self, error: str) -> None:
        self._link.lost(error or self._complaint.decode(errors="replace").strip())

    def pause_input(self) -> None:
        """Each program's credit is the limit of what can be under way."""

    def resume_input(self) -> None: ...


FAULTS: dict[int, FaultClass] = {2: "not_found", 20: "not_found", 13: "denied", 1: "denied", 8: "invalid", 7: "invalid"}


def _spawn(order: SpawnOrder, channel: int) -> Spawn:
    size = order.size or Size(columns=0, rows=0)
    terminal = Terminal(rows=size.rows, columns=size.columns, modes=terminal_modes(order.modes)) if order.tty else None
    return Spawn(
        channel=channel,
        argv=tuple(word.encode("utf-8", "surrogateescape") for word in order.argv),
        env=tuple(f"{name}={value}".encode() for name, value in order.env.items()),
        inherit_env=True,
        terminal=terminal,
    )


def terminal_modes(encoded: bytes) -> tuple[tuple[int, int], ...]:
    """Opcode and value of each mode; RFC 4254 section 8 ends them at opcode 0, and opcodes from 160 are for later."""
    found: dict[int, int] = {}
    for at in range(0, len(encoded) - MODE_BYTES + 1, MODE_BYTES):
        opcode = encoded[at]
        if opcode == MODES_END or opcode >= 160:
            break
        found[opcode] = int.from_bytes(encoded[at + 1 : at + MODE_BYTES], "big")
    return tuple(found.items())


def _exited(how: str, number: int) -> ProgramExited:
    """A signal without a name in RFC 4254 is told as a shell tells it."""
    if how == "status":
        return ProgramExited(status=number)
    name = SIGNAL_NAMES.get(number, "")
    if not name:
        return ProgramExited(status=128 + number)
    return ProgramExited(status=0, signal=name, core=how == "signal_with_core")

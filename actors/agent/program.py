"""One program that the agent serves: its streams and their credit, and what its frames mean.

The order of an honest agent's frames is fixed (agent/README.md); one that comes out of turn ends the link.
"""

import os
from collections.abc import Callable
from typing import Protocol

from actors.ports import Sink, SpawnOrder
from protocol.base import Event, FaultClass, Size
from protocol.frame_types import (
    DATA_BYTES_MAX,
    SIGNALS,
    STDERR,
    STDIN,
    STDOUT,
    Close,
    Credit,
    Data,
    EndOfFile,
    Err,
    Exit,
    Frame,
    Resize,
    Signal,
    Spawn,
    Spawned,
    Terminal,
)
from protocol.frames import FrameError, data_header, encode
from protocol.session import ProgramExited, ProgramSpawned, SpawnFailed

INPUT_BYTES_MAX = 1024 * 1024  # of a program's stdin, on its way; it waits in the agent, not here
OUTPUT_BYTES_MAX = 256 * 1024  # of each output, on its way: what is held for a client that does not read
RETURN_BYTES = OUTPUT_BYTES_MAX // 2  # credit goes back in pieces of this size
HELD_BYTES_LOW = 64 * 1024
OUTPUTS = (STDOUT, STDERR)
ONE_OUTPUT, BOTH_OUTPUTS = frozenset({STDOUT}), frozenset(OUTPUTS)  # shared: a program holds no set of its own
SIGNAL_NAMES = {number: name for name, number in SIGNALS.items()}
MODE_BYTES = 5
MODES_END = 0
NOT_FOUND, NOT_TO_BE_RUN, NOT_STARTED = 127, 126, 125  # what a shell, and `docker run`, would answer
FAULTS: dict[int, FaultClass] = {2: "not_found", 20: "not_found", 13: "denied", 1: "denied", 8: "invalid", 7: "invalid"}
NO_SUCH_FILE = 2
# What stands behind a stage is the agent's business; what it means to the user is said here.
FAILURES = {
    "exec": "cannot run {program}",
    "directory": "cannot enter the working directory",
    "user": "cannot become the user",
    "terminal": "cannot open a terminal",
    "limit": "too many programs run in this container",
    "resources": "the container has no room for it (processes, memory or files)",
    "protocol": "its agent refused the order",
}
Hear = Callable[[Event], None]


class Carrier(Protocol):
    """The link, as its programs see it."""

    choked: bool  # the wire is full

    def send(self, data: bytes) -> None: ...
    def forget(self, channel: int) -> None: ...


class Served:
    """Implements `ports.ServedProgram`: the pump's stream, and the session's signals and sizes.

    `window` is what its stdin takes before the agent gives credit, and never is more under way.
    """

    outlives_output = True

    def __init__(self, link: Carrier, channel: int, order: SpawnOrder, window: int, sink: Sink, hear: Hear) -> None:
        self.channel = channel
        self._link, self._sink, self._hear = link, sink, hear
        self._tty, self._name = order.tty, order.argv[0] if order.argv else ""
        self._credit = self._window = window
        self._held = bytearray()
        self._full = False  # the sink was told to pause
        self._eof_wanted = self._stdin_closed = False
        self._paused = False
        self._owed = [0] * (1 + STDERR)  # by stream: taken, and not yet given back as credit
        self._open = ONE_OUTPUT if order.tty else BOTH_OUTPUTS
        self._read = True  # as far as we know, by the program
        self._spawned = self._failed = self._exited = False
        self._silent = False  # closed by us: the sink and the session hear nothing more
        self._ended = False  # the sink knows that the output has ended
        self._gone = False  # the agent knows it no more

    # ports.ServedProgram

    def write(self, data: bytes | memoryview) -> None:
        if self._stdin_closed or self._silent:
            return
        sent = 0 if self._held else self._send(memoryview(data))
        if sent == len(data):
            return
        self._held += memoryview(data)[sent:]
        self.flush()
        if self._held and not self._full:
            self._full = True
            self._sink.pause_input()

    def write_eof(self) -> None:
        """A terminal has no end of file that is not a character."""
        if not self._tty:
            self._eof_wanted = True
            self.flush()

    def pause_output(self) -> None:
        self._paused = True

    def resume_output(self) -> None:
        self._paused = False
        for stream in OUTPUTS:
            self._give_back(stream)

    def close(self) -> None:
        """End its programs. What the agent still sends for it is checked and thrown away."""
        if not self._silent:
            self._ask(Close(channel=self.channel))
            self._silent = True

    def signal(self, name: str) -> None:
        self._ask(Signal(channel=self.channel, number=SIGNALS[name]))

    def resize(self, size: Size) -> None:
        self._ask(Resize(channel=self.channel, rows=size.rows, columns=size.columns))

    # The link's side.

    def take(self, frame: Frame) -> None:
        """A frame for this channel. Raises `FrameError` for one that cannot come now."""
        self._check(frame)
        match frame:
            case Data(stream=stream, piece=piece):
                self._output(stream, piece)
            case Credit(bytes=more):
                self._take_credit(more)
            case EndOfFile(stream=0):
                self._read = False
                self._stdin_closed = True  # what is held goes nowhere
                self._held.clear()
                self._resume()
            case EndOfFile(stream=stream):
                self._open -= {stream}
                if not self._open:
                    self._end("")
            case Spawned(pid=pid):
                self._spawned = True
                self._tell(ProgramSpawned(pid=pid))
            case Exit(how=how, number=number):
                self._exited = True
                self._tell(_exit(how, number))
            case Err(stage=stage, errno=errno):
                self._fail(stage, errno)
            case Close():
                self._stdin_closed = self._gone = True
                self._held.clear()
                self._link.forget(self.channel)
                self._resume()
                self._end("")

    def lost(self, why: str) -> None:
        """The link is gone, and with it the program."""
        self._stdin_closed = self._gone = True
        self._held.clear()
        self._end(f"the link to the container is lost: {why}")

    def refused(self, fault: FaultClass, why: str, status: int) -> None:
        """It is not started."""
        self._stdin_closed = self._failed = True
        self._held.clear()
        self._tell(SpawnFailed(fault=fault, why=why, status=status))

    def flush(self) -> None:
        """Send of what is held as much as credit and wire take."""
        with memoryview(self._held) as held:
            sent = self._send(held)
        del self._held[:sent]
        if self._eof_wanted and not self._held and not self._stdin_closed:
            self._stdin_closed = True
            self._ask(EndOfFile(channel=self.channel, stream=STDIN))
        if len(self._held) < HELD_BYTES_LOW and not self._link.choked:
            self._resume()

    def _send(self, data: memoryview) -> int:
        """Of these bytes of stdin what credit and wire take; how many that were."""
        sent = 0
        while sent < len(data) and self._credit and not self._link.choked:
            count = min(len(data) - sent, self._credit, DATA_BYTES_MAX)
            # Let go of at once: an error that asyncio keeps would keep this frame, and `_held` could not shrink.
            with data[sent : sent + count] as piece:
                framed = b"".join((data_header(self.channel, STDIN, count), piece))
            sent += count
            self._credit -= count
            self._link.send(framed)
        return sent

    def _check(self, frame: Frame) -> None:
        """What an honest agent may send now."""
        match frame:
            case Data(stream=stream):
                fits = self._spawned and stream in self._open
            case Spawned() | Err():
                fits = not self._spawned and not self._failed
            case EndOfFile(stream=stream):
                fits = self._spawned and (self._read if stream == STDIN else stream in self._open)
            case Exit():
                fits = self._spawned and not self._exited
            case Close():
                fits = self._failed or (self._exited and not self._open)
            case _:
                fits = self._spawned
        if not fits:
            raise FrameError(f"a {type(frame).__name__} on channel {self.channel} out of turn")

    def _ask(self, frame: Frame) -> None:
        if not self._silent and not self._gone:
            self._link.send(encode(frame))

    def _tell(self, event: Event) -> None:
        if not self._silent:
            self._hear(event)

    def _output(self, stream: int, data: bytes | memoryview) -> None:
        self._owed[stream] += len(data)
        if self._owed[stream] > OUTPUT_BYTES_MAX:
            raise FrameError(f"more output on channel {self.channel} than it may send")
        if not self._silent:
            self._sink.output(data, stream == STDERR)
        if not self._paused:
            self._give_back(stream)

    def _give_back(self, stream: int) -> None:
        owed = self._owed[stream]
        if owed >= RETURN_BYTES and not self._silent and stream in self._open:
            self._owed[stream] = 0
            self._ask(Credit(channel=self.channel, stream=stream, bytes=owed))

    def _take_credit(self, more: int) -> None:
        self._credit += more
        if self._credit > self._window:
            raise FrameError(f"more credit on channel {self.channel} than was used")
        self.flush()

    def _resume(self) -> None:
        if self._full:
            self._full = False
            if not self._silent:
                self._sink.resume_input()

    def _fail(self, stage: str, errno: int) -> None:
        fault, status = FAULTS.get(errno, "unavailable"), NOT_STARTED
        if stage in ("exec", "directory"):
            status = NOT_FOUND if fault == "not_found" else NOT_TO_BE_RUN
        why = os.strerror(errno).lower()
        if stage == "exec" and errno == NO_SUCH_FILE:
            why = "it, or the interpreter that it names, is not in the image"
        self.refused(fault, f"{FAILURES[stage].format(program=self._name)}: {why}", status)

    def _end(self, error: str) -> None:
        if not self._ended:
            self._ended = True
            if not self._silent:
                self._sink.output_ended(error)


def spawn_frame(order: SpawnOrder, channel: int) -> Spawn:
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


def _exit(how: str, number: int) -> ProgramExited:
    """A signal without a name in RFC 4254 is told as a shell tells it."""
    if how == "status":
        return ProgramExited(status=number)
    name = SIGNAL_NAMES.get(number, "")
    if not name:
        return ProgramExited(status=128 + number)
    return ProgramExited(status=0, signal=name, core=how == "signal_with_core")

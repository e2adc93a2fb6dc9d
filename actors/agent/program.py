"""One program that the agent serves: its start, its end, and what the agent's frames about it mean.

The order of an honest agent's frames is fixed (agent/README.md); one that comes out of turn ends the link.
"""

import os
from collections.abc import Callable
from typing import Protocol

from actors.ports import Sink, SpawnOrder
from protocol.base import Event, FaultClass, Size
from protocol.frame_types import SIGNALS, Close, Err, Exit, Frame, Signal, Spawn, Spawned, Terminal
from protocol.frames import FrameError, encode
from protocol.session import ProgramExited, ProgramSpawned, SpawnFailed

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
    """Implements `ports.ServedProgram`: the session's signals, and the end. The streams are a subclass's."""

    outlives_output = True

    def __init__(self, link: Carrier, channel: int, order: SpawnOrder, sink: Sink, hear: Hear) -> None:
        self.channel = channel
        self._link, self._sink, self._hear = link, sink, hear
        self._tty, self._name = order.tty, order.argv[0] if order.argv else ""
        self._spawned = self._failed = self._exited = False
        self._silent = False  # closed by us: the sink and the session hear nothing more
        self._ended = False  # the sink knows that the output has ended
        self._gone = False  # the agent knows it no more

    # ports.ServedProgram

    def write(self, data: bytes | memoryview) -> None:
        raise NotImplementedError

    def write_eof(self) -> None:
        raise NotImplementedError

    def pause_output(self) -> None:
        raise NotImplementedError

    def resume_output(self) -> None:
        raise NotImplementedError

    def resize(self, size: Size) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """End its programs. What the agent still sends for it is checked and thrown away."""
        if not self._silent:
            self._ask(Close(channel=self.channel))
            self._silent = True

    def signal(self, name: str) -> None:
        self._ask(Signal(channel=self.channel, number=SIGNALS[name]))

    # The link's side.

    def take(self, frame: Frame) -> None:
        """A frame for this channel. Raises `FrameError` for one that cannot come now."""
        match frame:
            case Spawned(pid=pid):
                self._check(not self._spawned and not self._failed, frame)
                self._spawned = True
                self._tell(ProgramSpawned(pid=pid))
            case Err(stage=stage, errno=errno):
                self._check(not self._spawned and not self._failed, frame)
                self._fail(stage, errno)
            case Exit(how=how, number=number):
                self._check(self._spawned and not self._exited, frame)
                self._exited = True
                self._tell(_exit(how, number))
            case Close():
                self._check(self._failed or (self._exited and self._may_close()), frame)
                self._gone = True
                self._link.forget(self.channel)
                self._let_go()
                self._end("")
            case _:
                self._check(False, frame)

    def flush(self) -> None:
        """The link has room again."""

    def lost(self, why: str) -> None:
        """The link is gone, and with it the program."""
        self._gone = True
        self._let_go()
        self._end(f"the link to the container is lost: {why}")

    def refused(self, fault: FaultClass, why: str, status: int) -> None:
        """It is not started."""
        self._failed = True
        self._let_go()
        self._tell(SpawnFailed(fault=fault, why=why, status=status))

    def _check(self, fits: bool, frame: Frame) -> None:
        """Would an honest agent send this now?"""
        if not fits:
            raise FrameError(f"a {type(frame).__name__} on channel {self.channel} out of turn")

    def _may_close(self) -> bool:
        """An agent's CLOSE, once the program has ended."""
        return True

    def _let_go(self) -> None:
        """Nothing more goes to the program."""

    def _ask(self, frame: Frame) -> None:
        if not self._silent and not self._gone:
            self._link.send(encode(frame))

    def _tell(self, event: Event) -> None:
        if not self._silent:
            self._hear(event)

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


def spawn_frame(order: SpawnOrder, channel: int, slave_given: bool = False) -> Spawn:
    size = order.size or Size(columns=0, rows=0)
    terminal = Terminal(rows=size.rows, columns=size.columns, modes=terminal_modes(order.modes)) if order.tty else None
    return Spawn(
        channel=channel,
        argv=tuple(word.encode("utf-8", "surrogateescape") for word in order.argv),
        env=tuple(f"{name}={value}".encode() for name, value in order.env.items()),
        inherit_env=True,
        terminal=terminal,
        slave_given=slave_given,
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

"""The host's end of a link to one guest agent.

Bytes go from protocol to protocol: what the agent sends reaches the session's channel in the call that brought it, and
what the client sends leaves in the call that took it. Every frame is a hostile guest's until it has been checked; one
that breaks the rules ends the link.
"""

import asyncio
import hmac
import os
from collections.abc import Callable
from typing import Protocol

from actors.agent.program import NOT_TO_BE_RUN, Hear, Served, spawn_frame
from actors.agent.relayed import INPUT_BYTES_MAX, OUTPUT_BYTES_MAX, Relayed
from actors.agent.terminal import AtTerminal
from actors.ports import ContainerOrder, Sink, SpawnOrder, Stream
from protocol.container import AgentGreeted, LinkLost, TerminalOpener
from protocol.frame_types import AgentHello, Err, Frame, HostHello, Ping
from protocol.frames import FrameDecoder, FrameError, encode

HEARTBEAT_S = 10.0
SILENCE_MS = 40_000  # three heartbeats lost: the engine that carried them is gone, and so are we
UNREAD_BYTES_MAX = 8 * 1024 * 1024  # beyond what the programs' credit limits: sizes, signals, orders


class Wire(Protocol):
    """What carries a link's bytes."""

    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...


class GivingWire(Wire, Protocol):
    """One that can carry descriptors too."""

    loop: asyncio.AbstractEventLoop

    def give_slave(self, data: bytes) -> int | None:
        """Send `data` with the slave of a new terminal in the container: its master. None: nothing is sent."""


class Link:
    """Implements `ports.AgentLink`. `token` is what the agent has to show; `beats`: it ends when it hears nothing."""

    def __init__(self, order: ContainerOrder, token: str, beats: bool) -> None:
        self.order = order
        self.container = ""  # the engine's id, once there is one
        self.sink: Sink = AttachedSink(self)
        self.choked = False  # the wire is full
        self._token, self._beats = token, beats
        self._decoder = FrameDecoder("agent")
        self._wire: Wire | None = None
        self._giver: GivingWire | None = None
        self._window = 0  # of a program's stdin
        self._programs: dict[int, Served] = {}
        self._opened = self._turn = 0
        self._unread = 0  # bytes sent since the wire is full
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

    def spawn(self, order: SpawnOrder, sink: Sink, hear: Hear) -> Served:
        self._opened += 1
        program: Served = Relayed(self, self._opened, order, self._window, sink, hear)
        if self._wire is None:
            program.lost("it is gone")
            return program
        try:
            frame = encode(spawn_frame(order, self._opened))
        except FrameError as error:
            program.refused("invalid", str(error), NOT_TO_BE_RUN)
            return program
        if (at_terminal := self._at_terminal(order, sink, hear)) is not None:
            program = at_terminal
        else:
            self.send(frame)
        self._programs[program.channel] = program
        return program

    def _at_terminal(self, order: SpawnOrder, sink: Sink, hear: Hear) -> AtTerminal | None:
        """Started, if it wants a terminal and we can open one for it."""
        if not order.tty or self._giver is None:
            return None
        master = self._giver.give_slave(encode(spawn_frame(order, self._opened, slave_given=True)))
        if master is None:
            return None
        return AtTerminal(self, self._opened, order, master, self._giver.loop, sink, hear)

    def close(self) -> None:
        self._hear = None
        self._end("we have closed it")

    # The wire's side.

    def carry(self, wire: Wire, giver: GivingWire | None = None) -> None:
        """Here are the bytes' ways in and out. `giver`: the wire, if terminals can be given over it."""
        if self._lost is not None:
            wire.close()
            return
        self._wire, self._giver = wire, giver
        self.send(encode(HostHello(window=OUTPUT_BYTES_MAX, heartbeat_ms=SILENCE_MS if self._beats else 0)))

    @property
    def terminals(self) -> TerminalOpener:
        """Who opens them."""
        return "agent" if self._giver is None else "host"

    def feed(self, data: bytes | memoryview) -> None:
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

    def choke(self) -> None:
        """The wire is full: programs send no input until it is not."""
        self.choked = True

    def relieve(self) -> None:
        """It has room again. Each time another program is the first to use it."""
        self.choked, self._unread = False, 0
        self._turn += 1
        programs = [*self._programs.values()]
        first = self._turn % max(1, len(programs))
        for program in (*programs[first:], *programs[:first]):
            program.flush()

    def send(self, data: bytes) -> None:
        if self._wire is None:
            return
        if self.choked:
            self._unread += len(data)
            if self._unread > UNREAD_BYTES_MAX:
                self._end("it does not read what it is sent")
                return
        self._wire.write(data)

    def forget(self, channel: int) -> None:
        self._programs.pop(channel, None)

    def _end(self, why: str) -> None:
        wire, self._wire, self._giver = self._wire, None, None
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
        if (program := self._programs.get(frame.channel)) is not None:
            program.take(frame)
        elif isinstance(frame, AgentHello):
            if not hmac.compare_digest(frame.token, self._token.encode()):
                self._end("its agent does not know the token")
                return
            self._window, self._greeted = min(frame.window, INPUT_BYTES_MAX), True
            if self._hear is not None:
                self._hear(AgentGreeted())
        elif frame.channel != 0:
            raise FrameError(f"a frame for channel {frame.channel}, which is not open")
        elif isinstance(frame, Err):
            self._end(f"the agent gave up ({os.strerror(frame.errno)})")


class AttachedSink:
    """The link over a container's attached stdio: its stdout is ours, on its stderr the agent says what is wrong."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._complaint = b""

    def output(self, data: bytes | memoryview, stderr: bool) -> None:
        if stderr:
            self._complaint = b"".join((self._complaint, data))[-200:]
        else:
            self._link.feed(data)

    def output_ended(self, error: str) -> None:
        self._link.lost(error or self._complaint.decode(errors="replace").strip())

    def pause_input(self) -> None:
        self._link.choke()

    def resume_input(self) -> None:
        self._link.relieve()

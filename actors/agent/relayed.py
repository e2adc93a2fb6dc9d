"""The streams of a program whose bytes the agent relays, and their credit."""

from actors.agent.program import Carrier, Hear, Served
from actors.ports import Sink, SpawnOrder
from protocol.base import Size
from protocol.frame_types import DATA_BYTES_MAX, STDERR, STDIN, STDOUT, Credit, Data, EndOfFile, Frame, Resize
from protocol.frames import FrameError, data_header

INPUT_BYTES_MAX = 1024 * 1024  # of a program's stdin, on its way; it waits in the agent, not here
OUTPUT_BYTES_MAX = 512 * 1024  # of each output, on its way: what is held for a client that does not read
RETURN_BYTES = OUTPUT_BYTES_MAX // 4  # credit goes back in pieces of this size
HELD_BYTES_LOW = 64 * 1024
OUTPUTS = (STDOUT, STDERR)
ONE_OUTPUT, BOTH_OUTPUTS = frozenset({STDOUT}), frozenset(OUTPUTS)  # shared: a program holds no set of its own


class Relayed(Served):
    """`window` is what its stdin takes before the agent gives credit, and never is more under way."""

    def __init__(self, link: Carrier, channel: int, order: SpawnOrder, window: int, sink: Sink, hear: Hear) -> None:
        super().__init__(link, channel, order, sink, hear)
        self._credit = self._window = window
        self._held = bytearray()
        self._full = False  # the sink was told to pause
        self._eof_wanted = self._stdin_closed = False
        self._paused = False
        self._owed = [0] * (1 + STDERR)  # by stream: taken, and not yet given back as credit
        self._open = ONE_OUTPUT if order.tty else BOTH_OUTPUTS
        self._read = True  # as far as we know, by the program

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

    def resize(self, size: Size) -> None:
        self._ask(Resize(channel=self.channel, rows=size.rows, columns=size.columns))

    # The link's side.

    def take(self, frame: Frame) -> None:
        match frame:
            case Data(stream=stream, piece=piece):
                self._check(self._spawned and stream in self._open, frame)
                self._output(stream, piece)
            case Credit(bytes=more):
                self._check(self._spawned, frame)
                self._take_credit(more)
            case EndOfFile(stream=0):
                self._check(self._spawned and self._read, frame)
                self._read = False
                self._let_go()
            case EndOfFile(stream=stream):
                self._check(self._spawned and stream in self._open, frame)
                self._open -= {stream}
                if not self._open:
                    self._end("")
            case _:
                super().take(frame)

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

    def _may_close(self) -> bool:
        return not self._open

    def _let_go(self) -> None:
        self._stdin_closed = True  # what is held goes nowhere
        self._held.clear()
        self._resume()

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

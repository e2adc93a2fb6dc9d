"""An exec's or container's stdio: the connection the engine has switched from HTTP, under a protocol of our own.

aiodocker's `Stream` cannot half-close and collects each frame before it passes it on.
"""

import asyncio

import aiohttp

from actors.engine.faults import one_line
from actors.engine.tls import HalfClose
from actors.ports import EngineFault, Sink
from protocol.stdcopy import STDERR, STDOUT, SYSTEM, StdcopyError, StdcopyParser

# Above the first the sink is told to pause, below the second to go on.
UNSENT_BYTES_HIGH = 256 * 1024
UNSENT_BYTES_LOW = 64 * 1024
SYSTEM_CHARS_MAX = 1000


class EngineStream(asyncio.Protocol):
    """See `actors.ports.Stream`. Until `begin` is called the sink hears nothing; what comes before is kept."""

    outlives_output = False

    def __init__(self, transport: asyncio.Transport, tty: bool, sink: Sink) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()  # for what the pump calls from trio
        self._sink: Sink | None = sink  # None: ended or closed, and silent
        self._parser = None if tty else StdcopyParser()
        self._early: list[bytes] | None = []  # None: begun
        self._early_end: str | None = None
        self._system_error = ""
        self._half_close = HalfClose(transport, transport.is_reading)
        transport.set_write_buffer_limits(UNSENT_BYTES_HIGH, UNSENT_BYTES_LOW)
        transport.set_protocol(self)

    def begin(self) -> None:
        """Let the sink hear what came early, and from now on all the rest. Not before the next turn of the loop."""
        self._loop.call_soon(self._hand_out_early)

    def _hand_out_early(self) -> None:
        early, self._early = self._early or [], None
        for data in early:
            self.data_received(data)
        if self._early_end is not None:
            self._end(self._early_end)

    # What the transport calls.

    def data_received(self, data: bytes) -> None:
        if self._early is not None:
            self._early.append(data)
        elif self._sink is None:
            return
        elif self._parser is None:
            self._sink.output(data, False)
        else:
            self._demultiplex(self._parser, data)

    def _demultiplex(self, parser: StdcopyParser, data: bytes) -> None:
        """Neighbours of one kind go out together: each call of the sink ends as an SSH packet at least."""
        kind, pieces = STDOUT, list[bytes]()
        try:
            for stream, piece in parser.feed(data):
                if stream != kind:
                    self._hand_out(kind, pieces)
                    kind, pieces = stream, []
                pieces.append(piece)
        except StdcopyError as error:
            self._hand_out(kind, pieces)
            self._end(str(error))
        else:
            self._hand_out(kind, pieces)

    def _hand_out(self, kind: int, pieces: list[bytes]) -> None:
        if not pieces or self._sink is None:  # the sink itself may have closed us
            return
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if kind == SYSTEM:
            self._system_error += data[: SYSTEM_CHARS_MAX - len(self._system_error)].decode(errors="replace")
        else:
            self._sink.output(data, kind == STDERR)

    def eof_received(self) -> None:
        self._end("")

    def connection_lost(self, exc: Exception | None) -> None:
        why = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__  # a user reads it: no "[Errno 104]"
        self._end("" if exc is None else one_line(why))

    def pause_writing(self) -> None:
        if self._sink is not None:
            self._sink.pause_input()

    def resume_writing(self) -> None:
        if self._sink is not None:
            self._sink.resume_input()

    def _end(self, error: str) -> None:
        if self._early is not None:
            self._early_end = self._early_end or error
            return
        sink, self._sink = self._sink, None
        if sink is None:
            return
        # Input that is still unsent has no reader any more.
        self._transport.abort()
        if not error and self._parser is not None:
            try:
                self._parser.finish()
            except StdcopyError as unfinished:
                error = str(unfinished)
        sink.output_ended(error or one_line(self._system_error))

    # What the pump calls.

    def write(self, data: bytes | memoryview) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def write_eof(self) -> None:
        """Half-close. Not on a terminal, which has no EOF: the engine would take it for the end of the output too."""
        if self._parser is not None:
            self._half_close.want()

    def pause_output(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_output(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()
            self._loop.call_soon(self._half_close.poke)

    def close(self) -> None:
        self._sink = None
        self._transport.abort()


class _Tail:
    """Stands in for a parser of aiohttp's and takes what was read together with the 101."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.pieces.append(bytes(data))
        return False, b""

    def feed_eof(self) -> None:
        """Nothing to do: the protocol that follows hears of it."""


class _Gone(asyncio.Transport):
    """Stands in for a transport that was closed before we could take it over."""

    def is_closing(self) -> bool:
        return True

    def is_reading(self) -> bool:
        return False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None: ...
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def abort(self) -> None: ...


def take_over(response: aiohttp.ClientResponse, tty: bool, sink: Sink) -> EngineStream:
    """Make a stream of the connection that answered 101 and take it out of aiohttp's hands.

    Raises `EngineFault` (internal) if the engine did not switch.
    """
    connection = response.connection
    if response.status != 101 or connection is None or connection.protocol is None:
        response.close()
        raise EngineFault("internal", f"the engine answered {response.status} and did not switch to a stream")
    old = connection.protocol
    transport = old.transport
    tail = _Tail()
    old.set_parser(tail, None)
    stream = EngineStream(transport or _Gone(), tty, sink)
    for piece in tail.pieces:
        stream.data_received(piece)
    if transport is None:  # all of it, the end included, came with the 101
        stream.connection_lost(None)
    else:
        # For aiohttp the connection is lost now: it strikes it from its books and leaves the transport alone.
        old.connection_lost(None)
    response.close()
    return stream

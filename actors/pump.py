"""Bytes between a session's channel and the engine's stream, with backpressure both ways.

Bytes never pass through a machine: the pump moves them, and reports EOF, totals and errors as events. It holds none of
them itself. What the client sends before there is a stream waits in the channel (the client's window does the rest);
what the engine sends goes to the channel at once, which says when it is full.
"""

from collections.abc import Callable

import trio

from actors.ports import Channel, Stream
from protocol.base import Event
from protocol.session import InputEnded, OutputEnded


class Pump:
    """The engine's side calls it as a `Sink`, the channel's side calls `input…` and `…_output`.

    Everything runs in the loop's thread and nothing blocks. `report` gets `InputEnded` when the program's stdin is
    half-closed, and `OutputEnded` once all output is on its way to the client; each at most once. `moved_at`: when the
    last byte, or the stream itself, came by.
    """

    def __init__(
        self, channel: Channel, report: Callable[[Event], None], clock: Callable[[], float] = trio.current_time
    ) -> None:
        self.bytes_in = 0
        self.bytes_out = 0
        self.moved_at = 0.0
        self._clock = clock
        self._channel = channel
        self._report = report
        self._stream: Stream | None = None
        self._input_ended = False
        self._output_paused = False
        self._nobody_reads = False
        self._dropped = False

    def join(self, stream: Stream) -> None:
        """The engine's stream is there: let the client's input flow."""
        if self._dropped:
            stream.close()
            return
        self._stream = stream
        self.moved_at = self._clock()
        if self._output_paused:
            stream.pause_output()
        if self._input_ended:
            self._close_input(stream)
        self._channel.resume_input()  # last: what was held back arrives inside this call

    def drop(self) -> None:
        """Let go of the stream, now or as soon as it comes. What the client still sends is thrown away."""
        if self._dropped:
            return
        self._dropped = True
        if self._stream is not None:
            self._stream.close()
        self._channel.resume_input()

    # The engine's side (Sink).

    def output(self, data: bytes | memoryview, stderr: bool) -> None:
        self.bytes_out += len(data)
        self.moved_at = self._clock()
        self._channel.write(data, stderr)

    def output_ended(self, error: str) -> None:
        if error or self._stream is None or not self._stream.outlives_output:
            self._nobody_reads = True
            self._channel.resume_input()  # the client's EOF and close must still get through
        self._channel.notify_when_sent(lambda: self._report_output_ended(error))

    def pause_input(self) -> None:
        self._channel.pause_input()

    def resume_input(self) -> None:
        self._channel.resume_input()

    # The channel's side.

    def input(self, data: bytes | memoryview) -> None:
        """From the client. A program that has ended, or was let go, reads nothing."""
        if self._dropped or self._nobody_reads:
            return
        assert self._stream is not None, "the channel delivers nothing before `join`"
        self.bytes_in += len(data)
        self.moved_at = self._clock()
        self._stream.write(data)

    def input_ended(self) -> None:
        """The client's EOF: half-close the program's stdin. Its output goes on."""
        self._input_ended = True
        if self._stream is not None:
            self._close_input(self._stream)

    def pause_output(self) -> None:
        """The client does not read fast enough."""
        self._output_paused = True
        if self._stream is not None and not self._dropped:
            self._stream.pause_output()

    def resume_output(self) -> None:
        self._output_paused = False
        if self._stream is not None and not self._dropped:
            self._stream.resume_output()

    def _close_input(self, stream: Stream) -> None:
        if self._dropped or self._nobody_reads:
            return
        self._report(InputEnded())  # first, for the program's end may come out of `write_eof` itself
        stream.write_eof()

    def _report_output_ended(self, error: str) -> None:
        if not self._dropped:
            self._report(OutputEnded(error=error, bytes_in=self.bytes_in, bytes_out=self.bytes_out))

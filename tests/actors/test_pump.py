"""The pump against a channel and a stream that write down what is asked of them."""

from collections.abc import Callable

from actors.pump import Pump
from protocol.base import Event
from protocol.session import InputEnded, OutputEnded


class PlainChannel:
    """Holds output back while `full`; delivers what the client sent as soon as it may, inside `resume_input`."""

    def __init__(self) -> None:
        self.calls: list[object] = []
        self.sent: list[tuple[bytes, bool]] = []
        self.held: list[bytes | None] = []  # from the client; None is its EOF
        self.full = False
        self.pump: Pump
        self._waiting: list[Callable[[], None]] = []

    def write(self, data: bytes, stderr: bool) -> None:
        self.sent.append((data, stderr))

    def pause_input(self) -> None:
        self.calls.append("pause_input")

    def resume_input(self) -> None:
        self.calls.append("resume_input")
        while self.held:
            data = self.held.pop(0)
            if data is None:
                self.pump.input_ended()
            else:
                self.pump.input(data)

    def notify_when_sent(self, callback: Callable[[], None]) -> None:
        if self.full:
            self._waiting.append(callback)
        else:
            callback()

    def drain(self) -> None:
        self.full = False
        for callback in self._waiting:
            callback()


class PlainStream:
    outlives_output = False

    def __init__(self) -> None:
        self.calls: list[object] = []

    def write(self, data: bytes) -> None:
        self.calls.append(data)

    def write_eof(self) -> None:
        self.calls.append("eof")

    def pause_output(self) -> None:
        self.calls.append("pause")

    def resume_output(self) -> None:
        self.calls.append("resume")

    def close(self) -> None:
        self.calls.append("close")


def pumping() -> tuple[Pump, PlainChannel, PlainStream, list[Event]]:
    channel, stream = PlainChannel(), PlainStream()
    events: list[Event] = []
    channel.pump = Pump(channel, events.append, lambda: 0.0)  # type: ignore[arg-type]
    return channel.pump, channel, stream, events


def test_input_waits_in_the_channel_until_the_stream_is_there() -> None:
    pump, channel, stream, events = pumping()
    channel.held = [b"early", None]
    pump.join(stream)
    assert stream.calls == [b"early", "eof"]
    assert events == [InputEnded()]
    assert pump.bytes_in == 5


def test_eof_is_a_half_close_and_output_goes_on() -> None:
    pump, channel, stream, events = pumping()
    pump.join(stream)
    pump.input_ended()
    pump.output(b"late", stderr=False)
    pump.output(b"oops", stderr=True)
    assert stream.calls == ["eof"]
    assert channel.sent == [(b"late", False), (b"oops", True)]
    assert events == [InputEnded()]


def test_eof_before_the_stream_reaches_it_once() -> None:
    pump, _, stream, events = pumping()
    pump.input_ended()
    assert events == []
    pump.join(stream)
    assert stream.calls == ["eof"]
    assert events == [InputEnded()]


def test_output_that_comes_before_join_is_sent_and_a_full_channel_is_told_at_join() -> None:
    pump, channel, stream, _ = pumping()
    pump.output(b"quick", stderr=False)
    pump.pause_output()
    pump.join(stream)
    assert channel.sent == [(b"quick", False)]
    assert stream.calls == ["pause"]
    pump.resume_output()
    assert stream.calls == ["pause", "resume"]


def test_backpressure_reaches_the_client() -> None:
    pump, channel, stream, _ = pumping()
    pump.join(stream)
    channel.calls.clear()
    pump.pause_input()
    pump.resume_input()
    assert channel.calls == ["pause_input", "resume_input"]


def test_the_end_of_output_is_told_when_all_of_it_is_on_its_way() -> None:
    pump, channel, stream, events = pumping()
    pump.join(stream)
    pump.input(b"12")
    pump.output(b"345", stderr=False)
    channel.full = True
    pump.output_ended("broken")
    assert events == []
    channel.drain()
    assert events == [OutputEnded(error="broken", bytes_in=2, bytes_out=3)]


def test_input_for_a_program_that_has_ended_is_thrown_away_but_taken() -> None:
    pump, channel, stream, events = pumping()
    pump.join(stream)
    pump.pause_input()  # the program was not reading when it ended
    channel.calls.clear()
    channel.held = [b"too late", None]
    pump.output_ended("")
    assert channel.calls == ["resume_input"]
    assert stream.calls == []
    assert events == [OutputEnded()]


def test_drop_lets_go_and_nothing_is_told_any_more() -> None:
    pump, channel, stream, events = pumping()
    pump.join(stream)
    channel.full = True
    pump.output_ended("")
    pump.drop()
    pump.drop()
    channel.drain()
    pump.input(b"x")
    pump.pause_output()
    assert stream.calls == ["close"]
    assert events == []


def test_a_stream_that_comes_after_drop_is_closed() -> None:
    pump, channel, stream, _ = pumping()
    channel.held = [b"held"]
    pump.drop()
    pump.join(stream)
    assert stream.calls == ["close"]
    assert channel.held == []
    assert pump.bytes_in == 0

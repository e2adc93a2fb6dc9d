"""One write for what is sent in one turn; nothing is lost at the end, and nothing heaps up."""

import asyncio
from typing import Any

from actors.outbox import HELD_BYTES_MAX, Outbox
from actors.turn import Turn


class Wire(asyncio.Transport):
    """Notes what reaches the socket's own transport."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.seen: list[bytes | str] = []
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.seen.append(bytes(data))

    def write_eof(self) -> None:
        self.seen.append("eof")

    def close(self) -> None:
        self.is_closed = True
        self.seen.append("close")

    def abort(self) -> None:
        self.is_closed = True
        self.seen.append("abort")

    def is_closing(self) -> bool:
        return self.is_closed

    def get_write_buffer_size(self) -> int:
        return 5

    def pause_reading(self) -> None:
        self.seen.append("pause")

    def resume_reading(self) -> None:
        self.seen.append("resume")


def test_one_write_a_turn() -> None:
    wire, turn = Wire(), Turn()
    outbox = Outbox(wire, turn)
    with turn:
        outbox.write(b"ab")
        outbox.write(memoryview(b"cd"))
        assert wire.seen == [] and outbox.get_write_buffer_size() == 9
    with turn:
        outbox.write(b"ef")
    outbox.write(b"gh")
    assert wire.seen == [b"abcd", b"ef", b"gh"] and outbox.get_write_buffer_size() == 5


def test_much_does_not_wait_for_the_end() -> None:
    wire, turn = Wire(), Turn()
    outbox = Outbox(wire, turn)
    with turn:
        outbox.write(bytes(HELD_BYTES_MAX))
        assert wire.seen == []
        outbox.write(b"x")
        assert len(wire.seen) == 1
    assert b"".join(part for part in wire.seen if isinstance(part, bytes)) == bytes(HELD_BYTES_MAX) + b"x"


def test_what_is_small_may_leave_at_once_behind_what_is_held() -> None:
    wire, turn = Wire(), Turn()
    outbox = Outbox(wire, turn, held_max=10, at_once=3)
    with turn:
        outbox.write(b"large")
        assert wire.seen == []
        outbox.write(b"s")
        assert wire.seen == [b"larges"]
        outbox.write(b"large")
        outbox.write(b"larger")
        assert wire.seen == [b"larges", b"largelarger"]
        outbox.write(b"last")
    assert wire.seen == [b"larges", b"largelarger", b"last"]


def test_an_orderly_end_comes_behind_what_was_written() -> None:
    for end in ("write_eof", "close"):
        wire, turn = Wire(), Turn()
        outbox = Outbox(wire, turn)
        with turn:
            outbox.write(b"bye")
            getattr(outbox, end)()
        assert wire.seen == [b"bye", end.removeprefix("write_")]


def test_behind_its_end_nothing_is_written() -> None:
    """The transport would raise an error for it, and not where it was asked for."""
    wire, turn = Wire(), Turn()
    outbox = Outbox(wire, turn)
    outbox.write_eof()
    with turn:
        outbox.write(b"late")
    assert wire.seen == ["eof"]


def test_an_abort_throws_away() -> None:
    wire, turn = Wire(), Turn()
    outbox = Outbox(wire, turn)
    with turn:
        outbox.write(b"bye")
        outbox.abort()
    assert wire.seen == ["abort"]


def test_nothing_is_written_to_one_that_was_closed_meanwhile() -> None:
    wire, turn = Wire(), Turn()
    outbox = Outbox(wire, turn)
    with turn:
        outbox.write(b"late")
        wire.close()
    assert wire.seen == ["close"] and outbox.is_closing()


def test_the_rest_is_the_transports_own() -> None:
    wire = Wire()
    outbox = Outbox(wire, Turn())
    outbox.pause_reading()
    outbox.resume_reading()
    assert wire.seen == ["pause", "resume"]
    assert outbox.get_extra_info("peername") == ("127.0.0.1", 1) and outbox.get_extra_info("none", 3) == 3

"""A terminal whose master the test has, for programs at it that the agent starts."""

import errno
import os
import pty
import select

from protocol.frame_types import STDOUT, Close, EndOfFile, Err, Frame, Ping, Pong, Terminal
from tests.agent.guest import WAIT_SECONDS, Guest

SIZE = Terminal(rows=33, columns=111)
MARK = b"12345678"


class Screen:
    """A terminal: its master, which stays here, and its slave until that is given away."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()

    def spawn(self, guest: Guest, *argv: str, terminal: Terminal = SIZE, **options: object) -> int:
        channel = guest.spawn(*argv, terminal=terminal, slave_given=True, given=(self.slave,), **options)
        self.give_away()
        return channel

    def give_away(self) -> None:
        os.close(self.slave)
        self.slave = -1

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def read(self) -> bytes:
        """b"": nobody has the slave any more."""
        ready, _, _ = select.select([self.master], [], [], WAIT_SECONDS)
        assert ready, "the terminal says nothing"
        try:
            return os.read(self.master, 1 << 16)
        except OSError as error:
            assert error.errno == errno.EIO
            return b""

    def until(self, wanted: bytes) -> bytes:
        got = b""
        while wanted not in got:
            more = self.read()
            assert more, got
            got += more
        return got

    def rest(self) -> bytes:
        return b"".join(iter(self.read, b""))

    def close(self) -> None:
        for end in (self.master, self.slave):
            if end >= 0:
                os.close(end)
        self.master = self.slave = -1


def end_of_output(channel: int) -> EndOfFile:
    return EndOfFile(channel=channel, stream=STDOUT)


def finish(guest: Guest, screen: Screen, channel: int) -> tuple[bytes, list[Frame]]:
    """What else is on the screen, and what else is on the link."""
    said = screen.rest()
    guest.send(end_of_output(channel))
    return said, list(guest.order(channel))


def nothing_more(guest: Guest) -> None:
    """Nothing has come on the link up to now that was not taken."""
    guest.send(Ping(mark=MARK))
    assert guest.next(Pong) and guest._frames == []


def refusal(channel: int, stage: str, why: int) -> list[Frame]:
    """All that is said of a program that is not started."""
    return [Err(channel=channel, stage=stage, errno=why), Close(channel=channel)]

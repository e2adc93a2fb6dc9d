"""Terminals whose master is ours: a keystroke and its echo take no way through the agent.

The master is opened here, in the container's own devpts, and only the slave is given away. What the container can do to
the slave does not touch our side: the flags of the master (O_NONBLOCK above all) belong to a description that nobody
else has, and its reads and writes take no lock that a program could hold. A pipe's two ends share one, which is held
while a program's memory is paged in; that is why pipes stay with the agent.
"""

import asyncio
import os
import stat
import termios
from contextlib import suppress
from fcntl import ioctl
from functools import partial

import trio

from actors.agent.program import Carrier, Hear, Served
from actors.ports import Sink, SpawnOrder
from protocol.base import Size
from protocol.frame_types import STDOUT, EndOfFile, Frame

PTMX = ("dev", "pts", "ptmx")
PTMX_DEVICE = os.makedev(5, 2)
UNLOCK = bytes(4)
READ_BYTES = 32 * 1024
TIOCSPTLCK, TIOCGPTPEER = 0x40045431, 0x5441  # which termios does not know (asm-generic/ioctls.h)


class Terminals:
    """Those of one container: `root` is its root folder as the host sees it, `uid` its user as the host counts.

    To be made before we start a program of a user in there: no path of the container is followed later. Raises OSError
    where the host does not let us (another user's container, a host that hides its processes).
    """

    def __init__(self, root: str, uid: int) -> None:
        self._uid = uid
        self._ptmx = _find(root)

    def open(self) -> tuple[int, int]:
        """Master and slave. Raises OSError."""
        master = os.open(f"/proc/self/fd/{self._ptmx}", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            ioctl(master, TIOCSPTLCK, UNLOCK)
            slave = ioctl(master, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            os.close(master)
            raise
        try:
            if self._uid != os.geteuid():
                os.fchown(slave, self._uid, -1)  # its owner may open it again by its name
        except OSError:
            os.close(slave)
            os.close(master)
            raise
        return master, slave

    def close(self) -> None:
        os.close(self._ptmx)


def _find(root: str) -> int:
    """The container's ptmx, as a place and not open. Raises OSError."""
    at = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for name in PTMX:
        try:
            found = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
        finally:
            os.close(at)
        at = found
    what = os.stat(at)
    if stat.S_ISCHR(what.st_mode) and what.st_rdev == PTMX_DEVICE:
        return at
    os.close(at)
    raise OSError("not a ptmx")


def _nobody_asks(_: object) -> None:
    pass


class AtTerminal(Served):
    """A program at a terminal whose `master` we have; it is closed with the program."""

    def __init__(
        self,
        link: Carrier,
        channel: int,
        order: SpawnOrder,
        master: int,
        loop: asyncio.AbstractEventLoop,
        sink: Sink,
        hear: Hear,
    ) -> None:
        super().__init__(link, channel, order, sink, hear)
        self._master, self._loop = master, loop
        self._held = bytearray()
        self._paused = self._reading = False

    # ports.ServedProgram

    def write(self, data: bytes | memoryview) -> None:
        if self._master < 0:
            return
        sent = 0 if self._held else self._write(data)
        if sent < len(data) and self._master >= 0:
            if not self._held:
                self._sink.pause_input()
                self._loop.add_writer(self._master, self._writable)
            self._held += memoryview(data)[sent:]

    def write_eof(self) -> None:
        """A terminal has no end of file that is not a character."""

    def pause_output(self) -> None:
        self._paused = True
        self._mind_reading()

    def resume_output(self) -> None:
        self._paused = False
        self._mind_reading()

    def resize(self, size: Size) -> None:
        if self._master >= 0:
            with suppress(OSError):
                termios.tcsetwinsize(self._master, (size.rows, size.columns))

    def close(self) -> None:
        super().close()
        self._let_go()

    # The link's side.

    def take(self, frame: Frame) -> None:
        super().take(frame)
        self._mind_reading()

    def _let_go(self) -> None:
        """Closing hangs up on those at the other side."""
        if self._master < 0:
            return
        master, self._master, self._reading = self._master, -1, False
        self._loop.remove_reader(master)
        self._loop.remove_writer(master)
        was_held = bool(self._held)
        self._held.clear()
        # The kernel waits here for programs that just read or write, and one of them may wait for its disk.
        trio.lowlevel.start_thread_soon(partial(os.close, master), _nobody_asks)
        if was_held and not self._silent:
            self._sink.resume_input()

    def _mind_reading(self) -> None:
        wanted = self._spawned and not self._paused and self._master >= 0
        if wanted and not self._reading:
            self._loop.add_reader(self._master, self._readable)
        elif self._reading and not wanted and self._master >= 0:
            self._loop.remove_reader(self._master)
        self._reading = wanted

    def _readable(self) -> None:
        try:
            data = os.read(self._master, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # EIO: nobody has the other side any more
            data = b""
        if data:
            self._sink.output(data, False)
            return
        self._ask(EndOfFile(channel=self.channel, stream=STDOUT))
        self._let_go()
        self._end("")

    def _write(self, data: bytes | memoryview) -> int:
        """How much of it the terminal takes."""
        try:
            return os.write(self._master, data)
        except BlockingIOError:
            return 0
        except OSError:
            return len(data)  # nobody is there to read it; the end of the output tells

    def _writable(self) -> None:
        with memoryview(self._held) as held:
            sent = self._write(held)
        del self._held[:sent]
        if not self._held:
            self._loop.remove_writer(self._master)
            self._sink.resume_input()

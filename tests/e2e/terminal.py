"""A client at a terminal: a pseudo-terminal whose other end is the test."""

import fcntl
import os
import pty
import signal
import struct
import termios
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio


class Terminal:
    """What was typed and shown. `shown` is everything that came so far."""

    def __init__(self, process: trio.Process, master: int) -> None:
        self.shown = b""
        self._process = process
        self._master = master
        self._stream = trio.lowlevel.FdStream(os.dup(master))

    async def type(self, data: bytes) -> None:
        await self._stream.send_all(data)

    async def until(self, what: bytes) -> None:
        """Wait until `what` has been shown."""
        while what not in self.shown:
            assert await self._more(), f"{what!r} was never shown; {self.shown!r} was"

    async def end(self) -> int:
        """Read to the end; the client's exit status."""
        while await self._more():
            pass
        return await self._process.wait()

    async def _more(self) -> bool:
        try:
            piece = await self._stream.receive_some()
        except trio.BrokenResourceError:  # EIO: nobody holds the other end any more
            return False
        self.shown += piece
        return bool(piece)

    def resize(self, columns: int, rows: int) -> None:
        """As when somebody drags the corner of the window."""
        _set_size(self._master, columns, rows)
        self._process.send_signal(signal.SIGWINCH)

    async def aclose(self) -> None:
        await self._stream.aclose()


@asynccontextmanager
async def open_terminal(args: Sequence[str], columns: int, rows: int) -> AsyncIterator[Terminal]:
    """Run `args` at a new terminal; killed at the end of the block."""
    master, slave = pty.openpty()
    _set_size(slave, columns, rows)
    process = await trio.lowlevel.open_process(args, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    terminal = Terminal(process, master)
    try:
        yield terminal
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            await terminal.aclose()
        os.close(master)


def _set_size(fd: int, columns: int, rows: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

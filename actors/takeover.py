"""The new process's side of an upgrade: it asks the one that serves for its listening sockets, and takes its place."""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import anyio
import msgspec
from anyio.abc import UNIXSocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from actors.control import HUNG_UP
from protocol.control import READY, TAKE_OVER, Handover, Successor

ANSWER_BYTES_MAX = 64 * 1024
SOCKETS_MAX = 64
ANSWER_S = 10.0


class Refused(Exception):
    """It does not give its place away; the text is its sentence."""


class Predecessor:
    """The process that serves."""

    def __init__(self, stream: UNIXSocketStream, lent: Handover, sockets: list[socket.socket]) -> None:
        self.boot, self.pid = lent.boot, lent.pid
        self._stream, self._listen, self._sockets = stream, lent.listen, sockets

    def take(self, listen: str) -> Sequence[socket.socket]:
        """Its sockets, now ours, if they were opened for this setting; none if it was for another."""
        taken, self._sockets = (self._sockets, []) if listen == self._listen else ([], self._sockets)
        return taken

    async def replace(self) -> None:
        """Say that we are ready. It has stopped accepting when this returns. Raises `Refused`.

        One that dies over the answer leaves its place to us: nobody else would serve.
        """
        with suppress(*HUNG_UP):
            await self._stream.send(READY + b"\n")
            line = await BufferedByteReceiveStream(self._stream).receive_until(b"\n", ANSWER_BYTES_MAX)
            if why := msgspec.json.decode(line, type=Handover).error:
                raise Refused(why)

    async def decline(self, why: str) -> None:
        """Say why we cannot serve."""
        with anyio.move_on_after(ANSWER_S), suppress(*HUNG_UP):
            await self._stream.send(" ".join(why.split()).encode() + b"\n")

    async def close(self) -> None:
        """Let go of it, and of what we did not take."""
        for sock in self._sockets:
            sock.close()
        await self._stream.aclose()


async def find_predecessor(boots: Path, us: Successor) -> Predecessor | None:
    """Who serves on this state folder, of those with a control socket in `boots`; None: nobody does.

    Raises `Refused` when there is one and it says no.
    """
    refusals: list[str] = []
    for path in _control_sockets(boots, us):
        with suppress(OSError, *HUNG_UP, TimeoutError):  # left by a crash, or just ending
            stream = await anyio.connect_unix(path)
            try:
                lent, sockets = await _borrow(stream, us)
            except BaseException:
                await stream.aclose()
                raise
            if not lent.error:
                return Predecessor(stream, lent, sockets)
            await stream.aclose()
            refusals.append(lent.error)
    if us.attempt:
        raise Refused("; ".join(refusals) or "the process that asked for the upgrade is gone")
    return None


def _control_sockets(boots: Path, us: Successor) -> Iterator[Path]:
    """The one that has sent for us, or all but our own."""
    sender = us.attempt.partition(".")[0]
    return (
        path for path in sorted(boots.glob("*.sock")) if path.stem == sender or not (sender or path.stem == us.boot)
    )


async def _borrow(stream: UNIXSocketStream, us: Successor) -> tuple[Handover, list[socket.socket]]:
    with anyio.fail_after(ANSWER_S):
        await stream.send(f"{TAKE_OVER} ".encode() + msgspec.json.encode(us) + b"\n")
        message, descriptors = await stream.receive_fds(ANSWER_BYTES_MAX, SOCKETS_MAX)
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return msgspec.json.decode(message, type=Handover), [socket.socket(fileno=number) for number in descriptors]

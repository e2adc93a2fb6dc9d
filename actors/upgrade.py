"""The old process's side of an upgrade: it starts the new version, lends it the listening sockets, and hears of it.

What is to be done is decided by the server machine; here are the talks over the control socket (protocol/control.py).
"""

import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

import msgspec
import trio
from anyio.abc import SocketStream, UNIXSocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from actors.control import HUNG_UP, say
from protocol.base import Event
from protocol.control import READY, Handover, Successor, UpgradeWish
from protocol.server import SuccessorCame, SuccessorFailed, SuccessorReady, UpgradeWanted

ATTEMPT_ENV = "MOORAGE_ATTEMPT"
LINE_BYTES_MAX = 64 * 1024
LAST_WORDS_S = 0.5  # between the end of a process and the reason that it gave before
ANSWERED_S = 5.0
# Meant for this very process: the service manager's sockets, and whose watchdog it is.
NOT_INHERITED = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID")
# The new process must not be our child: the service manager takes it for its main process, and is told of the end of
# its own children only. The shell ends at once, and its number is written to the pipe that is its stdin.
START = '"$@" </dev/null & echo $! >&0'
ENDED = "the new process ended before it was ready; this one's stderr, which it shares, says more"


class Attempt:
    """One upgrade. `ended` with a `why` has failed."""

    def __init__(self, id: str) -> None:
        self.id, self.why = id, ""
        self.successor: Successor | None = None
        self.cleared, self.ended = trio.Event(), trio.Event()


class Replaced(NamedTuple):
    """The process that we have started and that has taken our place. `descriptor` is a pidfd."""

    pid: int
    descriptor: int


class Upgrades:
    """`post` is the server actor's, `start` runs a task, `listen` is the setting that `sockets` were opened for.

    `replaced_by`: who has taken our place; None if nobody, or one that somebody else has started.
    """

    def __init__(
        self, boot: str, start: Callable[..., None], listen: str, sockets: Callable[[], Sequence[socket.socket]]
    ) -> None:
        self.post: Callable[[Event], None] = lambda event: None
        self.replaced_by: Replaced | None = None
        self._boot, self._start, self._listen, self._sockets = boot, start, listen, sockets
        self._attempts: dict[str, Attempt] = {}
        self._count = 0
        self._talks = 0
        self._silence = trio.Event()

    # Talks over the control socket.

    async def wanted(self, stream: SocketStream, argument: bytes) -> None:
        """Somebody asks for an upgrade, and hears how it went."""
        wish = msgspec.json.decode(argument, type=UpgradeWish)
        attempt = self._open()
        self.post(UpgradeWanted(attempt=attempt.id, argv=wish.argv))
        with self._talking():
            await attempt.ended.wait()
            await say(stream, Handover(error=attempt.why) if attempt.why else attempt.successor)

    async def came(self, stream: SocketStream, argument: bytes) -> None:
        """A new process asks for the sockets, says that it is ready or why not, and is told whether it may serve."""
        assert isinstance(stream, UNIXSocketStream)
        successor = msgspec.json.decode(argument, type=Successor)
        attempt = self._attempts.get(successor.attempt) if successor.attempt else self._open()
        if attempt is None or attempt.successor is not None:
            await say(stream, Handover(error="that attempt is over"))
            return
        attempt.successor = successor
        pid, version, sent_for = successor.pid, successor.version, bool(successor.attempt)
        self.post(SuccessorCame(attempt=attempt.id, pid=pid, version=version, sent_for=sent_for))
        with self._talking():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._listen_to, stream, attempt)
                await attempt.ended.wait()
                nursery.cancel_scope.cancel()
            await say(stream, Handover(error=attempt.why))

    async def _listen_to(self, stream: UNIXSocketStream, attempt: Attempt) -> None:
        assert attempt.successor is not None
        await attempt.cleared.wait()
        lent = Handover(boot=self._boot, pid=os.getpid(), listen=self._listen)
        line = b"it has hung up before it was ready"
        with suppress(*HUNG_UP):
            await stream.send_fds(msgspec.json.encode(lent), [sock.fileno() for sock in self._sockets()])
            line = await BufferedByteReceiveStream(stream).receive_until(b"\n", LINE_BYTES_MAX)
        if line == READY:
            self.post(SuccessorReady(attempt=attempt.id, pid=attempt.successor.pid))
        else:
            self.post(SuccessorFailed(attempt=attempt.id, why=line.decode(errors="replace")))

    async def settled(self) -> None:
        """Return when all who have asked are answered, or do not take their answers."""
        with trio.move_on_after(ANSWERED_S):
            while self._talks:
                await self._silence.wait()

    # Effects of the server machine (ports.ServerPort).

    def start_successor(self, attempt: str, argv: Sequence[str]) -> None:
        self._start(self._watch_successor, self._attempts[attempt], argv)

    def pass_sockets(self, attempt: str) -> None:
        self._attempts[attempt].cleared.set()

    def end_attempt(self, attempt: str, why: str) -> None:
        ended = self._attempts.pop(attempt, None)
        if ended is not None:  # who comes late for one that is over finds that out by itself
            ended.why = why
            ended.ended.set()

    # Within.

    def _open(self) -> Attempt:
        self._count += 1
        attempt = Attempt(f"{self._boot}.{self._count}")
        self._attempts[attempt.id] = attempt
        return attempt

    @contextmanager
    def _talking(self) -> Iterator[None]:
        self._talks += 1
        try:
            yield
        finally:
            self._talks -= 1
            self._silence.set()
            self._silence = trio.Event()

    async def _watch_successor(self, attempt: Attempt, argv: Sequence[str]) -> None:
        """From its start to the end of the attempt, which may be its own end."""
        with self._talking():
            try:
                pid = await start_process(argv, {ATTEMPT_ENV: attempt.id})
                process = os.pidfd_open(pid)
            except ProcessLookupError:  # nobody's child is not waited for: it may have gone already
                self.post(SuccessorFailed(attempt=attempt.id, why=ENDED))
                return
            except OSError as error:
                why = f"{argv[0]} could not be started: {error.strerror or error}"
                self.post(SuccessorFailed(attempt=attempt.id, why=why))
                return
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._tell_of_end, process, attempt)
                    await attempt.ended.wait()
                    nursery.cancel_scope.cancel()
                if attempt.why:
                    with suppress(ProcessLookupError):
                        signal.pidfd_send_signal(process, signal.SIGTERM)
                else:
                    self.replaced_by = Replaced(pid, process)
            finally:
                if self.replaced_by is None:
                    os.close(process)

    async def _tell_of_end(self, process: int, attempt: Attempt) -> None:
        await trio.lowlevel.wait_readable(process)
        await trio.sleep(LAST_WORDS_S)
        self.post(SuccessorFailed(attempt=attempt.id, why=ENDED))


async def start_process(argv: Sequence[str], more: Mapping[str, str]) -> int:
    """Start a process that is nobody's child, with our stdout, stderr and environment; its number. Raises OSError."""
    environment = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    reading, writing = os.pipe()
    try:
        shell = ["/bin/sh", "-c", START, "sh", *argv]
        await trio.run_process(shell, stdin=writing, env={**environment, **more}, start_new_session=True, check=False)
        os.set_blocking(reading, False)
        return int(os.read(reading, 32))
    finally:
        os.close(reading)
        os.close(writing)

"""A client without SSH: it stands where `actors/ssh` does, at the ports, and sees what a client would see.

What `actors/ssh` decides about order is kept here: no input before the first `resume_input`, callbacks in the order of
asking once all is sent, the end of every channel before the end of its connection, each end told once.
"""

from collections.abc import Callable

import trio

from actors.ports import ConnectionPort, SessionPort, Supervisor
from moorage.testing.wrong import expect
from protocol.connection import DisconnectCause, Disconnected
from protocol.session import ChannelClosed

UNSENT_BYTES_HIGH = 64 * 1024
ANSWER_S = 0.001  # a packet's way to the client and back


class FakeChannel:
    """Implements `ports.Channel`; what is written arrives at once, unless the client does not read."""

    port: SessionPort

    def __init__(self, client: "FakeClient") -> None:
        self.client = client
        self.out, self.err = bytearray(), bytearray()
        self.status: int | None = None
        self.signal = ""
        self.dropped = self.closed_by_client = False  # dropped: with something unsent, which it did not read
        self.client_was_gone = self.client_was_silent = False  # when it ended
        self.ended = trio.Event()
        self._eof_sent = self._closing = self._gone = False
        self._reads, self._full = True, False
        self._unsent: list[tuple[bytes | memoryview, bool]] = []
        self._when_sent: list[Callable[[], None]] = []
        self._paused, self._starting = True, True
        self._held: list[bytes] = []
        self._eof_held = self._eof_given = False

    # ports.Channel: what the actor and the pump ask for.

    def write(self, data: bytes | memoryview, stderr: bool) -> None:
        if self.ended.is_set() or self._closing or self._eof_sent:
            return
        self._unsent.append((data, stderr))
        self._flow()
        if not self._full and self.unsent_bytes() > UNSENT_BYTES_HIGH:
            self._full = True
            self.port.pump.pause_output()

    def write_eof(self) -> None:
        self.notify_when_sent(self._send_eof)

    def _send_eof(self) -> None:
        if not self._gone:
            expect(not self._eof_sent, "EOF is sent twice")
            self._eof_sent = True

    def exit_status(self, status: int) -> None:
        self.notify_when_sent(lambda: self._exit(status, ""))

    def exit_signal(self, name: str, core: bool, message: str) -> None:
        self.notify_when_sent(lambda: self._exit(None, name))

    def _exit(self, status: int | None, signal: str) -> None:
        if self._gone:
            return
        expect(self._eof_sent, "the exit comes before EOF")
        expect(self.status is None and not self.signal, "two exits")
        expect(not self._closing, "the exit comes after the close")
        self.status, self.signal = status, signal

    def close(self) -> None:
        self.notify_when_sent(self._send_close)

    def _send_close(self) -> None:
        if self._gone:
            return
        expect(not self._closing, "the channel is closed twice")
        self._closing = True
        self._held.clear()
        self.client.answers(lambda: self.closed(""))

    def abort(self) -> None:
        self.dropped = bool(self._unsent)
        self._when_sent.clear()
        self._unsent.clear()
        self._end("")

    def pause_input(self) -> None:
        self._paused = True

    def resume_input(self) -> None:
        self._paused = self._starting = False
        self._deliver()

    def unsent_bytes(self) -> int:
        return sum(len(data) for data, _ in self._unsent)

    def notify_when_sent(self, callback: Callable[[], None]) -> None:
        self._when_sent.append(callback)
        self._drained()

    # What the client does.

    def send(self, data: bytes) -> bool:
        """Input for the program, if it may still be sent. It waits here while nobody takes it."""
        if self.ended.is_set() or self._eof_held or self._closing:
            return False
        self._held.append(data)
        self._deliver()
        return True

    def send_eof(self) -> None:
        if not self.ended.is_set() and not self._eof_held:
            self._eof_held = True
            self._deliver()

    def stop_reading(self) -> None:
        self._reads = False

    def read_on(self) -> None:
        self._reads = True
        self._flow()

    def leave(self) -> None:
        """The client closes the channel."""
        if not self.ended.is_set():
            self.closed_by_client = True
            self.closed("")

    def closed(self, why: str) -> None:
        """Nothing goes through it any more."""
        if self.ended.is_set():
            return
        self._gone = True
        self._unsent.clear()
        self._drained()
        self._end(why)

    def _end(self, why: str) -> None:
        if not self.ended.is_set():
            self.ended.set()
            self.client_was_gone, self.client_was_silent = self.client.left, self.client.silent
            self.port.pump.resume_output()
            self.port.post(ChannelClosed(why=why))

    def _flow(self) -> None:
        while self._reads and self._unsent:
            data, stderr = self._unsent.pop(0)
            (self.err if stderr else self.out).extend(data)
        if self._reads and self._full:
            self._full = False
            self.port.pump.resume_output()
        self._drained()

    def _drained(self) -> None:
        while self._when_sent and not self._unsent:
            self._when_sent.pop(0)()

    def _deliver(self) -> None:
        while self._held and not self._paused:
            self.port.pump.input(self._held.pop(0))
        is_due = self._eof_held and not self._held and not self._starting
        if is_due and not self._eof_given and not self.ended.is_set():
            self._eof_given = True
            self.port.pump.input_ended()


class FakeClient:
    """Implements `ports.Transport`. `told` is the reason in the server's disconnect, if there was one."""

    def __init__(self, supervisor: Supervisor, nursery: trio.Nursery) -> None:
        self.supervisor, self.nursery = supervisor, nursery
        self.mailbox: ConnectionPort | None = None
        self.channels: list[FakeChannel] = []
        self.told = self.remote = ""
        self.on_hang_up: Callable[[], None] = lambda: None  # a login may be under way
        self.left = self.silent = self.shim_failed = False
        self.lost = trio.Event()

    def connect(self, remote: str) -> None:
        self.remote = remote
        self.mailbox = self.supervisor.connection_made(self, remote)

    # ports.Transport

    def close(self, why: str) -> None:
        expect(why != "", "a connection is closed without a reason")
        self.told = self.told or why
        self.answers(lambda: self.hang_up("closed by the server"))

    def abort(self) -> None:
        self.nursery.start_soon(self._later, lambda: self.hang_up("aborted by the server"))

    # What the client does.

    def answers(self, do: Callable[[], None]) -> None:
        """What follows once the client has heard us. A silent one never answers."""
        if not self.silent:
            self.nursery.start_soon(self._later, do)

    async def _later(self, do: Callable[[], None]) -> None:
        await trio.sleep(ANSWER_S)
        do()

    def disconnect(self) -> None:
        self.left = True
        self.hang_up("")

    def hang_up(self, why: str, cause: DisconnectCause = "") -> None:
        """The connection is gone, with all its channels."""
        if self.lost.is_set() or self.mailbox is None:
            return
        self.lost.set()
        for channel in self.channels:
            channel.closed(why)
        self.on_hang_up()
        self.mailbox.post(Disconnected(why=why, cause=cause))

"""A session channel: the client's requests become events, the session actor's wishes become packets.

The answer to a request is due at once: packets are taken apart here, and `requests.py` answers.
"""

from collections.abc import Callable

from asyncssh.constants import EXTENDED_DATA_STDERR
from asyncssh.packet import PacketDecodeError, SSHPacket

from actors.ports import SessionPort
from actors.ssh.overrides import Caller, Wire
from actors.ssh.requests import Requests
from protocol.session import ChannelClosed


class Session(Caller):
    """Implements `ports.Channel`. `port` and `requests` are set once the actor is there, before anything can arrive."""

    port: SessionPort
    requests: Requests

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._closed = False
        self._when_sent: list[Callable[[], None]] = []

    # ports.Channel: what the actor and the pump ask for.

    def write(self, data: bytes | memoryview, stderr: bool) -> None:
        """After our EOF or the channel's end it goes nowhere, and that is no error: the program need not know."""
        if not self._wire.is_closing():
            self._wire.write(data, EXTENDED_DATA_STDERR if stderr else None)

    def write_eof(self) -> None:
        self.notify_when_sent(self._wire.write_eof)

    def exit_status(self, status: int) -> None:
        self.notify_when_sent(lambda: self._wire.send_exit_status(status))

    def exit_signal(self, name: str, core: bool, message: str) -> None:
        self.notify_when_sent(lambda: self._wire.send_exit_signal(name, core, message))

    def close(self) -> None:
        self.notify_when_sent(self._wire.close)

    def abort(self) -> None:
        self._when_sent.clear()
        self._wire.abort()
        self._end("")

    def pause_input(self) -> None:
        self._wire.pause_reading()

    def resume_input(self) -> None:
        if not self._closed:  # asyncssh would deliver what it still holds to nobody, and says that this cannot be
            self._wire.resume_reading()

    def unsent_bytes(self) -> int:
        return self._wire.get_write_buffer_size()

    def notify_when_sent(self, callback: Callable[[], None]) -> None:
        """The callbacks run in the order of asking: EOF, status and close behind the last byte, whoever is slow."""
        self._when_sent.append(callback)
        self.drained()

    # What arrives (called by `Wire`).

    def data_received(self, data: bytes | memoryview, datatype: int | None) -> None:
        self.port.pump.input(data)

    def eof_received(self) -> bool:
        self.port.pump.input_ended()
        return True  # a half-close: our own direction stays open

    def pause_writing(self) -> None:
        self.port.pump.pause_output()

    def resume_writing(self) -> None:
        self.port.pump.resume_output()

    def drained(self) -> None:
        while self._when_sent and self.unsent_bytes() == 0:
            self._when_sent.pop(0)()

    def closed(self, error: Exception | None) -> None:
        self.drained()
        self._end(str(error) if error else "")

    def _end(self, why: str) -> None:
        if self._closed:
            return
        self._closed = True
        self.port.pump.resume_output()  # nobody is slow any more: let the program write into nothing until it is told
        self.port.post(ChannelClosed(why=why))

    def requested(self, request: bytes, packet: SSHPacket) -> bool:
        answer = ANSWERS.get(request)
        if request == b"keepalive@openssh.com":
            return False  # any answer will do, and this is sshd's
        if answer is None:
            return self.requests.odd(request, "this request is not served here")
        try:
            return answer(self.requests, packet)
        except PacketDecodeError as error:
            return self.requests.odd(request, f"malformed: {error}")


def _env(requests: Requests, packet: SSHPacket) -> bool:
    name, value = packet.get_string(), packet.get_string()
    packet.check_end()
    return requests.env(name, value)


def _pty(requests: Requests, packet: SSHPacket) -> bool:
    term = packet.get_string()
    columns, rows = _window_size(packet)
    modes = packet.get_string()
    packet.check_end()
    return requests.pty(term, columns, rows, modes)


def _window(requests: Requests, packet: SSHPacket) -> bool:
    columns, rows = _window_size(packet)
    packet.check_end()
    return requests.window(columns, rows)


def _window_size(packet: SSHPacket) -> tuple[int, int]:
    columns, rows = packet.get_uint32(), packet.get_uint32()
    packet.get_uint32(), packet.get_uint32()  # pixels
    return columns, rows


def _signal(requests: Requests, packet: SSHPacket) -> bool:
    name = packet.get_string()
    packet.check_end()
    return requests.signal(name)


def _x11(requests: Requests, packet: SSHPacket) -> bool:
    return requests.x11()


def _shell(requests: Requests, packet: SSHPacket) -> bool:
    packet.check_end()
    return requests.start("shell", b"")


def _exec(requests: Requests, packet: SSHPacket) -> bool:
    command = packet.get_string()
    packet.check_end()
    return requests.start("exec", command)


def _subsystem(requests: Requests, packet: SSHPacket) -> bool:
    name = packet.get_string()
    packet.check_end()
    return requests.start("subsystem", name)


ANSWERS: dict[bytes, Callable[[Requests, SSHPacket], bool]] = {
    b"env": _env,
    b"pty-req": _pty,
    b"window-change": _window,
    b"signal": _signal,
    b"x11-req": _x11,
    b"shell": _shell,
    b"exec": _exec,
    b"subsystem": _subsystem,
}

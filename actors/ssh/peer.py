"""What is at the other end: does it speak SSH, and is it still there? More that is replaced, as in overrides.py."""

import asyncio
import errno
import socket
from contextlib import suppress

import asyncssh
from asyncssh.constants import DISC_TOO_MANY_CONNECTIONS, MSG_GLOBAL_REQUEST, MSG_REQUEST_FAILURE, MSG_REQUEST_SUCCESS
from asyncssh.packet import Boolean, SSHPacket, String

from protocol.connection import DisconnectCause

PREFIX = b"SSH-"
VERSIONS = (b"SSH-2.0-", b"SSH-1.99-")
LINE_BYTES_MAX = 255  # RFC 4253 section 4.2, with CR LF
# In plain text, for it is a browser or a scanner that reads it. It does not name the software: `serverVersion` does.
ANSWER = b"Invalid SSH identification string: an SSH 2.0 client is expected here (RFC 4253, section 4.2).\r\n"
FULL = b"Too many connections are logging in here. Try again in a moment.\r\n"  # before any version line, RFC 4253
LINGER_S = 1.0  # to take it
# How the kernel says that nothing has come back for as long as TCP_USER_TIMEOUT or its own keep-alive allows.
UNREACHABLE = frozenset({errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH})


class NotSSH(asyncssh.ProtocolNotSupported):
    """What came first is not SSH."""


class Silent(asyncssh.ConnectionLost):
    """No sign of life."""


def turn_away(transport: asyncio.Transport) -> None:
    """There is no room. What does not fit the socket now is not worth waiting for."""
    transport.write(FULL)
    transport.close()


def cause_of(error: Exception | None) -> DisconnectCause:
    """What the machine is told beside the sentence."""
    if isinstance(error, NotSSH):
        return "not_ssh"
    if isinstance(error, Silent) or (isinstance(error, OSError) and error.errno in UNREACHABLE):
        return "silent"
    return ""


class Peer(asyncssh.SSHServerConnection):
    """A base of `overrides.Connection`. `_silence_max_s`: how long it may be silent; 0: for ever."""

    _silence_max_s = 0.0
    _heard = 0.0  # when something last arrived, on the loop's clock
    _stranger: NotSSH | None = None  # it was told so, and its socket is not closed yet

    def _limit_tcp(self, sock: socket.socket) -> None:
        """Bytes that nobody acknowledges end a connection as early as a question that nobody answers."""
        if self._silence_max_s and hasattr(socket, "TCP_USER_TIMEOUT"):
            with suppress(OSError):  # gone already, or not TCP
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self._silence_max_s * 1000))

    # Does it speak SSH?

    def _recv_version(self) -> bool:
        """asyncssh waits for 8 KiB or a line's end, and closes without a word."""
        line, end, _ = self._inpbuf.partition(b"\n")
        if len(line) + len(end) > LINE_BYTES_MAX:
            return self._not_ssh("the version line is too long")
        start = line[: len(PREFIX)]
        if not PREFIX.startswith(start) or (end and not line.startswith(VERSIONS)):
            return self._not_ssh("not an SSH 2.0 client")
        if not line.isascii():
            return self._not_ssh("the version line is not ASCII")
        return bool(end) and super()._recv_version()

    def _not_ssh(self, why: str) -> bool:
        """The answer is written out before the socket closes, and what else the client sends is not looked at."""
        assert self._transport is not None
        transport, self._transport = self._transport, None
        self._stranger = NotSSH(why)
        transport.write(ANSWER)
        with suppress(OSError):  # gone already
            transport.write_eof()  # a close while something is unread would be a reset, and take the answer with it
        self._loop.call_later(LINGER_S, transport.abort)
        return False

    def connection_lost(self, exc: Exception | None = None) -> None:
        """One that was turned away keeps its place among `maxStartups` until its socket is gone."""
        if self._stranger is not None:
            self._cleanup(self._stranger)
            self._stranger = None
        super().connection_lost(exc)

    def make_room(self) -> None:
        """Its login has taken too long: another needs the place."""
        full = asyncssh.DisconnectError(DISC_TOO_MANY_CONNECTIONS, "too many connections are logging in")
        self._send_disconnect(full.code, full.reason, full.lang)
        self._force_close(full)

    # Is it still there?

    def _reset_keepalive_timer(self) -> None:
        """Whatever arrives is a sign of life. asyncssh makes a new timer for each read, and counts answers only."""
        self._heard = self._loop.time()
        self._keepalive_count = 0

    def _keepalive_timer_callback(self) -> None:
        """A question after each interval of silence, and the end after the last one's."""
        due = self._heard + (self._keepalive_count + 1) * self._keepalive_interval
        left = due - self._loop.time()
        if left > 0:  # it has spoken since
            self._keepalive_timer = self._loop.call_later(left, self._keepalive_timer_callback)
        elif self._keepalive_count == self._keepalive_count_max:
            self.connection_lost(Silent(f"no sign of life for {self._silence_max_s:g} s"))
        else:
            self._keepalive_count += 1
            self._set_keepalive_timer()
            self.send_packet(MSG_GLOBAL_REQUEST, String("keepalive@openssh.com"), Boolean(True))

    def _process_global_response(self, _pkttype: int, _pktid: int, packet: SSHPacket) -> None:
        """We ask nothing else, so any answer is a sign of life, and which question it is for does not matter."""

    _packet_handlers = {
        **asyncssh.SSHServerConnection._packet_handlers,
        MSG_REQUEST_SUCCESS: _process_global_response,
        MSG_REQUEST_FAILURE: _process_global_response,
    }

"""Everything that reaches into asyncssh's private parts. Written against, and only tried with, the version named here.

What the library does not offer, or does otherwise than a server of strangers needs: limits on what a peer can pile up,
raw request strings, an order at a channel's end that holds, a count of login attempts, quick ACKs, and errors that
become somebody's event. Each override has its test in tests/actors/ssh/test_overrides.py.
"""

import asyncio
import socket
import sys
from contextlib import suppress
from types import TracebackType
from typing import Protocol, cast

import asyncssh
from asyncssh.constants import (
    DEFAULT_LANG,
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_FAILURE,
    MSG_CHANNEL_OPEN,
    MSG_CHANNEL_REQUEST,
    MSG_CHANNEL_SUCCESS,
    MSG_GLOBAL_REQUEST,
    OPEN_ADMINISTRATIVELY_PROHIBITED,
    OPEN_RESOURCE_SHORTAGE,
    OPEN_UNKNOWN_CHANNEL_TYPE,
)
from asyncssh.logging import SSHLogger
from asyncssh.packet import Boolean, PacketDecodeError, SSHPacket, String, UInt32

from actors.bridge import turn_of
from actors.outbox import Outbox
from actors.ssh.farewell import Farewell
from actors.ssh.packets import MERGE_BYTES_MAX, PacketChannel, PacketConnection
from actors.ssh.peer import Peer, turn_away
from actors.ssh.turns import Turns
from fsm.policy import CHANNELS, ChannelRefusal
from protocol.settings import Ssh

ASYNCSSH_VERSION = "2.24.1"

UNREAD_BYTES_MAX = 512 * 1024  # received and not yet parsed, because a packet before it is still being worked on
UNSENT_BYTES_MAX = 1024 * 1024  # replies for a client that asks and never reads; channel data stops far earlier
CHANNELS_MAX = 1000  # in one connection, with those the client has not bothered to close
PACKET_BYTES_MIN = 256  # a channel that wants its data in smaller pieces costs more than it is worth
CLOSING = frozenset({"close_pending", "closed"})
OPEN = frozenset({"open", "eof_pending", "eof"})
ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]  # as sys.exc_info() has it


class Gate(Protocol):
    """Who counts connections and lets them in."""

    def admit(self, conn: "Connection", host: str) -> bool: ...
    def landed(self, conn: "Connection") -> None: ...
    def left(self, conn: "Connection") -> None: ...


class Owner(Protocol):
    """What `Connection` wants of its SSHServer object (connection.py)."""

    is_partly_in: bool

    def auth_refused(self, method: bytes) -> None: ...
    async def key_shown(self, key_data: bytes, signed: bytes, signature: bytes) -> bool: ...
    def session_refusal(self, open_sessions: int) -> ChannelRefusal: ...
    def forwarding_refusal(self, what: bytes) -> ChannelRefusal: ...
    def open_session(self, wire: "Wire") -> "Caller": ...
    def request_refused(self, what: bytes, refusal: ChannelRefusal) -> None: ...
    def crashed(self, error: BaseException) -> None: ...


class Caller(asyncssh.SSHServerSession[bytes]):
    """What `Wire` wants of its session object (session.py), beside asyncssh's own callbacks."""

    def requested(self, request: bytes, packet: SSHPacket) -> bool:
        """Answer a channel request. PacketDecodeError: malformed, the answer is no."""
        raise NotImplementedError

    def drained(self) -> None:
        """Nothing is waiting to be sent."""
        raise NotImplementedError

    def closed(self, error: Exception | None) -> None:
        """The channel is gone."""
        raise NotImplementedError


class Connection(Farewell, Peer, Turns, PacketConnection):
    """One SSH connection as the server sees it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, options: asyncssh.SSHServerConnectionOptions, gate: Gate, ssh: Ssh
    ) -> None:
        super().__init__(loop, options)
        self._silence_max_s = ssh.client_alive_interval * ssh.client_alive_count_max
        self.auth_method = b""
        self._gate = gate
        self._tries_max = ssh.max_auth_tries
        self._tries = 0
        self._requests_seen = 0
        self._socket: socket.socket | None = None
        self._congested = False
        self._reading_paused = False
        self._no_more_sessions = False

    @property
    def handler(self) -> Owner:
        return cast(Owner, self._owner)

    # The socket.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not self._gate.admit(self, (transport.get_extra_info("peername") or ("",))[0]):
            turn_away(cast(asyncio.Transport, transport))
            return
        self._socket = cast("socket.socket | None", transport.get_extra_info("socket"))
        super().connection_made(Outbox(cast(asyncio.Transport, transport), turn_of(self._loop)))
        if self._socket is not None:
            self._limit_tcp(self._socket)
        self._acknowledge_now()

    def data_received(self, data: bytes, datatype: int | None = None) -> None:
        self._take(data)
        if not self._auth_complete:
            self._acknowledge_now()
        if len(self._inpbuf) > UNREAD_BYTES_MAX and self._transport is not None and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def _acknowledge_now(self) -> None:
        """OpenSSH's client sends small packets before it sets TCP_NODELAY: a delayed ACK costs it 40 ms, twice a login.

        Linux takes the option back after a while, hence after every read.
        """
        if self._socket is not None and hasattr(socket, "TCP_QUICKACK"):
            with suppress(OSError):  # gone already, or not TCP
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def pause_writing(self) -> None:
        self._congested = True

    def resume_writing(self) -> None:
        self._congested = False
        self._flush_channels()

    @property
    def flows(self) -> bool:
        """May channels send data? Not while the socket is full, nor while keys are exchanged anew.

        asyncssh heaps it up in both cases, as much as the client's window allows, and that may be 4 GiB.
        """
        return self._kex_complete and not self._congested

    def _send_deferred_packets(self) -> None:
        super()._send_deferred_packets()
        if self._kex_complete:
            self._client_kexinit = self._server_kexinit = b""  # 2 KiB that nothing reads once the keys are there
        self._flush_channels()

    def _flush_channels(self) -> None:
        for channel in list(self._channels.values()):
            channel._flush_send_buf()

    def _send(self, data: bytes) -> None:
        if self._transport is not None and self._transport.is_closing():
            return  # asyncio has a line on stderr for each of these
        super()._send(data)
        if self._transport is not None and self._transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            self._force_close(asyncssh.ConnectionLost("the client asks and does not read the answers"))

    def _recv_data(self) -> None:
        if self._transport is None:  # being closed: what is still in the buffer is not looked at
            self._inpbuf = b""
            return
        super()._recv_data()
        if self._reading_paused and self._transport is not None and len(self._inpbuf) <= UNREAD_BYTES_MAX:
            self._reading_paused = False
            self._transport.resume_reading()

    def _recv_pkthdr(self) -> bool:
        received = super()._recv_pkthdr()
        if received and self._pktlen + 4 < self._recv_blocksize:
            raise asyncssh.ProtocolError("Packet too short")
        return received

    def _cleanup(self, exc: Exception | None) -> None:
        super()._cleanup(exc)
        self._gate.left(self)

    def internal_error(self, exc_info: ExcInfo | None = None, error_logger: SSHLogger | None = None) -> None:
        """An exception that is none of SSH's own. Bytes that do not parse are the peer's mistake; the rest is ours."""
        error = (exc_info or sys.exc_info())[1]
        if isinstance(error, PacketDecodeError | UnicodeDecodeError):
            is_text = isinstance(error, UnicodeDecodeError)
            mistake = asyncssh.ProtocolError("Malformed text in a packet" if is_text else str(error))
            self._send_disconnect(mistake.code, mistake.reason, mistake.lang)
            self._force_close(mistake)
            return
        if error is not None and self._owner is not None:
            self.handler.crashed(error)
        super().internal_error(exc_info, error_logger)

    # Logging in.

    async def reload_config(self) -> None:
        """asyncssh builds all its options anew, in a thread, for each user name. Ours do not depend on it."""

    async def _finish_userauth(self, begin_auth: bool, method: bytes, packet: SSHPacket) -> None:
        self.auth_method = method
        self._requests_seen += 1
        if method == b"password":  # counted when asked: a client that does not wait for answers pays too
            self._tries += 1
            if self._tries > self._tries_max:
                raise asyncssh.ProtocolError("Too many authentication failures")
        await super()._finish_userauth(begin_auth, method, packet)

    def send_userauth_failure(self, partial_success: bool) -> None:
        if self._transport is None:  # being closed
            return
        if partial_success:  # not a failure: the factor was proved, and another one must follow
            super().send_userauth_failure(True)
            return
        method = self.auth_method
        if method != b"password" and not (method == b"none" and self._requests_seen == 1):
            self._tries += 1
        self.handler.auth_refused(method)
        if self._tries < self._tries_max:
            super().send_userauth_failure(partial_success)
            return
        last = asyncssh.ProtocolError("Too many authentication failures")
        self._send_disconnect(last.code, last.reason, last.lang)
        self._force_close(last)

    async def validate_public_key(self, username: str, key_data: bytes, msg: bytes, signature: bytes) -> bool:
        """asyncssh would judge by its own reading of key lines, and forget their options at the next method."""
        return await self.handler.key_shown(key_data, msg and String(self._session_id) + msg, signature)

    async def send_userauth_success(self) -> None:
        """Called for each method that was passed; asyncssh knows of no second one."""
        if self._owner is None or self.handler.is_partly_in:
            self.send_userauth_failure(True)  # nothing, when the connection is gone
            return
        self._gate.landed(self)
        await super().send_userauth_success()

    # Requests.

    def _process_global_request(self, _pkttype: int, _pktid: int, packet: SSHPacket) -> None:
        """asyncssh looks for a method of that name; here the list of what we answer is written down."""
        request, want_reply = packet.get_string(), packet.get_boolean()
        self._no_more_sessions |= request == b"no-more-sessions@openssh.com"
        answer = request in (b"no-more-sessions@openssh.com", b"keepalive@openssh.com")
        if not answer:
            self.handler.request_refused(request, self.handler.forwarding_refusal(request))
        self._global_request_queue.append((None, packet, want_reply))
        self._report_global_response(answer)

    def _process_channel_open(self, _pkttype: int, _pktid: int, packet: SSHPacket) -> None:
        """Opens at once (asyncssh does it in a task), so that a word written to a new channel is never lost."""
        kind = packet.get_string()
        peer_channel, window, packet_size = (packet.get_uint32(), packet.get_uint32(), packet.get_uint32())
        code, refusal = self._refusal(kind, packet_size)
        if refusal.why:
            self.handler.request_refused(kind, refusal)
            self.send_channel_open_failure(peer_channel, code, refusal.why, DEFAULT_LANG)
            return
        packet.check_end()
        self._update_recv_pktlen(self._max_pktsize)
        Wire(self, self._loop, self._window, self._max_pktsize).open(peer_channel, window, packet_size)

    def _refusal(self, kind: bytes, packet_size: int) -> tuple[int, ChannelRefusal]:
        """Code and sentence for a channel that may not open; without a sentence it may."""
        if kind in CHANNELS:
            return OPEN_ADMINISTRATIVELY_PROHIBITED, self.handler.forwarding_refusal(kind)
        if kind != b"session":
            return OPEN_UNKNOWN_CHANNEL_TYPE, ChannelRefusal("unsupported channel type")
        if self._no_more_sessions:
            return OPEN_ADMINISTRATIVELY_PROHIBITED, ChannelRefusal("the client itself wants no more sessions")
        if packet_size < PACKET_BYTES_MIN or len(self._channels) >= CHANNELS_MAX:
            return OPEN_RESOURCE_SHORTAGE, ChannelRefusal("too many channels, or too small packets")
        return OPEN_ADMINISTRATIVELY_PROHIBITED, self.handler.session_refusal(len(self._channels))

    _packet_handlers = {
        **Peer._packet_handlers,
        MSG_GLOBAL_REQUEST: _process_global_request,
        MSG_CHANNEL_OPEN: _process_channel_open,
    }


class Wire(PacketChannel):
    """A session channel on the wire. Delivers no input until `resume_reading` is called for the first time."""

    def __init__(self, conn: Connection, loop: asyncio.AbstractEventLoop, window: int, packet_size: int) -> None:
        super().__init__(conn, loop, True, False, False, 0, 0, None, "strict", window, packet_size)
        self._link: Connection = conn
        self._caller: Caller | None = None

    def open(self, peer_channel: int, window: int, packet_size: int) -> None:
        self._send_chan, self._send_window, self._send_pktsize = (peer_channel, window, packet_size)
        assert self._recv_chan is not None
        self._session = self._caller = self._link.handler.open_session(self)
        self._send_state = self._recv_state = "open"
        self._link.send_channel_open_confirmation(peer_channel, self._recv_chan, self._recv_window, self._recv_pktsize)

    # asyncssh's `exit` sends the status before what is still to be sent; these send it alone, where they are called.

    def send_exit_status(self, status: int) -> None:
        self._send_request(b"exit-status", UInt32(status))

    def send_exit_signal(self, name: str, core: bool, message: str) -> None:
        self._send_request(b"exit-signal", String(name), Boolean(core), String(message), String(DEFAULT_LANG))

    def _flush_send_buf(self) -> None:
        if self._caller is None or self._session is None:
            return
        while self._send_buf and self._send_window and self._link.flows:
            self._send_next()
        if self._send_buf:
            self._pause_resume_writing()
            return
        super()._flush_send_buf()
        if not self._send_buf:
            self._caller.drained()

    def _accept_data(self, data: bytes, datatype: int | None = None) -> None:
        """Held-back input in one-byte packets would cost a hundred times its size."""
        if self._recv_paused and self._recv_buf and self._send_state not in CLOSING:
            last, kind = self._recv_buf[-1]
            if kind == datatype and len(last) + len(data) <= MERGE_BYTES_MAX:
                self._recv_window -= len(data)
                self._recv_buf[-1] = (b"".join((last, data)), kind)
                return
        super()._accept_data(data, datatype)

    def _process_close(self, pkttype: int, pktid: int, packet: SSHPacket) -> None:
        """asyncssh waits with it until the program has read its input. A client that closes wants nothing any more."""
        super()._process_close(pkttype, pktid, packet)
        self._discard_recv()

    def _process_request(self, _pkttype: int, _pktid: int, packet: SSHPacket) -> None:
        """asyncssh looks for a method of that name, drops what is not UTF-8, and starts reading on a yes."""
        if self._recv_state not in OPEN:
            raise asyncssh.ProtocolError("Channel not open")
        request = packet.get_string()
        want_reply = packet.get_boolean()
        if self._send_state in CLOSING or self._caller is None:
            return
        answer = self._caller.requested(request, packet)
        if want_reply:
            self.send_packet(MSG_CHANNEL_SUCCESS if answer else MSG_CHANNEL_FAILURE)

    def _cleanup(self, exc: Exception | None = None) -> None:
        caller, self._caller = self._caller, None
        self._send_buf, self._send_buf_len = [], 0
        super()._cleanup(exc)
        if caller is None:
            return
        try:
            caller.closed(exc)
        except Exception:
            self._link.internal_error(sys.exc_info())

    _packet_handlers = {
        **asyncssh.SSHServerChannel._packet_handlers,
        MSG_CHANNEL_CLOSE: _process_close,
        MSG_CHANNEL_REQUEST: _process_request,
    }


def ours(thing: object) -> Connection | None:
    """The connection that a protocol, transport, channel or bound method belongs to, if it is one of ours."""
    thing = getattr(thing, "__self__", thing)
    if isinstance(thing, asyncio.BaseTransport) and hasattr(thing, "get_protocol"):
        thing = thing.get_protocol()
    if isinstance(thing, Wire):
        return thing._link
    return thing if isinstance(thing, Connection) else None

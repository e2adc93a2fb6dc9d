"""Channel data made into packets and back with few copies.

asyncssh copies every byte a dozen times on its way into a packet, and as often on its way out, and gives the socket
each packet by itself. Here as many packets as there is data for go in one write, and with AES-GCM what has arrived is
cut without copying what follows. It reaches into asyncssh's private parts, as overrides.py does.
"""

import os
import time
from typing import cast

import asyncssh
from asyncssh.constants import MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA, MSG_IGNORE
from asyncssh.encryption import Encryption, GCMEncryption
from asyncssh.packet import Byte, SSHPacket, SSHPacketLogger, String, UInt32
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MERGE_BYTES_MAX = 1024  # held-back data in pieces smaller than this is put together
KEPT_TIMES_MAX = 4  # held-back data may keep alive so many times its own size
PADDING_BYTES_MIN = 4
SEALED_BYTES_MIN = 12  # of a packet without the length before it
LENGTH_BYTES, TYPE_AT = 4, 1
DATA_AT = 10  # in a DATA packet: behind the padding's length, the type, the channel, the data's length
FORGED = bytes(2)  # a type that there is not


class Gcm(Encryption):
    """AES-GCM as in RFC 5647, in one direction. Goes on where asyncssh's own object has stopped."""

    def __init__(self, own: GCMEncryption) -> None:
        key, nonce = own._cipher._key, own._cipher._iv
        self._cipher = AESGCM(key)
        self._fixed, self._count = nonce[:4], int.from_bytes(nonce[4:], "big")
        self.seen: bytes | None = None  # the packet that was looked into, and has not been given out

    def _nonce(self) -> bytes:
        """A new one for each packet."""
        nonce = self._fixed + self._count.to_bytes(8, "big")
        self._count = (self._count + 1) % 2**64
        return nonce

    def encrypt_packet(self, seq: int, header: bytes, packet: bytes) -> tuple[bytes, bytes]:
        return header, self._cipher.encrypt(self._nonce(), packet, header)

    def decrypt_header(self, seq: int, first_block: bytes, header_len: int) -> tuple[bytes, bytes]:
        return first_block, first_block[:header_len]

    def look(self, packet: bytes) -> bytes:
        """Into a whole packet; it is `seen` until it is taken, or given out by `decrypt_packet`. A forgery is not."""
        try:
            opened = self._cipher.decrypt(self._nonce(), packet[LENGTH_BYTES:], packet[:LENGTH_BYTES])
        except InvalidTag:
            return FORGED
        # Channel data as a view, so that slices of it are no copies.
        self.seen = cast(bytes, memoryview(opened)) if opened[TYPE_AT] == MSG_CHANNEL_DATA else opened
        return self.seen

    def decrypt_packet(self, seq: int, first: bytes, rest: bytes, header_len: int, mac: bytes) -> bytes | None:
        if self.seen is None:
            self.look(b"".join((first, rest, mac)))
        seen, self.seen = self.seen, None
        return seen


class Quiet(SSHPacketLogger):
    """asyncssh puts a sentence about every packet together before it asks whether anybody wants it."""

    def log_sent_packet(self, pkttype: int, pktid: int | None, packet: bytes | SSHPacket, note: str = "") -> None:
        """Nobody does."""

    def log_received_packet(self, pkttype: int, pktid: int | None, packet: bytes | SSHPacket, note: str = "") -> None:
        """Nobody does."""


class PacketConnection(Quiet, asyncssh.SSHServerConnection):
    """How a connection's packets are made and read. Each exchange of keys sets both ciphers anew."""

    _sealer: Encryption | None
    _opener: Encryption | None

    @property
    def _send_encryption(self) -> Encryption | None:
        return self._sealer

    @_send_encryption.setter
    def _send_encryption(self, own: Encryption | None) -> None:
        self._sealer = Gcm(own) if isinstance(own, GCMEncryption) else own

    @property
    def _recv_encryption(self) -> Encryption | None:
        return self._opener

    @_recv_encryption.setter
    def _recv_encryption(self, own: Encryption | None) -> None:
        self._opener = Gcm(own) if isinstance(own, GCMEncryption) else own
        self._inpbuf = bytes(self._inpbuf)  # what follows the client's NEWKEYS, for a cipher that takes no views

    def send_packet(self, pkttype: int, *args: bytes, handler: SSHPacketLogger | None = None) -> None:
        """asyncssh puts an empty IGNORE before every packet, to hide the IV chain of CBC. Other ciphers have none."""
        if pkttype == MSG_IGNORE and not self._enc_alg_sc.endswith(b"-cbc"):
            return
        super().send_packet(pkttype, *args, handler=handler)

    def send_data(self, head: bytes, data: memoryview, packet_bytes: int) -> None:
        """Send packets that hold `head` and the next `packet_bytes` of `data`, as a string."""
        pieces = [data[at : at + packet_bytes] for at in range(0, len(data), packet_bytes)]
        cipher = self._send_encryption
        if cipher is None or self._compressor or self._keys_are_old():
            for piece in pieces:
                self.send_packet(head[0], head[1:], String(bytes(piece)))
            return
        parts: list[bytes] = []
        for piece in pieces:
            parts += self._sealed(cipher, head, piece)
            self._send_seq = (self._send_seq + 1) % 2**32
        packets = b"".join(parts)
        self._rekey_bytes_sent += len(packets)
        self._send(packets)

    def _sealed(self, cipher: Encryption, head: bytes, piece: memoryview) -> tuple[bytes, bytes]:
        """One packet of RFC 4253 section 6, in two parts."""
        size = self._send_enchdrlen + len(head) + 4 + len(piece)
        padding = PADDING_BYTES_MIN + (-size - PADDING_BYTES_MIN) % self._send_blocksize
        start = b"%c%b%b" % (padding, head, len(piece).to_bytes(4, "big"))
        plain = b"".join((start, piece, os.urandom(padding)))
        return cipher.encrypt_packet(self._send_seq, len(plain).to_bytes(4, "big"), plain)

    def _keys_are_old(self) -> bool:
        """asyncssh exchanges them anew before the next packet that it makes."""
        old = self._rekey_seconds and time.monotonic() >= self._rekey_time
        return bool(old) or self._rekey_bytes_sent >= self._rekey_bytes

    def _take(self, data: bytes) -> None:
        """asyncssh's `data_received`, over a view of all that is there; what is left of it is kept as bytes."""
        if not isinstance(self._recv_encryption, Gcm):
            super().data_received(data)
            return
        self._inpbuf = cast(bytes, memoryview(b"".join((self._inpbuf, data)) if self._inpbuf else data))
        self._recv_data()
        self._inpbuf = bytes(self._inpbuf)

    def _recv_pkthdr(self) -> bool:
        """With a short way for what sessions are made of: DATA as it should be, and the IGNORE before it."""
        cipher, unread = self._opener, self._inpbuf
        if not isinstance(cipher, Gcm) or self._decompressor or not self._auth_complete:
            return super()._recv_pkthdr()
        self._pktlen = int.from_bytes(unread[:LENGTH_BYTES], "big")
        end = LENGTH_BYTES + self._pktlen + self._recv_macsize
        if not SEALED_BYTES_MIN <= self._pktlen <= self._max_recv_pktlen or end > len(unread):
            return super()._recv_pkthdr()
        packet = cipher.look(unread[:end])
        kind = packet[TYPE_AT]
        if kind == MSG_CHANNEL_DATA:
            channel = self._channels.get(int.from_bytes(packet[TYPE_AT + 1 : TYPE_AT + 5], "big"))
            data = packet[DATA_AT : len(packet) - packet[0]]
            is_fit = int.from_bytes(packet[DATA_AT - 4 : DATA_AT], "big") == len(data)
            if not is_fit or not isinstance(channel, PacketChannel) or not channel.may_take(data):
                return super()._recv_pkthdr()
        elif kind == MSG_IGNORE:
            channel, data = None, b""
        else:
            return super()._recv_pkthdr()
        self._inpbuf, cipher.seen = unread[end:], None
        if channel is not None:
            channel._accept_data(data)
        self._finish_recv_packet(kind, self._recv_seq)
        return True


class PacketChannel(Quiet, asyncssh.SSHServerChannel[bytes]):
    """How a channel's data waits to be sent: as views of what was written, and the window's share goes at once."""

    _link: PacketConnection

    def may_take(self, data: bytes) -> bool:
        """Can so much arrive now, by the rules?"""
        return self._recv_state == "open" and len(data) <= self._recv_window

    def write(self, data: bytes | memoryview, datatype: int | None = None) -> None:
        """Takes the data as it is, unless it is held back in pieces that cost more than they hold."""
        if self._send_state != "open":
            raise BrokenPipeError("the channel is not open for sending")
        if self._send_buf:
            last, kind = self._send_buf[-1]
            if kind == datatype and len(last) + len(data) <= MERGE_BYTES_MAX:
                data = b"".join((last, data))
                self._send_buf_len -= len(self._send_buf.pop()[0])
        if data:
            self._send_buf.append((memoryview(data), datatype))  # type: ignore[arg-type]
            self._send_buf_len += len(data)
            self._flush_send_buf()
            self._let_go()

    def _let_go(self) -> None:
        """What waits is a view, and would keep all that was read together with it: a thousand times as much."""
        if self._send_buf:
            rest, kind = cast(tuple[memoryview, int | None], self._send_buf[-1])
            if len(rest) * KEPT_TIMES_MAX < len(rest.obj):  # type: ignore[arg-type]
                self._send_buf[-1] = (memoryview(bytes(rest)), kind)  # type: ignore[assignment]

    def _send_next(self) -> None:
        """Of the first data that waits, what the client's window takes."""
        data, kind = cast(tuple[memoryview, int | None], self._send_buf[0])
        count = min(len(data), self._send_window)
        if count < len(data):
            self._send_buf[0] = (data[count:], kind)  # type: ignore[assignment]
        else:
            del self._send_buf[0]
        self._send_buf_len -= count
        self._send_window -= count
        assert self._send_chan is not None
        head = Byte(MSG_CHANNEL_DATA if kind is None else MSG_CHANNEL_EXTENDED_DATA) + UInt32(self._send_chan)
        self._link.send_data(head if kind is None else head + UInt32(kind), data[:count], self._send_pktsize)

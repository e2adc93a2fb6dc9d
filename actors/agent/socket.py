"""A link over a Unix socket of one container's own, in a folder that is mounted into it and nowhere else."""

import asyncio
import os
import secrets
import socket
import struct
from contextlib import suppress
from pathlib import Path

from actors.acceptor import Acceptor
from actors.agent.link import Link
from actors.agent.terminal import Terminals
from actors.bridge import Loop, this_loop, this_turn
from actors.outbox import Outbox

NAME = "s"
UNSENT_BYTES_HIGH, UNSENT_BYTES_LOW = 256 * 1024, 64 * 1024  # above the first the link is full, below the second not
# Small frames leave at once, so that the agent works while we do. Large ones leave together at the end of the turn: a
# system call and an awakening for each made an upload a sixth slower.
LARGE_BYTES, HELD_BYTES_MAX = 4 * 1024, 192 * 1024
PEER = struct.Struct("3i")  # struct ucred: pid, uid, gid


class LinkSocket:
    """Listens for the one agent it is for, checks that it is that, and listens no more."""

    def __init__(self, link: Link, folder: Path) -> None:
        self.link, self.folder = link, folder
        self.loop: Loop  # once it listens
        self.terminals: Terminals | None = None
        self._acceptor: Acceptor | None = None
        link.when_closed = self._tidy

    def listen(self) -> None:
        """Raises OSError; what is there by then goes with the link."""
        self.loop = this_loop()
        self.folder.mkdir()
        self.folder.chmod(0o711)  # whatever our umask is
        path = str(self.folder / NAME)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._acceptor = Acceptor(self.loop, sock, self._meet)
        sock.bind(path)
        os.chmod(path, 0o666)  # the container's user is whoever its image says
        sock.listen(1)
        self._acceptor.begin()

    def _meet(self, sock: socket.socket) -> None:
        if not self._admit(sock):
            sock.close()
            return
        self._stop_listening()
        self.loop.carry(sock, Peer(self))

    def _admit(self, sock: socket.socket) -> bool:
        """Is this the agent? Its cgroup is the container's, whatever the user's number means in there.

        No program of a user runs in the container yet, for the agent starts them.
        """
        pid, uid, _ = PEER.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size))
        try:
            with open(f"/proc/{pid}/cgroup", "rb", buffering=0) as file:
                groups = file.readall()
        except OSError:
            return False
        if not self.link.container or self.link.container.encode() not in groups:
            return False
        with suppress(OSError):  # the agent opens its own then, and we hold neither end
            self.terminals = Terminals(f"/proc/{pid}/root", uid)
        return True

    def _stop_listening(self) -> None:
        if self._acceptor is not None:
            self._acceptor.close()
            self._acceptor = None
            with suppress(OSError):
                (self.folder / NAME).unlink()

    def _tidy(self) -> None:
        self._stop_listening()
        if self.terminals is not None:
            self.terminals.close()
            self.terminals = None
        with suppress(OSError):
            self.folder.rmdir()


class Peer(asyncio.Protocol):
    """The agent's connection. Implements `link.GivingWire`."""

    def __init__(self, socket: LinkSocket) -> None:
        self._socket = socket
        self.loop: asyncio.AbstractEventLoop = socket.loop
        self._transport: asyncio.Transport | None = None

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def give_slave(self, data: bytes) -> int | None:
        terminals, transport = self._socket.terminals, self._transport
        if terminals is None or transport is None or transport.get_write_buffer_size():
            return None  # a descriptor goes with the bytes of one call, which have to be the next ones
        try:
            master, slave = terminals.open()
        except OSError:
            return None
        try:
            sent = _send_with(transport.get_extra_info("socket").fileno(), data, slave)
        except OSError:
            os.close(master)
            return None
        finally:
            os.close(slave)
        if sent < len(data):
            transport.write(data[sent:])
        return master

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = Outbox(transport, this_turn(), HELD_BYTES_MAX, at_once=LARGE_BYTES)
        transport.set_write_buffer_limits(UNSENT_BYTES_HIGH, UNSENT_BYTES_LOW)
        self._socket.link.carry(self, self if self._socket.terminals is not None else None)

    def pause_writing(self) -> None:
        self._socket.link.choke()

    def resume_writing(self) -> None:
        self._socket.link.relieve()

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._socket.link.feed(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is not None:
            self._transport = None
            self._socket.link.lost(str(error) if error else "")


def fresh_folder(folder: Path) -> Path:
    """A name that no container has had before."""
    return folder / secrets.token_hex(6)


def _send_with(number: int, data: bytes, descriptor: int) -> int:
    """How many bytes went through a transport's socket. Raises OSError: none."""
    ours = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=number)
    try:
        return socket.send_fds(ours, [data], [descriptor])
    finally:
        ours.detach()  # it is the transport's

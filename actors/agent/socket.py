"""A link over a Unix socket of one container's own, in a folder that is mounted into it and nowhere else."""

import asyncio
import secrets
import socket
import struct
from contextlib import suppress
from pathlib import Path

from actors.agent.link import Link
from actors.bridge import this_turn
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
        self._server: asyncio.Server | None = None
        link.when_closed = self._tidy

    async def listen(self) -> None:
        """Raises OSError."""
        self.folder.mkdir()
        self.folder.chmod(0o711)  # whatever our umask is
        path = self.folder / NAME
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: Peer(self), str(path), backlog=1)
        path.chmod(0o666)  # the container's user is whoever its image says

    def admit(self, transport: asyncio.Transport) -> bool:
        """Is this the agent? Its cgroup is the container's, whatever the user's number means in there."""
        credentials = transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
        pid, _, _ = PEER.unpack(credentials)
        try:
            groups = Path(f"/proc/{pid}/cgroup").read_text()
        except OSError:
            return False
        if self._server is None or not self.link.container or self.link.container not in groups:
            return False
        self._stop_listening()
        return True

    def _stop_listening(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            loop = server.get_loop()
            for sock in server.sockets:
                loop.remove_reader(sock.fileno())
            # Not before those that were accepted already are there to be refused: asyncio forgets them otherwise.
            loop.call_soon(server.close)
        with suppress(OSError):
            (self.folder / NAME).unlink()

    def _tidy(self) -> None:
        self._stop_listening()
        with suppress(OSError):
            self.folder.rmdir()


class Peer(asyncio.Protocol):
    """One connection to the socket. Implements `link.Wire` once it is known to be the agent's."""

    def __init__(self, socket: LinkSocket) -> None:
        self._socket = socket
        self._transport: asyncio.Transport | None = None

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if not self._socket.admit(transport):
            transport.abort()
            return
        self._transport = Outbox(transport, this_turn(), HELD_BYTES_MAX, at_once=LARGE_BYTES)
        transport.set_write_buffer_limits(UNSENT_BYTES_HIGH, UNSENT_BYTES_LOW)
        self._socket.link.carry(self)

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

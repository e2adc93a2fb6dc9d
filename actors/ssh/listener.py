"""The listening socket, and who is let in through it. asyncio code: run it inside the loop of actors/bridge.py."""

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import asyncssh
from msgspec import Struct

from actors.acceptor import BACKLOG, Acceptor
from actors.bridge import this_loop
from actors.limit import place_of
from actors.ports import Supervisor
from actors.ssh.auth import Keyring
from actors.ssh.connection import Handler, crash_text
from actors.ssh.options import listen_address, server_options
from actors.ssh.overrides import ASYNCSSH_VERSION, Connection, ours
from actors.ssh.startups import Startups
from protocol.settings import Settings, Ssh


class Terms(Struct, frozen=True):
    """What a connection that is accepted now is met with. Made ready as a whole, because it may fail."""

    options: asyncssh.SSHServerConnectionOptions
    ssh: Ssh


def terms(supervisor: Supervisor, settings: Settings) -> Terms:
    """Reads host keys and authorized keys, so not for the loop's thread once it serves. Raises BadKey or ValueError."""
    keyring = Keyring(settings.auth)
    options = server_options(settings, lambda: Handler(supervisor, keyring))
    return Terms(options, settings.ssh)


class Listener:
    """Accepts connections until told to stop. `turned_away` counts those for whom `maxStartups` left no room.

    `terms` may be exchanged at any time; connections that are there keep theirs. `listen` is the setting that the
    sockets were opened for.
    """

    def __init__(self, terms: Terms, turn_away: Callable[[], None]) -> None:
        self.terms, self.listen = terms, terms.ssh.listen
        self.sockets: Sequence[socket.socket] = ()
        self.addresses: list[tuple[str, int]] = []
        self.turned_away = 0
        self.on_settled: Callable[[], None] = lambda: None  # no connection is between its accept and its actor
        self._turn_away = turn_away
        self._connections: set[Connection] = set()
        self._startups: Startups[Connection] = Startups()
        self._acceptors: Sequence[Acceptor] = ()
        self._arriving = 0
        self._loop = this_loop()

    def open(self, factory: Callable[[], Connection], sockets: Sequence[socket.socket]) -> None:
        """Sockets that listen are ours from now on. Who connects waits until `accept`."""
        self._factory, self.sockets = factory, sockets
        self.addresses = [sock.getsockname()[:2] for sock in sockets]
        self._acceptors = [Acceptor(self._loop, sock, self._arrive) for sock in sockets]
        for sock in sockets:
            sock.setblocking(False)

    def accept(self) -> None:
        """From now on, until `stop_accepting`."""
        for acceptor in self._acceptors:
            acceptor.begin()

    def stop_accepting(self) -> None:
        """No new connections; those that are there go on, and another process may go on with the sockets."""
        for acceptor in self._acceptors:
            acceptor.close()

    @property
    def is_arriving(self) -> bool:
        """Is a connection accepted that has no actor yet?"""
        return bool(self._arriving)

    def _arrive(self, accepted: socket.socket) -> None:
        try:
            conn = self._factory()
            self._loop.carry(accepted, conn)
        except Exception as error:  # of ours: it costs this connection and no other
            accepted.close()
            self._loop.call_exception_handler({"message": "a connection could not be taken", "exception": error})
        else:
            self._arriving += 1
            self._loop.call_soon(self._arrived)

    def _arrived(self) -> None:
        self._arriving -= 1
        if not self._arriving:
            self.on_settled()

    def close(self) -> None:
        """Stop accepting, and end every connection without a word."""
        self.stop_accepting()
        for conn in list(self._connections):
            conn.abort()

    def statistics(self) -> dict[str, int]:
        return {"connections": len(self._connections), "startups": len(self._startups), "turned_away": self.turned_away}

    # What connections tell (overrides.Gate).

    def admit(self, conn: Connection, host: str) -> bool:
        loser = self._startups.add(conn, place_of(host), self.terms.ssh.max_startups)
        if loser is not None:
            self.turned_away += 1
            self._turn_away()
        if loser is conn:
            return False
        if loser is not None:
            loser.make_room()
        self._connections.add(conn)
        return True

    def landed(self, conn: Connection) -> None:
        self._startups.discard(conn)

    def left(self, conn: Connection) -> None:
        self._startups.discard(conn)
        self._connections.discard(conn)


async def open_listener(supervisor: Supervisor, settings: Settings, sockets: Sequence[socket.socket] = ()) -> Listener:
    """Listen on `settings.ssh.listen`, or on `sockets`, and bring what is accepted to the supervisor.

    Raises OSError (the address), BadKey or ValueError
    (host keys, algorithms; `keys.check` and `options.check` have told of them with their paths).
    """
    assert asyncssh.__version__ == ASYNCSSH_VERSION, f"overrides.py is written for asyncssh {ASYNCSSH_VERSION}"
    logging.getLogger("asyncssh").setLevel(logging.WARNING)  # at INFO it writes commands down
    loop = asyncio.get_running_loop()
    listener = Listener(terms(supervisor, settings), supervisor.turned_away)

    def accepted() -> Connection:
        return Connection(loop, listener.terms.options, listener, listener.terms.ssh)

    listener.open(accepted, sockets or await _bound(*listen_address(settings.ssh.listen)))
    return listener


async def _bound(host: str | None, port: int) -> list[socket.socket]:
    """Sockets that listen there, IPv4 and IPv6. Raises OSError: in use, not ours, not there."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(asyncio.Protocol, host, port, start_serving=False, reuse_address=True)
    try:
        sockets = [sock.dup() for sock in server.sockets]
    finally:
        server.close()
    for sock in sockets:
        sock.listen(BACKLOG)
    return sockets


def error_handler(supervisor: Supervisor) -> Callable[[Mapping[str, Any]], None]:
    """For `bridge.open_loop`: what no one awaited or caught in the loop is blamed on its connection, which ends."""

    def on_error(context: Mapping[str, Any]) -> None:
        error = context.get("exception")
        why = str(context.get("message", "an error without a message"))
        if isinstance(error, BaseException):
            why = f"{why}: {crash_text(error)}"
        conn = _connection_of(context)
        handler = conn.get_owner() if conn is not None else None
        supervisor.crashed(handler.mailbox if isinstance(handler, Handler) else None, why)
        if conn is not None:
            conn.abort()

    return on_error


def _connection_of(context: Mapping[str, Any]) -> Connection | None:
    handle = context.get("handle")
    suspects = (context.get("protocol"), context.get("transport"), getattr(handle, "_callback", None))
    return next((conn for conn in map(ours, suspects) if conn is not None), None)

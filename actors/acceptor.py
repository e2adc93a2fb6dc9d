"""Who connects to a socket that listens, one after the other. asyncio code."""

import socket
from collections.abc import Callable

from actors.bridge import Loop

BACKLOG = 512
PAUSE_S = 1.0
Take = Callable[[socket.socket], None]


class Acceptor:
    """`take` is given each connected socket, which does not block, as soon as the loop has a turn for it.

    The accepting is ours and not asyncio's server's, which drops a connection that it has accepted and not yet told of
    when it is closed, and makes a task for each. Out of descriptors or memory it pauses: those who wait in the queue
    are better served later than refused.
    """

    def __init__(self, loop: Loop, sock: socket.socket, take: Callable[[socket.socket], None]) -> None:
        self._loop, self._sock, self._take = loop, sock, take

    def begin(self) -> None:
        """From now on, until `close`. The socket must not block."""
        self._loop.add_reader(self._sock, self._accept)

    def close(self) -> None:
        """No more. Who has connected and was not accepted is refused, unless another process has the socket too."""
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
            self._sock.close()

    def _accept(self) -> None:
        for _ in range(BACKLOG):
            try:
                accepted, _address = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            accepted.setblocking(False)
            self._take(accepted)
            if self._sock.fileno() < 0:  # closed by who has taken it
                return

    def _pause(self, error: OSError) -> None:
        self._loop.call_exception_handler({"message": "connections cannot be accepted", "exception": error})
        self._loop.remove_reader(self._sock)
        self._loop.call_later(PAUSE_S, self._go_on)

    def _go_on(self) -> None:
        if self._sock.fileno() >= 0:
            self.begin()

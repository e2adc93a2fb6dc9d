"""How we end a connection, so that the reason arrives. More that is replaced, as in overrides.py."""

import asyncssh
from asyncssh.constants import DEFAULT_LANG, DISC_BY_APPLICATION

LINGER_S = 5.0  # for the client to take it


class Farewell(asyncssh.SSHServerConnection):
    """A base of `overrides.Connection`."""

    _lingers = False

    def farewell(self, why: str) -> None:
        """Disconnect with a reason that arrives.

        asyncssh closes the channels first, and OpenSSH's client leaves on that without reading on; and it throws away
        what the socket has not taken yet. A client that is not logged in has mostly sent something that we have not
        read: a close would be a reset then, so the socket is only half closed, until the client closes it too.
        """
        if self._transport is None:
            return
        self._send_disconnect(DISC_BY_APPLICATION, why, DEFAULT_LANG)
        transport, self._transport = self._transport, None
        self._loop.call_later(LINGER_S, transport.abort)
        if self._auth_complete:
            transport.close()
            self._loop.call_soon(self._cleanup, None)
        else:
            transport.write_eof()
            self._lingers = True

    def connection_lost(self, exc: Exception | None = None) -> None:
        super().connection_lost(exc)
        if self._lingers:
            self._lingers = False
            self._cleanup(None)

"""TLS towards a remote engine: the context from PEM texts, and the half-close that asyncio does not offer."""

import asyncio
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path

from actors.engine.faults import one_line
from actors.ports import EngineFault
from protocol.settings import DockerConnection


def tls_context(connection: DockerConnection) -> ssl.SSLContext | None:
    """None without PEM texts. Raises `EngineFault` (invalid) for some but not all of them, or unreadable ones."""
    texts = (connection.cacert, connection.cert, connection.key)
    if not any(texts):
        return None
    if not all(texts):
        raise EngineFault("invalid", "TLS to the engine wants cacert, cert and key; some of them are empty")
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cadata=connection.cacert)
        # The library takes these two from files only.
        with tempfile.TemporaryDirectory() as folder:
            cert, key = Path(folder, "cert.pem"), Path(folder, "key.pem")
            cert.write_text(connection.cert)
            key.touch(mode=0o600)
            key.write_text(connection.key)
            context.load_cert_chain(cert, key)
    except (ssl.SSLError, ValueError) as error:
        raise EngineFault("invalid", one_line(f"TLS to the engine: {error}")) from error
    return context


class HalfClose:
    """Ends the writing direction of a transport, with or without TLS, and leaves the other direction open.

    asyncio's TLS transport can only close both. So the TLS object is told to say goodbye (which it does into a
    buffer, behind all that was written), and a pause and resume of reading makes the transport send that buffer. It
    has to wait until nothing lies there unread, because saying goodbye would throw that away.
    """

    def __init__(self, transport: asyncio.Transport, flowing: Callable[[], bool]) -> None:
        """`flowing()` is true while reading is not paused."""
        self._transport = transport
        self._flowing = flowing
        self._wanted = self._done = False

    def want(self) -> None:
        """Half-close as soon as it can be done; `poke` tries again."""
        self._wanted = True
        self.poke()

    def poke(self) -> None:
        """To be called when reading goes on."""
        if not self._wanted or self._done or self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            self._done = True
            self._transport.write_eof()
        elif self._flowing():
            self._done = True
            self._say_goodbye()

    def _say_goodbye(self) -> None:
        tls: ssl.SSLObject = self._transport.get_extra_info("ssl_object")
        try:
            tls.unwrap()
        except ssl.SSLWantReadError:
            pass  # said; the peer's own goodbye comes when its output has ended
        except ssl.SSLError:
            self._transport.abort()
            return
        self._transport.pause_reading()
        self._transport.resume_reading()

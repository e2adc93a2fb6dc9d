"""A way to the real engine on which every third request meets trouble."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from urllib.parse import urlsplit

import trio

from tests.listening import listening, reset

LATE_S = 1.0
ANSWER = b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n"
BODY = b'{"message":"broken"}'
EVERY = 3


class Trouble(Enum):
    NONE = "in order"
    SLOW = "late"
    ERROR = "errors"
    CUT = "cut off"


class BadWay:
    """`trouble` is what requests meet now, `troubled` how many have met it."""

    def __init__(self, path: str) -> None:
        self.url, self.trouble, self.troubled = "", Trouble.NONE, 0
        self._path, self._asked = path, 0

    def _meets(self, data: bytes) -> Trouble:
        """Only what begins a request counts; the rest of a body or a stream goes through."""
        if not data.startswith((b"GET /", b"POST /", b"DELETE /")) or self.trouble is Trouble.NONE:
            return Trouble.NONE
        self._asked += 1
        if self._asked % EVERY:
            return Trouble.NONE
        self.troubled += 1
        return self.trouble

    async def serve(self, client: trio.SocketStream) -> None:
        async with client, await trio.open_unix_socket(self._path) as engine, trio.open_nursery() as nursery:
            now = [Trouble.NONE]
            nursery.start_soon(self._ask, client, engine, now)
            try:
                async for data in engine:
                    if now[0] is Trouble.SLOW:
                        await trio.sleep(LATE_S)
                    if now[0] is Trouble.CUT:
                        await client.send_all(data[:20])
                        reset(client)
                        break
                    await client.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass
            nursery.cancel_scope.cancel()

    async def _ask(self, client: trio.SocketStream, engine: trio.SocketStream, now: list[Trouble]) -> None:
        try:
            async for data in client:
                now[0] = self._meets(data)
                if now[0] is Trouble.ERROR:
                    await client.send_all(ANSWER + BODY)
                else:
                    await engine.send_all(data)
            await engine.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass


@asynccontextmanager
async def bad_way(engine: str) -> AsyncIterator[BadWay]:
    """To the engine at this address, which is a Unix socket's."""
    way = BadWay(urlsplit(engine).path)
    async with listening(way.serve) as address:
        way.url = f"tcp://{address}"
        yield way

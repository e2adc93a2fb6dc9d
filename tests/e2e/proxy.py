"""A TCP proxy in front of a registry or an engine: counts what is asked, and can hold the answers."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from tests.listening import listening

REQUEST = re.compile(rb"(GET|HEAD|POST|DELETE) (\S+) HTTP/1\.1\r\n")


class Proxy:
    """`host` is where it listens, `asked` are the requests so far, as `GET /path`, `held` counts answers that wait."""

    def __init__(self, open_target: "OpenTarget", held_after: int | None) -> None:
        self.host = ""
        self.asked: list[str] = []
        self._open_target = open_target
        self._held_after = held_after
        self._gate = trio.Event()
        self.connections = self.held = 0

    def open(self) -> None:
        """Hold nothing any more."""
        self._gate.set()

    def count(self, pattern: str) -> int:
        """Requests that match."""
        return sum(re.search(pattern, request) is not None for request in self.asked)

    async def until_held(self) -> None:
        """Return when an answer waits."""
        while not self.held:  # noqa: ASYNC110 (nothing tells of it)
            await trio.sleep(0.01)

    async def until_idle(self) -> None:
        """Return when nothing is under way: one connection may stay for the next request."""
        while self.connections > 1:  # noqa: ASYNC110
            await trio.sleep(0.01)

    async def serve(self, client: trio.SocketStream) -> None:
        self.connections += 1
        try:
            async with client, await self._open_target() as target, trio.open_nursery() as nursery:
                nursery.start_soon(self._ask, client, target, nursery.cancel_scope)
                await self._answer(target, client)
                nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            pass  # either side is free to go
        finally:
            self.connections -= 1

    async def _ask(self, client: trio.SocketStream, target: trio.SocketStream, scope: trio.CancelScope) -> None:
        async for data in client:
            self.asked += [f"{method.decode()} {path.decode()}" for method, path in REQUEST.findall(data)]
            await target.send_all(data)
        scope.cancel()

    async def _answer(self, target: trio.SocketStream, client: trio.SocketStream) -> None:
        left = self._held_after
        async for data in target:
            if left is not None and not self._gate.is_set():
                await client.send_all(data[:left])
                data, left = data[left:], max(0, left - len(data))
                if not data:
                    continue
                self.held += 1
                try:
                    await self._gate.wait()
                finally:
                    self.held -= 1
            await client.send_all(data)


class OpenTarget:
    """Opens connections to where the proxy leads: `HOST:PORT`, or the path of a socket."""

    def __init__(self, target: str) -> None:
        self._target = target

    async def __call__(self) -> trio.SocketStream:
        if self._target.startswith("/"):
            return await trio.open_unix_socket(self._target)
        host, _, port = self._target.partition(":")
        return await trio.open_tcp_stream(host, int(port))


@asynccontextmanager
async def open_proxy(target: str, held_after: int | None = None) -> AsyncIterator[Proxy]:
    """`held_after`: each connection's answers stop after so many bytes, until `open()`."""
    proxy = Proxy(OpenTarget(target), held_after)
    async with listening(proxy.serve) as proxy.host:
        yield proxy

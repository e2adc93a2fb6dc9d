"""An engine that answers what a test wants: on a unix socket, HTTP by hand, one request a connection."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from msgspec import Struct

from actors.bridge import open_loop
from actors.engine.credentials import Credentials
from actors.engine.docker import DockerEngine
from protocol.settings import DockerConnection

SWITCHED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"


class Asked(Struct, frozen=True):
    """One request; `target` is the path without the version, and the query."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


Answer = Callable[[Asked, trio.SocketStream], Awaitable[bytes | None]]


def http(status: int, body: Any = None, kind: str = "application/json", length: int | None = None) -> bytes:
    """A whole answer; `length` lies about the body's."""
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} Whatever\r\nContent-Type: {kind}\r\nContent-Length: {length or len(data)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + data


def refused(status: int, why: str = "because") -> bytes:
    return http(status, {"message": why})


class CrookedEngine:
    """`answers` maps the beginning of `METHOD target` to bytes (sent before the connection is closed) or a function.

    A function gets the request and the socket and returns such bytes, or None to have the connection left alone.
    """

    def __init__(self, path: Path) -> None:
        self.url = f"unix://{path}"
        self.asked: list[Asked] = []
        self.answers: dict[str, bytes | Answer] = {}
        self.api = "1.41"

    async def serve(self, stream: trio.SocketStream) -> None:
        async with stream:
            try:
                asked = await self._read(stream)
                if asked is None:
                    return
                if asked.target == "/_ping":
                    head = f"HTTP/1.1 200 OK\r\nApi-Version: {self.api}\r\nContent-Length: 2\r\n"
                    await stream.send_all(f"{head}Connection: close\r\n\r\nOK".encode())
                    return
                self.asked.append(asked)
                line = f"{asked.method} {asked.target}"
                answer = next((what for start, what in self.answers.items() if line.startswith(start)), refused(404))
                data = answer if isinstance(answer, bytes) else await answer(asked, stream)
                if data is not None:
                    await stream.send_all(data)
            except trio.BrokenResourceError:
                pass

    async def _read(self, stream: trio.SocketStream) -> Asked | None:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = await stream.receive_some()
            if not piece:
                return None
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        while len(body) < int(headers.get("content-length", "0")):
            body += await stream.receive_some()
        method, target, _ = first.split(" ")
        version = target.partition("/v")[2].partition("/")[0]
        return Asked(method, target.removeprefix(f"/v{version}") if version else target, headers, body)


@asynccontextmanager
async def crooked_engine(folder: Path, errors: list[Any] | None = None) -> AsyncIterator[CrookedEngine]:
    """A running one, inside an asyncio loop whose unawaited errors go to `errors`."""
    made = CrookedEngine(folder / "engine.sock")
    async with open_loop((errors if errors is not None else []).append), trio.open_nursery() as nursery:
        listening = trio.socket.socket(trio.socket.AF_UNIX)
        await listening.bind(made.url.removeprefix("unix://"))
        listening.listen(200)
        nursery.start_soon(trio.serve_listeners, made.serve, [trio.SocketListener(listening)])
        yield made
        nursery.cancel_scope.cancel()


def connect(crooked: CrookedEngine, seconds: float = 5.0) -> Any:
    """An engine on it, with a short time limit, to be entered."""
    return DockerEngine.open(DockerConnection(host=crooked.url), seconds, Credentials(folder=Path("/nonexistent")))

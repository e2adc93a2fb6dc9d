"""A web service on a port of its own: a real HTTP server that answers as the test says, and remembers what it heard."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio_asyncio
from aiohttp import web

Tree = dict[str, Any]
Answer = Callable[["Heard"], "Tree | web.Response"]


class Heard:
    """One request."""

    def __init__(self, path: str, headers: Any, body: bytes) -> None:
        self.path, self.headers, self.body = path, headers, body

    @property
    def tree(self) -> Tree:
        tree: Tree = json.loads(self.body)
        return tree


class WebService:
    def __init__(self, answer: Answer) -> None:
        self.answer, self.heard, self.port = answer, list[Heard](), 0
        self.scheme = "http"
        self.hold: asyncio.Event | None = None  # answers wait for it

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    async def _handle(self, request: web.Request) -> web.Response:
        heard = Heard(request.path, request.headers, await request.read())
        self.heard.append(heard)
        if self.hold is not None:
            await self.hold.wait()
        answer = self.answer(heard)
        return answer if isinstance(answer, web.Response) else web.json_response(answer)


@asynccontextmanager
async def open_service(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[WebService]:
    """Inside a trio-asyncio loop. By default everything is a yes."""
    service = WebService(answer)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", service._handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await trio_asyncio.aio_as_trio(runner.setup)()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await trio_asyncio.aio_as_trio(site.start)()
    service.port = runner.addresses[0][1]
    service.scheme = "https" if tls else "http"
    try:
        yield service
    finally:
        with trio.CancelScope(shield=True):
            await trio_asyncio.aio_as_trio(runner.cleanup)()


def yes(heard: Heard) -> Tree:
    return {"success": True}


def status(number: int, text: str = "") -> Answer:
    return lambda heard: web.Response(status=number, text=text)

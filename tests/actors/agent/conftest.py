"""The agent as it was built, and an asyncio loop to speak to it from."""

import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from platform import machine
from typing import Any

import pytest
import pytest_trio
import trio

from actors.agent.link import Link
from actors.bridge import open_loop
from actors.ports import ContainerOrder
from moorage.agent_binary import AgentBinary, agent_binary
from protocol.base import Event
from protocol.container import AgentGreeted
from tests.fixtures_engine import missing


@pytest.fixture(scope="session")
def built() -> AgentBinary:
    """The agent for this machine."""
    found = agent_binary(machine())
    if found is None:
        missing("the guest agent is not built (`make install` builds it with musl-tools)")
        raise AssertionError
    return found


@pytest_trio.trio_fixture
async def loop() -> AsyncIterator[None]:
    """An error that nobody awaited fails the test."""
    errors: list[Any] = []
    async with open_loop(errors.append):
        yield
    assert errors == []


class Agent:
    """The real agent as a process of this machine, at the other end of a socket pair, and the link to it."""

    def __init__(self, path: Path, *words: str, token: str = "secret", expects: str = "secret") -> None:
        self.heard: list[Event] = []
        self.link = Link(ContainerOrder(name="n", token="t", image="i"), expects, beats=True)
        self._news = trio.Event()
        ours, theirs = socket.socketpair()
        env = {"PATH": "/usr/bin:/bin", "OWN": "yes", "MOORAGE_TOKEN": token}
        self.process = subprocess.Popen([str(path), "serve", *words], stdin=theirs, stdout=theirs, env=env)
        theirs.close()
        ours.setblocking(False)
        self._stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        self._out, self._to_send = trio.open_memory_channel[bytes](float("inf"))

    def write(self, data: bytes) -> None:
        self._out.send_nowait(data)

    def close(self) -> None:
        self._out.close()

    def hear(self, event: Event) -> None:
        self.heard.append(event)
        self._news.set()
        self._news = trio.Event()

    async def run(self) -> None:
        """Carry bytes both ways until the agent closes."""
        self.link.report(self.hear)
        self.link.carry(self)
        async with self._stream, trio.open_nursery() as nursery:
            nursery.start_soon(self._write)
            try:
                while data := await self._stream.receive_some():
                    self.link.feed(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass
            self.link.lost("")
            nursery.cancel_scope.cancel()

    async def _write(self) -> None:
        async for data in self._to_send:
            await self._stream.send_all(data)
        await self._stream.aclose()

    async def until(self, kind: type[Event]) -> Event:
        with trio.fail_after(20):
            while True:
                for event in self.heard:
                    if isinstance(event, kind):
                        return event
                await self._news.wait()

    def end(self) -> int:
        self.process.kill()
        return self.process.wait()


@pytest_trio.trio_fixture
async def agent(built: AgentBinary, tmp_path: Path) -> AsyncIterator[Agent]:
    path = tmp_path / "agent"
    path.write_bytes(built.content)
    path.chmod(0o755)
    made = Agent(path)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(made.run)
            await made.until(AgentGreeted)
            yield made
            nursery.cancel_scope.cancel()
    finally:
        made.end()

"""An asyncssh client in a process of its own, told what to do in lines of JSON on stdin, answering on stdout.

`login`: [seconds to first byte, to exit status] of a new connection, from TCP connected. `open`, `exec`, `close`: the
same on a connection that is kept under a name. `hold`: `count` connections more, each with a session if there is a
command. `logins`: seconds for `count` of them, `width` at a time, each with an exit status of its own. `keystrokes`:
seconds from each to its echo by a terminal.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import asyncssh

from benchmarks.servers import CIPHER, KEX, KEY_TYPE, USER

STATUSES = 250  # different exit statuses


class Timed(asyncssh.SSHClientSession[bytes]):
    """A session that notes when its first byte and its exit status came."""

    def __init__(self) -> None:
        self.first = self.exit = 0.0
        self.status = -1
        self.spoke = asyncio.Event()
        self.closed = asyncio.Event()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self.first = self.first or time.perf_counter()
        self.spoke.set()

    def exit_status_received(self, status: int) -> None:
        self.exit = time.perf_counter()
        self.status = status

    def connection_lost(self, exc: Exception | None) -> None:
        self.spoke.set()
        self.closed.set()


class Connected(asyncssh.SSHClient):
    """Notes when TCP was connected."""

    at = 0.0

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self.at = time.perf_counter()


class Client:
    """What the lines ask for, one method each; `do` names it and the rest are its arguments."""

    def __init__(self, key: str) -> None:
        self._options = asyncssh.SSHClientConnectionOptions(
            username=USER,
            client_keys=[key],
            client_factory=Connected,
            known_hosts=None,
            config=None,
            agent_path=None,
            preferred_auth="publickey",
            kex_algs=[KEX],
            encryption_algs=[CIPHER],
            server_host_key_algs=[KEY_TYPE],
            compression_algs=None,
        )
        self._kept: dict[str, asyncssh.SSHClientConnection] = {}

    async def login(self, port: int, command: str) -> list[float]:
        conn = await self._connect(port)
        try:
            session = await self._exec(conn, command)
            owner = conn.get_owner()
            assert isinstance(owner, Connected)
            return [session.first - owner.at, session.exit - owner.at]
        finally:
            conn.close()
            await conn.wait_closed()

    async def open(self, name: str, port: int) -> list[float]:
        self._kept[name] = await self._connect(port)
        return []

    async def exec(self, name: str, command: str) -> list[float]:
        began = time.perf_counter()
        session = await self._exec(self._kept[name], command)
        return [session.first - began, session.exit - began]

    async def hold(self, port: int, count: int, command: str) -> list[float]:
        for _ in range(count):
            conn = self._kept[f"held {len(self._kept)}"] = await self._connect(port)
            if command:
                await (await self._begin(conn, command)).spoke.wait()
        return []

    async def logins(self, port: int, count: int, width: int) -> list[float]:
        todo, began = iter(range(count)), time.perf_counter()
        await asyncio.gather(*(self._logins(port, todo) for _ in range(width)))
        return [time.perf_counter() - began]

    async def _logins(self, port: int, todo: Iterator[int]) -> None:
        for number in todo:
            wanted = number % STATUSES
            conn = await self._connect(port)
            session = await self._begin(conn, f"exit {wanted}")
            await session.closed.wait()
            if session.status != wanted:
                raise asyncssh.ChannelOpenError(0, f"`exit {wanted}` ended with {session.status}")
            conn.close()
            await conn.wait_closed()

    async def keystrokes(self, port: int, count: int, pause: float) -> list[float]:
        conn = await self._connect(port)
        terminal, seconds = Timed(), []
        channel, _ = await conn.create_session(lambda: terminal, "cat", encoding=None, term_type="xterm")
        for _ in range(count):
            await asyncio.sleep(pause)
            terminal.spoke.clear()
            began = time.perf_counter()
            channel.write(b"x")
            await terminal.spoke.wait()
            seconds.append(time.perf_counter() - began)
        conn.close()
        await conn.wait_closed()
        return seconds

    async def close(self) -> list[float]:
        for conn in self._kept.values():
            conn.close()
        for conn in self._kept.values():
            await conn.wait_closed()
        self._kept.clear()
        return []

    async def _connect(self, port: int) -> asyncssh.SSHClientConnection:
        return await asyncssh.connect("127.0.0.1", port, options=self._options)

    async def _begin(self, conn: asyncssh.SSHClientConnection, command: str) -> Timed:
        session = Timed()
        await conn.create_session(lambda: session, command, encoding=None)
        return session

    async def _exec(self, conn: asyncssh.SSHClientConnection, command: str) -> Timed:
        session = await self._begin(conn, command)
        await session.closed.wait()
        if not session.first or not session.exit:
            raise asyncssh.ChannelOpenError(0, "the session ended without output or without an exit status")
        return session


async def main(key: str) -> None:
    """Answer each line: `{"values": [...]}` or `{"error": "..."}`."""
    client, loop = Client(key), asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        words: dict[str, Any] = json.loads(line)
        try:
            answer: dict[str, Any] = {"values": await getattr(client, words.pop("do"))(**words)}
        except (OSError, asyncssh.Error) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

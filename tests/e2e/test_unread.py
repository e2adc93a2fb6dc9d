"""Clients that do not read: what the daemon holds for each is bounded, and the program waits. With `-rP`: how much.

MOORAGE_LOGINS: how many there are at once.
"""

import os
import signal
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import trio
from asyncssh.packet import String

from actors.agent.relayed import OUTPUT_BYTES_MAX
from actors.bridge import aio, open_loop
from tests.e2e.harness import USER, Keys
from tests.e2e.process import Served, served
from tests.e2e.test_attacks import open_channel

pytestmark = [pytest.mark.trio, pytest.mark.engine, pytest.mark.slow]
LOGINS = int(os.environ.get("MOORAGE_LOGINS", "20"))
# What the socket takes before it is full, the header and the padding of packets, and what the allocator wastes.
HELD_BYTES_MAX = 2 * OUTPUT_BYTES_MAX
WAYS: dict[str, dict[str, Any]] = {
    "agent": {"transport": "served"},
    "exec": {"transport": "exec"},
    "attach": {"transport": "exec", "mode": "session"},
}


def rss(daemon: Served) -> int:
    pages = Path(f"/proc/{daemon.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def cpu_s(daemon: Served) -> float:
    words = Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


async def settled(daemon: Served) -> int:
    """Its memory in bytes, once it has done nothing for a while."""
    spent = [0.0]
    while len(spent) < 4 or spent[-1] - spent[-3] > 0.1:
        await trio.sleep(1)
        spent.append(cpu_s(daemon))
    return rss(daemon)


@pytest.mark.parametrize("unread", ["socket", "window"])
@pytest.mark.parametrize("way", WAYS)
async def test_logins_whose_output_nobody_reads(way: str, unread: str, tmp_path: Path, guest: str) -> None:
    """Either the client does not read its socket, or it never opens its channel's window."""
    Keys(tmp_path)
    async with open_loop(lambda context: None), served(tmp_path, guest, WAYS[way], grace=0.5, kill=5) as daemon:
        try:
            async with AsyncExitStack() as stack:
                held = await hold(daemon, tmp_path, unread, stack)
        finally:  # a killed daemon would leave them all, and they never rest
            with trio.CancelScope(shield=True):
                daemon.process.send_signal(signal.SIGTERM)
                await daemon.process.wait()
        print(f"{way}, {unread}: {held / 1024:.0f} KiB for each of {LOGINS} logins")
        assert held < HELD_BYTES_MAX


async def hold(daemon: Served, folder: Path, unread: str, stack: AsyncExitStack) -> float:
    """Bytes that each login has made it grow by, since its program began to write."""
    channels = []
    for _ in range(LOGINS):
        conn = await aio(partial(asyncssh.connect, "127.0.0.1", daemon.port, **options(folder)))
        stack.push_async_callback(hang_up, conn)
        channel = await open_channel(conn, window=2**31 if unread == "socket" else 1000)
        channel._send_request(b"exec", String("echo ready; read line; exec yes"))
        channels.append((conn, channel))
    for _, channel in channels:
        with trio.fail_after(60):
            while b"ready" not in channel.log.stdout:  # noqa: ASYNC110 (nothing tells of it)
                await trio.sleep(0.02)
    before = await settled(daemon)
    for conn, channel in channels:
        channel.write(b"go on\n")
        (conn._transport if unread == "socket" else channel).pause_reading()
    return (await settled(daemon) - before) / LOGINS


async def hang_up(conn: asyncssh.SSHClientConnection) -> None:
    conn.abort()
    await aio(conn.wait_closed)


def options(folder: Path) -> dict[str, Any]:
    key = str(folder / "user_key")
    return {"username": USER, "client_keys": [key], "known_hosts": None, "config": None, "agent_path": None}

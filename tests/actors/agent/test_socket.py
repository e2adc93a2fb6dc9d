"""The socket of one container: who is let in, and that nobody comes after."""

import asyncio
import os
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_trio
import trio

from actors.agent.link import Link
from actors.agent.relayed import OUTPUT_BYTES_MAX
from actors.agent.socket import NAME, LinkSocket
from actors.bridge import aio
from actors.ports import ContainerOrder
from protocol.base import Event
from protocol.container import AgentGreeted, LinkLost
from protocol.frame_types import AgentHello, HostHello
from protocol.frames import FrameDecoder, encode

pytestmark = pytest.mark.trio
TOKEN = "secret"
# What /proc shows of this process, which stands for the one program of the container.
GROUPS = Path("/proc/self/cgroup").read_text()
OWN = next((line.rpartition("/")[2] for line in GROUPS.splitlines() if len(line.rpartition("/")[2]) > 3), "::")


class Place:
    """A link that listens. `heard` is what became of it."""

    def __init__(self, folder: Path) -> None:
        self.heard: list[Event] = []
        self.link = Link(ContainerOrder(name="n", token="t", image="i"), TOKEN, beats=False)
        self.link.report(self.heard.append)
        self.socket = LinkSocket(self.link, folder / "one")
        self.path = folder / "one" / NAME

    async def connect(self) -> trio.SocketStream:
        return await trio.open_unix_socket(str(self.path))

    async def until_heard(self) -> None:
        with trio.fail_after(10):
            while not self.heard:  # noqa: ASYNC110 (asyncio tells us nothing)
                await trio.sleep(0.005)


def hello(token: str = TOKEN) -> bytes:
    return encode(AgentHello(window=1000, channels_max=1, token=token.encode()))


@pytest_trio.trio_fixture
async def place(loop: None, tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(tmp_path)
    old = os.umask(0o077)  # a careful administrator's
    try:
        made.socket.listen()
    finally:
        os.umask(old)
    yield made
    made.link.close()
    await aio(asyncio.sleep, 0)


async def closed(stream: trio.SocketStream) -> bool:
    with trio.fail_after(10):
        try:
            return await stream.receive_some() == b""
        except trio.BrokenResourceError:
            return True


async def test_the_containers_own_user_can_reach_it_whatever_our_umask_is(place: Place) -> None:
    assert stat.S_IMODE(place.path.stat().st_mode) == 0o666
    assert stat.S_IMODE(place.path.parent.stat().st_mode) == 0o711


async def test_the_agent_is_let_in_and_the_listener_is_gone(place: Place) -> None:
    place.link.made(OWN)
    async with await place.connect() as stream:
        await stream.send_all(hello())
        await place.until_heard()
        assert place.heard == [AgentGreeted()]
        assert list(FrameDecoder("host").feed(await stream.receive_some())) == [
            HostHello(window=OUTPUT_BYTES_MAX, heartbeat_ms=0)
        ]
        assert not place.path.exists()
        with pytest.raises(OSError):
            await place.connect()


async def test_a_second_connection_that_was_waiting_is_refused(place: Place) -> None:
    place.link.made(OWN)
    waiting = [socket.socket(socket.AF_UNIX) for _ in range(2)]  # both before the loop has a turn
    for one in waiting:
        one.connect(str(place.path))
    streams = [trio.SocketStream(trio.socket.from_stdlib_socket(one)) for one in waiting]
    for one in waiting:
        one.setblocking(False)
    await streams[0].send_all(hello())
    await place.until_heard()
    assert await closed(streams[1])
    assert place.heard == [AgentGreeted()]
    for stream in streams:
        await stream.aclose()


@pytest.mark.parametrize("container", ["", "0123456789abcdef" * 4])
async def test_a_peer_of_another_cgroup_is_refused(place: Place, container: str) -> None:
    """Also one that comes before the engine has said which container it is."""
    if container:
        place.link.made(container)
    async with await place.connect() as stream:
        assert await closed(stream)
    assert place.heard == [] and place.path.exists()  # it is still there for the one it is for


async def test_a_peer_that_is_gone_before_it_is_looked_at_is_refused(place: Place) -> None:
    place.link.made(OWN)
    script = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])"
    subprocess.run([sys.executable, "-c", script, str(place.path)], check=True)  # noqa: ASYNC221 (the loop has no turn)
    await trio.sleep(0.05)
    assert place.heard == [] and place.path.exists()


async def test_a_wrong_token_is_the_end_of_it(place: Place) -> None:
    place.link.made(OWN)
    async with await place.connect() as stream:
        await stream.send_all(hello("guessed"))
        await place.until_heard()
        assert place.heard == [LinkLost(why="its agent does not know the token")]
        assert not place.path.parent.exists()


async def test_a_connection_that_ends_is_told(place: Place) -> None:
    place.link.made(OWN)
    async with await place.connect() as stream:
        await stream.send_all(hello())
        await place.until_heard()
    with trio.fail_after(10):
        while len(place.heard) < 2:  # noqa: ASYNC110
            await trio.sleep(0.005)
    assert isinstance(place.heard[1], LinkLost)
    assert not place.path.parent.exists()


async def test_a_peer_that_reads_nothing_chokes_the_link(place: Place) -> None:
    place.link.made(OWN)
    async with await place.connect() as stream:
        await stream.send_all(hello())
        await place.until_heard()
        while not place.link.choked:
            place.link.send(bytes(65536))
            await aio(asyncio.sleep, 0)
        with trio.fail_after(10):
            while place.link.choked:
                await stream.receive_some()
                await aio(asyncio.sleep, 0)


async def test_a_link_that_is_closed_listens_no_more_and_leaves_nothing(place: Place) -> None:
    place.link.close()
    await aio(asyncio.sleep, 0)
    assert not place.path.parent.exists()


async def test_a_folder_that_cannot_be_made_is_an_error(loop: None, tmp_path: Path) -> None:
    (tmp_path / "one").write_text("")
    with pytest.raises(OSError):
        await aio(Place(tmp_path).socket.listen)

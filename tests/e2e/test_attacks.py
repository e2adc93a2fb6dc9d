"""One client who takes what he can, against a daemon as it is run: its memory stays within bounds, and a bystander is
served all the while. What was measured is printed (`pytest -rP`); times are never judged here."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import trio
import trio.lowlevel
from asyncssh.constants import MSG_CHANNEL_WINDOW_ADJUST, MSG_KEXINIT
from asyncssh.packet import Boolean, Byte, String, UInt32

from actors.bridge import aio, open_loop
from actors.control import ask
from moorage.status import sockets
from tests.actors.ssh.host import RawChannel
from tests.e2e.harness import USER, Keys
from tests.e2e.process import Served, served

pytestmark = [pytest.mark.trio, pytest.mark.engine, pytest.mark.openssh]
MIB = 2**20
VERSION = b"SSH-2.0-Slow\r\n"
ELSEWHERE = "127.0.0.2"
HELD_MIB_MAX = 0.75  # of each program's output: what its agent may send ahead, and a little more


class Scene:
    """The daemon, and what it takes."""

    def __init__(self, folder: Path, daemon: Served) -> None:
        self.folder, self.daemon, self.port = folder, daemon, daemon.port
        self.before = self.rss()

    def rss(self) -> int:
        pages = Path(f"/proc/{self.daemon.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def grown(self, what: str) -> float:
        """MiB since the beginning."""
        grown = (self.rss() - self.before) / MIB
        print(f"{what}: {grown:+.1f} MiB on {self.before / MIB:.1f}")
        return grown

    async def bystander(self, what: str, address: str = ELSEWHERE) -> None:
        """A login with OpenSSH's own client, from another address."""
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes",
                   "IdentityAgent=none", "IdentitiesOnly=yes", f"BindAddress={address}")  # fmt: skip
        flags = [flag for option in options for flag in ("-o", option)]
        words = ["ssh", "-F", "none", "-i", str(self.folder / "user_key"), "-p", str(self.port), *flags]
        # It takes its own time: this process is busy with the attack.
        timed = ["sh", "-c", 's=$(date +%s%N); "$@"; r=$?; echo $((($(date +%s%N) - s) / 1000000)) >&2; exit $r', "sh"]
        done = await trio.run_process(
            [*timed, *words, f"{USER}@127.0.0.1", "echo on; exit 7"],
            capture_stdout=True, capture_stderr=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (7, b"on\n"), done.stderr
        print(f"{what}: a bystander's login and command took {int(done.stderr)} ms")

    @asynccontextmanager
    async def attacker(self, **options: Any) -> AsyncIterator[asyncssh.SSHClientConnection]:
        key = str(self.folder / "user_key")
        options = {"username": USER, "client_keys": [key], "known_hosts": None, "config": None, **options}
        conn = await aio(partial(asyncssh.connect, "127.0.0.1", self.port, agent_path=None, **options))
        try:
            yield conn
        finally:
            conn.abort()
            with trio.CancelScope(shield=True):
                await aio(conn.wait_closed)

    async def ended(self) -> None:
        """Return when nobody is logging in and no actor is left."""
        (path,) = sockets(self.folder / "state")
        while True:
            status = await ask(path, "status")
            if not (status["startups"] or status["connections"] or status["actors"]):
                return
            await trio.sleep(0.1)


@pytest.fixture
async def scene(tmp_path: Path, guest: str, request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    Keys(tmp_path)
    ssh = getattr(request, "param", {})
    with trio.fail_after(240):
        async with open_loop(lambda context: None), served(tmp_path, guest, ssh=ssh, grace=0.5, kill=5) as daemon:
            scene = Scene(tmp_path, daemon)
            await scene.bystander("before")  # what is made once is there now
            scene.before = scene.rss()
            yield scene
            bad = [line for line in daemon.said if line["code"] in ("MOORAGE_SHIM_FAILED", "MOORAGE_ACTOR_CRASHED")]
            assert not bad


async def open_channel(conn: asyncssh.SSHClientConnection, window: int = 1 << 21) -> RawChannel:
    channel = RawChannel(conn, conn._loop, "strict", None, "strict", window, 1 << 15)
    await aio(channel._open, b"session")
    channel._session = channel.log
    channel.resume_reading()
    return channel


# Before the login


def half_a_handshake() -> bytes:
    """As far as a key exchange that is never finished."""
    names = (b"curve25519-sha256", b"ssh-ed25519", *[b"aes128-gcm@openssh.com"] * 2, *[b"hmac-sha2-256"] * 2)
    lists = b"".join(String(name) for name in (*names, b"none", b"none", b"", b""))
    payload = Byte(MSG_KEXINIT) + bytes(16) + lists + Boolean(False) + UInt32(0)
    padding = 16 - (len(payload) + 5) % 8
    return VERSION + UInt32(1 + len(payload) + padding) + Byte(padding) + payload + bytes(padding)


@pytest.mark.slow
@pytest.mark.parametrize("scene", [{"maxStartups": 600, "loginGrace": "8s"}], indirect=True)
async def test_five_hundred_who_take_their_time(scene: Scene) -> None:
    """A byte at a time, a version and no more, a key exchange that is begun: all end with the login grace."""

    async def dawdle(stream: trio.SocketStream, number: int) -> None:
        said = (b"SSH-2.0-" + b"x" * 200, VERSION, half_a_handshake())[number % 3]
        with suppress(trio.BrokenResourceError):
            for byte in said:
                await stream.send_all(bytes([byte]))
                await trio.sleep(0.1 if number % 3 == 0 else 0)

    async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
        for number in range(500):
            stream = await stack.enter_async_context(await trio.open_tcp_stream("127.0.0.1", scene.port))
            nursery.start_soon(dawdle, stream, number)
        await scene.bystander("among 500 who dawdle")
        assert scene.grown("500 half-open handshakes") < 500 * 64 / 1024
        await scene.ended()
    assert sum(line["code"] == "MOORAGE_LOGIN_GRACE" for line in scene.daemon.said) == 500


@pytest.mark.parametrize("scene", [{"maxStartups": 50}], indirect=True)
async def test_a_flood_of_connections(scene: Scene) -> None:
    """Each is kept open; above `maxStartups` they are told and closed, and somebody from elsewhere gets in."""
    told = 0

    async def connect(stack: AsyncExitStack) -> None:
        nonlocal told
        with suppress(OSError, trio.BrokenResourceError):
            stream = await stack.enter_async_context(await trio.open_tcp_stream("127.0.0.1", scene.port))
            said = await stream.receive_some()
            told += said.startswith(b"Too many connections")

    async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
        for round_ in range(4):
            for _ in range(500):
                nursery.start_soon(connect, stack)
            await scene.bystander(f"in a flood, {500 * (round_ + 1)} so far")
    assert told >= 1900
    assert scene.grown("2,000 connections, 50 places") < 24
    assert "MOORAGE_STARTUPS_FULL" in {line["code"] for line in scene.daemon.said}


# After it


async def test_a_thousand_channels(scene: Scene) -> None:
    async with scene.attacker() as conn:
        opened, refused = 0, []
        for _ in range(1000):
            try:
                await open_channel(conn)
                opened += 1
            except asyncssh.ChannelOpenError as error:
                refused.append(error.reason)
        assert opened == 256 and set(refused) == {"too many sessions: a connection may have 256 open at once"}
        await scene.bystander("beside 1,000 channels")
        assert scene.grown("1,000 channels asked for, 256 open") < 256 * 64 / 1024
    await scene.ended()


async def test_a_client_that_never_reads(scene: Scene) -> None:
    """Forty programs that write without end, for a client that announces 4 GiB for each and reads nothing."""
    async with scene.attacker() as conn:
        channels = [await open_channel(conn, window=2**32 - 1) for _ in range(40)]
        conn._transport.pause_reading()
        for channel in channels:
            channel._send_request(b"exec", String("yes"))
        grown = [0.0]
        while len(grown) < 4 or grown[-1] < 1 or grown[-1] - grown[-4] > 0.5:  # until it does not grow any more
            await trio.sleep(1)
            grown.append(scene.grown("40 endless programs, nothing read"))
            assert grown[-1] < 40 * HELD_MIB_MAX
        await scene.bystander("beside 40 endless programs")
    await scene.ended()


@pytest.mark.slow
async def test_a_client_that_never_reads_one_channel_at_a_time(scene: Scene) -> None:
    """The socket is read, the channels' windows are never opened again: what waits, waits in each."""
    async with scene.attacker() as conn:
        channels = [await open_channel(conn, window=1000) for _ in range(40)]
        for channel in channels:
            channel.pause_reading()
            channel._send_request(b"exec", String("yes"))
        await trio.sleep(3)
        await scene.bystander("beside 40 closed windows")
        assert scene.grown("40 closed windows") < 40 * HELD_MIB_MAX
    await scene.ended()


@pytest.mark.slow
async def test_window_games(scene: Scene) -> None:
    """40,000 adjustments by nothing and by one while a program writes: tiny packets, thousands in each read."""
    async with scene.attacker() as conn:
        channel = await open_channel(conn, window=0)
        channel._recv_window = 2**60  # this client does not mind what it is sent
        channel._send_request(b"exec", String("yes"))
        for number in range(40_000):
            conn.send_packet(MSG_CHANNEL_WINDOW_ADJUST, UInt32(channel._send_chan) + UInt32(number % 2))
            if number % 5000 == 0:
                await trio.lowlevel.checkpoint()
        await scene.bystander("beside window games")
        assert scene.grown("40,000 window adjustments") < 8
    await scene.ended()

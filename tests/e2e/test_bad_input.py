"""What a stranger may send to a whole server. Each gets a clear answer, and who is mid-session never notices.

Bent packets are put to the SSH side in `tests/actors/ssh/test_bad_input.py`; here is what they come to.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncssh
import pytest
import trio
from asyncssh.packet import Boolean, String, UInt32

from actors.bridge import aio
from tests.actors.ssh.host import ChannelLog, RawChannel
from tests.e2e.harness import Client, Harness
from tests.e2e.runs import Setup

pytestmark = pytest.mark.trio
MODES = pytest.mark.parametrize("mode", ["connection", "session"])


@asynccontextmanager
async def mid_session(harness: Harness) -> AsyncIterator[None]:
    """Somebody else, whose session goes on before, during and after."""
    async with harness.client() as other:
        process = await other.start("echo ready; cat; exit 5")
        await other.line(process)
        yield
        process.stdin.write(b"never noticed\n")
        assert await other.line(process) == b"never noticed\n"
        process.stdin.write_eof()
        done = await other.wait(process)
        assert (done.status, done.err) == (5, b"")


async def open_channel(client: Client, kind: bytes = b"session") -> RawChannel:
    """One on which nothing has been asked for. asyncssh.ChannelOpenError: refused."""
    channel = RawChannel(client.conn, client.conn._loop, "strict", None, "strict", 1 << 21, 1 << 15)
    await aio(channel._open, kind)
    channel._session = channel.log
    channel.resume_reading()
    return channel


async def execute(client: Client, command: bytes, channel: RawChannel | None = None) -> ChannelLog:
    """Run these very bytes to the end."""
    channel = channel or await open_channel(client)
    assert await channel.ask(b"exec", String(command))
    await channel.log.closed.wait()
    return channel.log


async def read_to_end(stream: trio.SocketStream) -> bytes:
    said = b""
    try:
        async for piece in stream:
            said += piece
    except trio.BrokenResourceError:
        pass
    return said


# Before the login.


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"SSH-1.5-old\r\n"])
async def test_garbage_instead_of_a_banner(setup: Setup, sent: bytes) -> None:
    """HTTP, TLS, which waits for an answer without having ended a line, and SSH 1."""
    async with setup.fake_harness() as harness, mid_session(harness):
        async with await trio.open_tcp_stream("127.0.0.1", harness.port) as stream:
            await stream.send_all(sent)
            version, answer, rest = (await read_to_end(stream)).split(b"\r\n")
        assert (version, rest) == (b"SSH-2.0-Moorage", b"") and answer.startswith(b"Invalid SSH identification string")
        await harness.said.until("MOORAGE_NOT_SSH")
        (details,) = harness.said.details("MOORAGE_NOT_SSH")
        assert details["why"] == "not an SSH 2.0 client"


@pytest.mark.parametrize("sent", [b"", b"SSH-2.0-Tester\r\n", b"SSH-2.0-Tester\r\n" + UInt32(600) + b"\x08half"])
async def test_a_half_open_handshake_ends_with_the_login_grace(setup: Setup, sent: bytes) -> None:
    """Nothing at all, a banner alone, half a packet: closed with a sentence that says why."""
    async with setup.fake_harness(ssh={"login_grace": 0.5}) as harness, mid_session(harness):
        async with await trio.open_tcp_stream("127.0.0.1", harness.port) as stream:
            await stream.send_all(sent)
            assert b"no login within 0.5 s" in await read_to_end(stream)
        await harness.said.until("MOORAGE_LOGIN_GRACE")
        while harness.server.statistics()["startups"]:
            await harness.said.next()


async def test_a_silent_login_ends_with_the_login_grace(setup: Setup) -> None:
    """Keys are exchanged, and then nobody logs in."""

    class Silent(asyncssh.SSHClient):
        def begin_auth(self, username: str) -> None:
            """Say nothing."""

        def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
            conn.try_next_auth = lambda *args, **named: None  # type: ignore[method-assign]

    async with setup.fake_harness(ssh={"login_grace": 0.5}) as harness, mid_session(harness):
        with pytest.raises(asyncssh.Error, match="no login within"):
            async with harness.client(client_factory=Silent):
                pass
        await harness.said.until("MOORAGE_LOGIN_GRACE")


# Requests.


async def test_env_beyond_the_limits_is_not_taken_and_the_rest_is(setup: Setup) -> None:
    """One value of 64 KiB and a byte, bad names, a NUL; then more names than there may be."""
    async with setup.fake_harness() as harness, mid_session(harness), harness.client() as client:
        channel = await open_channel(client)
        for name, value in (
            (b"BIG", b"x" * 65537),
            (b"1A", b""),
            (b"A=B", b""),
            (b"", b""),
            (b"N", b"\0"),
            (b"U", b"\xff"),
        ):
            assert not await channel.ask(b"env", String(name), String(value)), name
        answers = [await channel.ask(b"env", String(f"N{number}"), String("v")) for number in range(300)]
        assert answers == [True] * 256 + [False] * 44
        log = await execute(client, b"env", channel)
        assert log.exit == 0 and log.stdout.count(b"=v\n") == 256 and b"BIG" not in log.stdout
        assert any("65537 bytes" in details["why"] for details in harness.said.details("SSH_CHANNEL_REQUEST_FAILED"))


ODD_SIZES = pytest.mark.parametrize(
    ("asked", "shown"), [((0, 0), b"0 0"), ((65536, 1), b"1 65535"), ((2**32 - 1, 2**32 - 1), b"65535 65535")]
)


async def pty(channel: RawChannel, columns: int, rows: int) -> bool:
    size = (UInt32(columns), UInt32(rows), UInt32(0), UInt32(0))
    return await channel.ask(b"pty-req", String("xterm"), *size, String(b"\0"))


async def change(channel: RawChannel, columns: int, rows: int) -> bool:
    return await channel.ask(b"window-change", UInt32(columns), UInt32(rows), UInt32(0), UInt32(0))


@MODES
@ODD_SIZES
async def test_odd_window_sizes(setup: Setup, mode: str, asked: tuple[int, int], shown: bytes) -> None:
    """Zero is no size (RFC 4254 section 6.2), and what the kernel cannot hold becomes the most that it can."""
    async with setup.fake_harness(mode=mode) as harness, mid_session(harness), harness.client() as client:
        channel = await open_channel(client)
        assert await pty(channel, *asked)
        assert await channel.ask(b"shell")
        while shown + b"\r\n" not in channel.log.stdout:  # the first size follows the program's start
            channel.write(b"stty size\n")
            await trio.sleep(0.02)
        assert await change(channel, 100, 30)
        while b"30 100\r\n" not in channel.log.stdout:
            channel.write(b"stty size\n")
            await trio.sleep(0.02)
        assert await change(channel, *asked)
        channel.write(b"exit 7\n")
        await channel.log.closed.wait()
        assert channel.log.exit == 7


@pytest.mark.engine
@MODES
@ODD_SIZES
async def test_the_engine_takes_odd_window_sizes(setup: Setup, mode: str, asked: tuple[int, int], shown: bytes) -> None:
    async with setup.harness(mode=mode) as harness, mid_session(harness), harness.client() as client:
        channel = await open_channel(client)
        assert await pty(channel, *asked)
        assert await channel.ask(b"exec", String("echo runs; read line; exit 7"))
        # Before it runs, an engine may take the newest size with the start.
        while b"runs" not in channel.log.stdout:  # noqa: ASYNC110
            await trio.sleep(0.02)
        assert await change(channel, 100, 30)
        await harness.said.until("DOCKER_EXEC_RESIZE")
        assert await change(channel, *asked)
        channel.write(b"\n")
        await channel.log.closed.wait()
        assert channel.log.exit == 7


async def test_unknown_channels_requests_and_signals(setup: Setup) -> None:
    """A no with a reason for each, and the channel that asked goes on."""
    async with setup.fake_harness(mode="session") as harness, mid_session(harness), harness.client() as client:
        for kind in (b"x11", b"auth-agent@openssh.com", b"nonsense", b"\xff"):
            with pytest.raises(asyncssh.ChannelOpenError, match="unsupported channel type"):
                await open_channel(client, kind)
        channel = await open_channel(client)
        for request in (b"nonsense", b"x11-req", b"auth-agent-req@openssh.com", b"\xff\0", b""):
            assert not await channel.ask(request, String("x"))
        for name in (b"FOO", b"SIGTERM", b"9", b"", b"\xff"):
            assert not await channel.ask(b"signal", String(name))
        assert not await channel.ask(b"window-change", UInt32(1) * 4)
        log = await execute(client, b"exit 6", channel)
        assert (log.exit, log.stderr) == (6, b"")
        whys = [details["why"] for details in harness.said.details("SSH_CHANNEL_REQUEST_FAILED")]
        assert "FOO is not a signal of RFC 4254" in whys and "this request is not served here" in whys


async def test_a_second_program_on_one_channel_is_refused(setup: Setup) -> None:
    async with setup.fake_harness() as harness, mid_session(harness), harness.client() as client:
        channel = await open_channel(client)
        assert await channel.ask(b"exec", String("cat; exit 4"))
        assert not await channel.ask(b"exec", String("exit 9"))
        assert not await channel.ask(b"shell")
        await harness.said.until("DOCKER_PROGRAM_ALREADY_RUNNING", 2)
        channel.write_eof()
        await channel.log.closed.wait()
        assert channel.log.exit == 4


# Commands.


@pytest.mark.engine
@MODES
async def test_commands_that_are_hardly_any(setup: Setup, mode: str) -> None:
    """Empty, blank, newlines only: the shell does nothing, and well."""
    async with setup.harness(mode=mode) as harness, mid_session(harness), harness.client() as client:
        for command in (b"", b"   ", b"\n", b"\n\n\t \n"):
            log = await execute(client, command)
            assert (log.exit, log.stdout, log.stderr) == (0, b"", b""), command


@pytest.mark.engine
@MODES
async def test_a_command_of_240_kib(setup: Setup, mode: str) -> None:
    """More than Linux takes for one argument."""
    words = b"x" * (240 * 1024 - 20)
    async with setup.harness(mode=mode) as harness, mid_session(harness), harness.client() as client:
        log = await execute(client, b"w=" + words + b"; echo ${#w}; exit 3")
        assert (log.exit, log.stdout, log.stderr) == (3, b"%d\n" % len(words), b"")


@pytest.mark.engine
@MODES
async def test_a_command_that_is_not_utf8_is_run_byte_for_byte(setup: Setup, mode: str) -> None:
    """Every byte but NUL and the quote itself, through the container's own shell and back."""
    bytes_ = bytes(byte for byte in range(1, 256) if byte != ord("'"))
    async with setup.harness(mode=mode) as harness, mid_session(harness), harness.client() as client:
        log = await execute(client, b"printf %s '" + bytes_ + b"'; exit 8")
        assert (log.exit, log.stdout, log.stderr) == (8, bytes_, b"")


@MODES
async def test_a_command_with_nul(setup: Setup, mode: str) -> None:
    async with setup.fake_harness(mode=mode) as harness, mid_session(harness), harness.client() as client:
        log = await execute(client, b"echo a\0b")
        sentence = (
            b"moorage: the command contains a NUL byte, which no program can be given (MOORAGE_COMMAND_REFUSED)\r\n"
        )
        assert (log.exit, log.stdout, log.stderr) == (125, b"", sentence)


async def test_a_request_that_wants_no_answer_gets_none(setup: Setup) -> None:
    """And what is left over after the request's own fields makes it malformed."""
    async with setup.fake_harness() as harness, mid_session(harness), harness.client() as client:
        channel = await open_channel(client)
        assert not await channel.ask(b"env", String("A"), String("b"), Boolean(True))
        channel._send_request(b"nonsense")
        log = await execute(client, b"exit 2", channel)
        assert log.exit == 2
        whys = [details["why"] for details in harness.said.details("SSH_CHANNEL_REQUEST_FAILED")]
        assert any(why.startswith("malformed: ") for why in whys)

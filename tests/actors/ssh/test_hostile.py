"""A client that knows the protocol and means ill: after the login, at packet level. Each test has a bystander who goes
on being served, and the host fails the test if anything of it was an error of ours."""

import random
from collections.abc import Callable

import asyncssh
import pytest
import trio
from asyncssh.constants import (
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EOF,
    MSG_CHANNEL_OPEN,
    MSG_CHANNEL_REQUEST,
    MSG_CHANNEL_WINDOW_ADJUST,
    MSG_GLOBAL_REQUEST,
    MSG_KEXINIT,
    MSG_NEWKEYS,
    MSG_USERAUTH_REQUEST,
)
from asyncssh.packet import Boolean, Byte, String, UInt32

from protocol.connection import Disconnected
from protocol.session import ChannelClosed, ProgramWanted
from tests.actors.ssh.host import Client, Host, RawChannel, aio, open_host, say

MSG_EXTENDED_DATA = 95
UINT32_MAX = 2**32 - 1


async def still_serves(client: Client) -> None:
    assert (await client.run("on")).stdout == b"on"


async def ended(host: Host, number: int) -> str:
    """Why that connection is gone."""
    return (await host.supervisor.connections[number].seen(Disconnected)).why


def request(channel: RawChannel, name: bytes, *args: bytes, want_reply: bool = False) -> bytes:
    assert channel._send_chan is not None
    return UInt32(channel._send_chan) + String(name) + Boolean(want_reply) + b"".join(args)


# Wrong order


@pytest.mark.trio
@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (MSG_NEWKEYS, b""),
        (30, String(bytes(32))),
        (31, String(b"k") + String(bytes(32)) + String(b"s")),
        (MSG_KEXINIT, b"short"),
        (MSG_KEXINIT, bytes(16) + b"".join(String(b"") for _ in range(10)) + bytes(5)),
        (MSG_USERAUTH_REQUEST, String("bob") + String("ssh-connection") + String("none")),
        (5, String("ssh-connection")),
        (6, String("ssh-userauth")),
        (51, String("password") + Boolean(False)),
        (52, b""),
        (60, String("x")),
        (91, UInt32(0) * 4),
        (99, UInt32(0)),
        (100, UInt32(0)),
        (81, b""),
        (82, b""),
    ],
)
async def test_what_comes_at_the_wrong_time_ends_or_is_ignored(kind: int, payload: bytes) -> None:
    async with open_host(script=say) as host, host.client() as other, host.client() as client:
        await client.channel()
        client.conn.send_packet(kind, payload)
        with trio.move_on_after(0.3):
            await aio(client.conn.wait_closed)
        client.conn.abort()
        await ended(host, 1)
        await host.supervisor.sessions[0].seen(ChannelClosed)
        await still_serves(other)


@pytest.mark.trio
@pytest.mark.parametrize(
    "packets",
    [
        [(MSG_CHANNEL_EOF, b""), (MSG_CHANNEL_DATA, String(b"after the end"))],
        [(MSG_CHANNEL_EOF, b""), (MSG_CHANNEL_EOF, b"")],
        [(MSG_CHANNEL_CLOSE, b""), (MSG_CHANNEL_DATA, String(b"after the close"))],
        [(MSG_CHANNEL_CLOSE, b""), (MSG_CHANNEL_CLOSE, b"")],
        [(MSG_CHANNEL_CLOSE, b""), (MSG_CHANNEL_WINDOW_ADJUST, UInt32(1))],
        [(MSG_CHANNEL_CLOSE, b""), (MSG_CHANNEL_REQUEST, String("exec") + Boolean(True) + String("x"))],
        [(MSG_EXTENDED_DATA, UInt32(1) + String(b"stderr from a client"))],
        [(MSG_EXTENDED_DATA, UInt32(UINT32_MAX) + String(b"?"))],
        [(99, b"")],
        [(MSG_CHANNEL_REQUEST, String("exit-status") + Boolean(True) + UInt32(1))],
        [(MSG_CHANNEL_REQUEST, String("eow@openssh.com") + Boolean(False))],
    ],
)
async def test_a_channel_in_the_wrong_order(packets: list[tuple[int, bytes]]) -> None:
    async with open_host(script=say) as host, host.client() as other, host.client() as client:
        channel = await client.channel()
        assert channel._send_chan is not None
        for kind, payload in packets:
            client.conn.send_packet(kind, UInt32(channel._send_chan) + payload)
        with trio.move_on_after(0.3):
            await aio(client.conn.wait_closed)
        client.conn.abort()
        await ended(host, 1)
        assert len(host.supervisor.sessions[0].all(ChannelClosed)) <= 1
        await host.supervisor.sessions[0].seen(ChannelClosed)
        await still_serves(other)


# Rekeying


@pytest.mark.trio
async def test_a_storm_of_key_exchanges_is_served_or_ended() -> None:
    async with open_host(script=say) as host, host.client() as other, host.client(rekey_bytes=1) as client:
        with trio.move_on_after(5):
            for _ in range(20):
                try:
                    assert (await client.run("again")).stdout == b"again"
                except (asyncssh.Error, OSError):
                    break
        await still_serves(other)


@pytest.mark.trio
async def test_a_key_exchange_that_is_begun_and_never_gone_on_with_holds_up_nobody_else() -> None:
    async with open_host(script=say) as host, host.client() as other, host.client() as client:
        channel = await client.channel()
        client.conn._send_kexinit()
        client.conn._kex = None
        for _ in range(200):
            client.conn.send_packet(MSG_CHANNEL_REQUEST, request(channel, b"env", String("A"), String("b")))
        await still_serves(other)
        client.conn.abort()
        await ended(host, 1)


@pytest.mark.trio
async def test_key_exchange_packets_again_and_again_end_that_connection() -> None:
    async with open_host(script=say) as host, host.client() as other, host.client() as client:
        names = (b"curve25519-sha256", b"ssh-ed25519", *[b"aes128-gcm@openssh.com"] * 2, *[b"hmac-sha2-256"] * 2)
        lists = b"".join(String(name) for name in (*names, b"none", b"none", b"", b""))
        for _ in range(50):
            client.conn.send_packet(MSG_KEXINIT, bytes(16) + lists + Boolean(False) + UInt32(0))
        assert await ended(host, 1)
        await still_serves(other)


# Windows


@pytest.mark.trio
@pytest.mark.parametrize("adjust", [[UINT32_MAX], [UINT32_MAX] * 40, [0] * 1000, [1] * 1000])
async def test_windows_that_grow_beyond_all_bounds(adjust: list[int]) -> None:
    async with open_host(script=say) as host, host.client() as other, host.client() as client:
        channel = await client.channel()
        assert channel._send_chan is not None
        for size in adjust:
            client.conn.send_packet(MSG_CHANNEL_WINDOW_ADJUST, UInt32(channel._send_chan) + UInt32(size))
        client.conn.send_packet(MSG_CHANNEL_REQUEST, request(channel, b"exec", String("x")))
        await host.supervisor.sessions[0].seen(ProgramWanted)
        await still_serves(other)


@pytest.mark.trio
@pytest.mark.parametrize(("window", "packet_size"), [(0, 1 << 15), (1, 1 << 15), (UINT32_MAX, UINT32_MAX)])
async def test_a_window_of_nothing_or_of_everything(window: int, packet_size: int) -> None:
    """Of nothing: the output waits, and the client's close is heard all the same."""
    async with open_host(script=say) as host, host.client() as other, host.client() as client:
        client.conn.send_packet(MSG_CHANNEL_OPEN, String("session") + UInt32(7) + UInt32(window) + UInt32(packet_size))
        # At once, for asyncssh's client takes offence at an answer for a channel that it does not know.
        client.conn.send_packet(MSG_CHANNEL_REQUEST, UInt32(0) + String("exec") + Boolean(False) + String("x" * 1000))
        while not host.supervisor.sessions:
            await trio.lowlevel.checkpoint()
        await host.supervisor.sessions[0].seen(ProgramWanted)
        client.conn.abort()
        await host.supervisor.sessions[0].seen(ChannelClosed)
        await still_serves(other)


# Giants


def giant(length: int) -> bytes:
    """A string that says it is longer than what follows."""
    return UInt32(length) + b"x" * 100


@pytest.mark.trio
@pytest.mark.parametrize("length", [101, 2**31 - 1, 2**31, UINT32_MAX])
@pytest.mark.parametrize(
    "packet",
    [
        lambda n: (MSG_GLOBAL_REQUEST, giant(n)),
        lambda n: (MSG_CHANNEL_OPEN, giant(n)),
        lambda n: (MSG_CHANNEL_DATA, UInt32(0) + giant(n)),
        lambda n: (MSG_CHANNEL_REQUEST, UInt32(0) + giant(n)),
        lambda n: (MSG_CHANNEL_REQUEST, UInt32(0) + String("env") + Boolean(True) + String("A") + giant(n)),
        lambda n: (MSG_CHANNEL_REQUEST, UInt32(0) + String("exec") + Boolean(True) + giant(n)),
        lambda n: (1, UInt32(11) + giant(n)),
        lambda n: (2, giant(n)),
        lambda n: (4, Boolean(True) + giant(n)),
    ],
)
async def test_a_length_that_lies(packet: Callable[[int], tuple[int, bytes]], length: int) -> None:
    async with open_host(script=say) as host, host.client() as other, host.client() as client:
        await client.channel()
        client.conn.send_packet(*packet(length))
        client.conn.send_packet(MSG_GLOBAL_REQUEST, String("keepalive@openssh.com") + Boolean(True))
        with trio.move_on_after(0.2):
            await aio(client.conn.wait_closed)
        await still_serves(other)


@pytest.mark.trio
async def test_long_names_are_refused_and_cut_in_what_is_told() -> None:
    async with open_host(script=say) as host, host.client() as other, host.client() as client:
        channel = await client.channel()
        for name in (b"x" * 30_000, b"\xff" * 30_000, b"\0" * 30_000):
            assert not await channel.ask(name)
        told = [event for event in host.supervisor.sessions[0].events if hasattr(event, "what")]
        assert told and all(len(str(event)) < 5000 for event in told)
        await still_serves(other)


# Dice


@pytest.mark.trio
@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, 60))])
async def test_random_sequences_of_valid_packets(seed: int) -> None:
    """Each packet is well-formed; their order makes no sense."""
    dice = random.Random(seed)

    def packet() -> tuple[int, bytes]:
        number = UInt32(dice.choice((0, 0, 0, 1, 2, 77, UINT32_MAX)))
        name = dice.choice(
            (b"env", b"pty-req", b"shell", b"exec", b"subsystem", b"signal", b"window-change", b"x11-req")
        )
        body = {
            b"env": String("A") + String("b"),
            b"pty-req": String("xterm") + UInt32(80) * 4 + String(b"\0"),
            b"exec": String("x"),
            b"subsystem": String("sftp"),
            b"signal": String("TERM"),
            b"window-change": UInt32(dice.choice((0, 80, UINT32_MAX))) * 4,
        }.get(name, b"")
        return dice.choice((
            (MSG_CHANNEL_REQUEST, number + String(name) + Boolean(dice.random() < 0.5) + body),
            (MSG_CHANNEL_REQUEST, number + String(name) + Boolean(dice.random() < 0.5) + body),
            (MSG_CHANNEL_DATA, number + String(dice.randbytes(dice.randrange(2000)))),
            (MSG_CHANNEL_WINDOW_ADJUST, number + UInt32(dice.choice((0, 1, UINT32_MAX)))),
            (MSG_CHANNEL_OPEN, String("session") + UInt32(dice.randrange(9)) + UInt32(1 << 20) + UInt32(1 << 15)),
            (MSG_CHANNEL_EOF, number),
            (MSG_CHANNEL_CLOSE, number),
            (MSG_GLOBAL_REQUEST, String("tcpip-forward") + Boolean(True) + String("") + UInt32(22)),
            (2, String(dice.randbytes(100))),
            (Byte(3)[0], UInt32(7)),
        ))  # fmt: skip

    async with open_host(script=say) as host, host.client() as other:
        for _ in range(25):
            async with host.client() as client:
                await client.channel()
                for _ in range(dice.randrange(1, 30)):
                    client.conn.send_packet(*packet())
                    if dice.random() < 0.2:
                        await trio.lowlevel.checkpoint()
        for session in host.supervisor.sessions:
            await session.seen(ChannelClosed)
            assert len(session.all(ChannelClosed)) == 1
        await still_serves(other)

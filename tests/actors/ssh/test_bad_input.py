"""What a stranger may send. Each gets a clear answer or is closed; nothing of it is an error of ours (the host sees to
that: a crash fails the test), and a second connection never notices."""

import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import asyncssh
import pytest
import trio
from asyncssh.constants import MSG_CHANNEL_DATA, MSG_CHANNEL_OPEN, MSG_GLOBAL_REQUEST, MSG_KEXINIT, MSG_USERAUTH_REQUEST
from asyncssh.packet import Boolean, Byte, String, UInt32

from protocol.connection import Disconnected
from protocol.session import ChannelClosed, ProgramWanted
from tests.actors.ssh.host import Client, Host, aio, open_host, say

BANNER = b"SSH-2.0-Tester\r\n"
NAME_LIST = b"".join(String(b"") for _ in range(10))


def plain(payload: bytes, padding: int = 8) -> bytes:
    """An unencrypted packet."""
    return UInt32(1 + len(payload) + padding) + Byte(padding) + payload + bytes(padding)


@asynccontextmanager
async def raw(host: Host) -> AsyncIterator[trio.SocketStream]:
    async with await trio.open_tcp_stream("127.0.0.1", host.port) as stream:
        assert (await stream.receive_some()).startswith(b"SSH-2.0-Moorage\r\n")
        yield stream


async def rest(stream: trio.SocketStream) -> None:
    """Read until it is closed, in order or with a reset."""
    try:
        while await stream.receive_some():
            pass
    except trio.BrokenResourceError:
        pass


async def still_serves(client: Client) -> None:
    assert (await client.run("cat", input=b"on")).stdout == b"on"


@pytest.mark.trio
@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (BANNER + bytes(64), "Packet too short"),
        (BANNER + UInt32(2**31) + bytes(64), "Max packet size exceeded"),
        (BANNER + b"\xff" * 64, "Max packet size exceeded"),
        (BANNER + plain(b""), "Incomplete packet"),
        (BANNER + plain(Byte(MSG_KEXINIT) + b"short"), "Incomplete packet"),
        (BANNER + plain(Byte(MSG_KEXINIT) + bytes(16) + NAME_LIST + bytes(5)), "No matching key exchange"),
        (BANNER + plain(Byte(MSG_KEXINIT) + bytes(16) + String(b"\xff") * 10 + bytes(5)), "Malformed text"),
        (BANNER + plain(Byte(30) + String(b"key")), "Key exchange not in progress"),
        (BANNER + plain(Byte(MSG_USERAUTH_REQUEST) + String("alice")), "Invalid request before"),
        (BANNER + plain(Byte(MSG_CHANNEL_OPEN) + String("session")), "Invalid request before"),
        (BANNER + plain(Byte(MSG_GLOBAL_REQUEST) + String("x")), "Invalid request before"),
        (BANNER + plain(Byte(1) + UInt32(2) + String(b"\xff") + String("")), ""),
    ],
)
async def test_garbage_before_the_login_ends_that_connection(sent: bytes, why: str) -> None:
    async with open_host() as host, host.client() as other:
        async with raw(host) as stream:
            await stream.send_all(sent)
            await rest(stream)
        disconnected = await host.supervisor.connections[1].seen(Disconnected)
        assert disconnected.why != "" and disconnected.why[: len(why)] == why
        await still_serves(other)


@pytest.mark.trio
async def test_a_half_open_handshake_that_goes_away_is_told() -> None:
    async with open_host() as host, host.client() as other:
        async with raw(host) as stream:
            await stream.send_all(BANNER + UInt32(600) + b"\x08half a packet")
        told = (await host.supervisor.connections[1].seen(Disconnected)).why
        assert told == "Connection lost" or "reset" in told  # the latter when it has left our first word unread
        await still_serves(other)


@pytest.mark.trio
async def test_random_bytes_and_bent_packets_never_are_an_error_of_ours() -> None:
    dice = random.Random(20)
    kexinit = own_kexinit()
    async with open_host() as host, host.client() as other:
        for _ in range(150):
            bent = bytearray(kexinit)
            for _ in range(dice.randrange(1, 8)):
                bent[dice.randrange(len(bent))] = dice.randrange(256)
            tail = dice.randbytes(dice.randrange(400))
            async with raw(host) as stream:
                await stream.send_all(BANNER + dice.choice([bytes(bent), kexinit + plain(Byte(30) + tail), tail]))
                await stream.send_eof()
                await rest(stream)
        await still_serves(other)


def own_kexinit() -> bytes:
    """The first packet of an OpenSSH-like client."""
    names = (b"curve25519-sha256", b"ssh-ed25519", *[b"aes128-gcm@openssh.com"] * 2, *[b"hmac-sha2-256"] * 2)
    lists = b"".join(String(name) for name in (*names, b"none", b"none", b"", b""))
    return plain(Byte(MSG_KEXINIT) + os.urandom(16) + lists + Boolean(False) + UInt32(0))


@pytest.mark.trio
@pytest.mark.parametrize(
    "request_",
    [
        String(b"\xff\xfe") + String("ssh-connection") + String("none"),
        String("a" * 2000) + String("ssh-connection") + String("none"),
        String("alice") + String("ssh-connection") + String("password") + Boolean(False) + String(b"\xff"),
        String("alice") + String("ssh-connection") + String("password"),
        String("alice") + String("ssh-connection") + String("publickey") + Boolean(True) + String("x"),
        String("alice") + String("no-such-service") + String("none"),
        String("alice"),
    ],
)
async def test_a_malformed_login_is_told_what_is_wrong(request_: bytes) -> None:
    class Bender(asyncssh.SSHClient):
        def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
            self.conn = conn

        def begin_auth(self, username: str) -> None:
            self.conn.send_packet(MSG_USERAUTH_REQUEST, request_)

    async with open_host() as host, host.client() as other:
        with pytest.raises(asyncssh.DisconnectError) as told:
            async with host.client(client_factory=Bender):
                pass
        assert not isinstance(told.value, asyncssh.ConnectionLost | asyncssh.PermissionDenied)
        assert told.value.reason
        await host.supervisor.connections[1].seen(Disconnected)
        await still_serves(other)


@pytest.mark.trio
@pytest.mark.parametrize("method", [b"none", b"hostbased", b"keyboard-interactive", b"gssapi-with-mic", b"\xff\0"])
async def test_methods_that_nobody_has_are_turned_down(method: bytes) -> None:
    class Asker(asyncssh.SSHClient):
        def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
            conn._auth_in_progress = True
            self.conn = conn

        def begin_auth(self, username: str) -> None:
            for _ in range(10):
                self.conn.send_packet(MSG_USERAUTH_REQUEST, String("alice"), String("ssh-connection"), String(method))

    async with open_host() as host, host.client() as other:
        with pytest.raises(asyncssh.DisconnectError):
            async with host.client(client_factory=Asker):
                pass
        assert (await host.supervisor.connections[1].seen(Disconnected)).why
        await still_serves(other)


@pytest.mark.trio
@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (MSG_CHANNEL_OPEN, String("session")),
        (MSG_CHANNEL_OPEN, String("session") + UInt32(0) + UInt32(0) + UInt32(0x8000) + b"left over"),
        (MSG_GLOBAL_REQUEST, b"\0\0"),
        (MSG_CHANNEL_DATA, UInt32(77) + String("nobody's")),
        (MSG_CHANNEL_DATA, b""),
        (MSG_USERAUTH_REQUEST, b""),
        (91, UInt32(1)),
        (92, UInt32(1) * 4),
        (5, String("ssh-userauth")),
        (1, UInt32(11) + String(b"\xff") + String(b"\xff")),
    ],
)
async def test_a_malformed_packet_after_the_login_ends_that_connection(kind: int, payload: bytes) -> None:
    async with open_host() as host, host.client() as other, host.client() as client:
        await client.channel()
        client.conn.send_packet(kind, payload)
        assert (await host.supervisor.connections[1].seen(Disconnected)).why
        await host.supervisor.sessions[0].seen(ChannelClosed)
        await still_serves(other)


@pytest.mark.trio
async def test_unknown_packet_types_are_answered_unimplemented() -> None:
    async with open_host() as host, host.client() as client:
        client.conn.send_packet(192, b"what?")
        await still_serves(client)


@pytest.mark.trio
async def test_random_packets_after_the_login_never_are_an_error_of_ours() -> None:
    dice = random.Random(4)
    kinds = [*range(1, 8), *range(20, 22), *range(80, 83), *range(90, 101)]
    names = [b"env", b"pty-req", b"exec", b"signal", b"window-change", b"session", b"x11-req", b"keepalive@openssh.com"]
    async with open_host(script=say) as host, host.client() as other:
        for _ in range(60):
            async with host.client() as client:
                await client.channel()
                for _ in range(6):
                    body = UInt32(0) + String(dice.choice(names)) + Boolean(dice.random() < 0.5)
                    body += dice.randbytes(dice.randrange(40))
                    client.conn.send_packet(dice.choice(kinds), body[dice.randrange(5) :])
                    await trio.lowlevel.checkpoint()
        await still_serves_say(other)


async def still_serves_say(client: Client) -> None:
    assert (await client.run("on")).stdout == b"on"


@pytest.mark.trio
async def test_data_beyond_the_window_ends_that_connection() -> None:
    async with open_host() as host, host.client() as client:
        channel = await client.channel()
        channel._send_window = 1 << 30
        channel.write(b"x" * (3 << 20))
        assert (await host.supervisor.connections[0].seen(Disconnected)).why == "Window exceeded"


@pytest.mark.trio
@pytest.mark.parametrize("cipher", ["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com"])
@pytest.mark.parametrize(
    ("body", "why"),
    [
        (UInt32(99) + String(b"x"), "Invalid channel number 99 received"),
        (UInt32(0) + UInt32(2) + b"x", "Incomplete packet"),
        (UInt32(0) + String(b"x") + b"y", "Unexpected data at end of packet"),
        (b"\0\0", "Incomplete channel request received"),
    ],
)
async def test_data_that_is_not_as_it_should_be_ends_that_connection(cipher: str, body: bytes, why: str) -> None:
    async with open_host(script=say) as host, host.client() as other, host.client(encryption_algs=[cipher]) as client:
        await client.channel()
        client.conn.send_packet(MSG_CHANNEL_DATA, body)
        assert (await host.supervisor.connections[1].seen(Disconnected)).why == why
        await still_serves_say(other)


@pytest.mark.trio
async def test_a_command_larger_than_a_packet_may_be_is_refused_with_the_connection() -> None:
    async with open_host() as host, host.client() as other, host.client() as client:
        channel = await client.channel()
        with pytest.raises(asyncssh.ProtocolError, match="Max packet size exceeded"):
            await channel.ask(b"exec", String(b"x" * 300 * 1024))
        await still_serves(other)


@pytest.mark.trio
async def test_many_connections_at_once_that_come_and_go() -> None:
    async def come_and_go(host: Host, last: bytes) -> None:
        async with raw(host) as stream:
            await stream.send_all(last)

    async with open_host() as host, host.client() as other:
        async with trio.open_nursery() as nursery:
            for number in range(60):
                nursery.start_soon(come_and_go, host, (b"", BANNER, b"garbage\n")[number % 3])
        for box in host.supervisor.connections[1:]:
            await box.seen(Disconnected)
        await still_serves(other)
        assert len(host.supervisor.connections) == 61
        assert host.listener.statistics()["connections"] == 1


@pytest.mark.trio
async def test_two_hundred_channels_in_one_connection() -> None:
    async with open_host(script=say) as host, host.client() as client:
        async with trio.open_nursery() as nursery:
            for _ in range(200):
                nursery.start_soon(partial(client.run, "x"))
        assert sum(len(session.all(ProgramWanted)) for session in host.supervisor.sessions) == 200


@pytest.mark.trio
async def test_invalid_utf8_in_a_disconnect_or_debug_text_is_harmless() -> None:
    async with open_host() as host, host.client() as client:
        client.conn.send_packet(4, Boolean(True), String(b"\xff"), String(""))
        await still_serves(client)
        client.conn.send_packet(1, UInt32(2), String(b"bad \xff"), String(""))
        disconnected = await host.supervisor.connections[0].seen(Disconnected)
        assert disconnected.why == "bad \\\\xff"
        await aio(client.conn.wait_closed)

"""Packets that are made and read here in place of asyncssh: the same bytes arrive, whatever the cipher and its keys."""

from functools import partial
from random import Random
from typing import Any

import asyncssh
import pytest
import trio

from actors.ssh.overrides import Wire
from actors.ssh.packets import KEPT_TIMES_MAX, MERGE_BYTES_MAX, Gcm
from protocol.connection import Disconnected
from protocol.session import ProgramWanted
from tests.actors.ssh.host import FakeSession, Host, aio, open_host

DATA = Random(1).randbytes(3 * 1024 * 1024 + 7)
GCM, OTHER = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com"), ("chacha20-poly1305@openssh.com", "aes256-ctr")


def connection(host: Host) -> Any:
    return host.supervisor.transports[0]._conn  # type: ignore[attr-defined]


def ciphers(host: Host) -> tuple[bool, bool]:
    """Is what is sent made here, and what has come read here?"""
    conn = connection(host)
    return isinstance(conn._send_encryption, Gcm), isinstance(conn._recv_encryption, Gcm)


async def echoed(client: asyncssh.SSHClientConnection, data: bytes) -> bytes:
    result = await aio(partial(client.run, "cat", input=data, encoding=None))
    assert isinstance(result.stdout, bytes)
    return result.stdout


@pytest.mark.trio
@pytest.mark.parametrize("cipher", [*GCM, *OTHER])
async def test_data_comes_back_as_it_was_through_many_exchanges_of_keys(cipher: str) -> None:
    async with open_host() as host, host.client(encryption_algs=[cipher], rekey_bytes=200_000) as client:
        assert await echoed(client.conn, DATA) == DATA
        assert connection(host)._recv_seq < 200  # strict key exchange counts anew: there were some
        assert ciphers(host) == ((cipher in GCM,) * 2)


@pytest.mark.trio
@pytest.mark.parametrize("after", OTHER)
async def test_a_client_may_change_the_cipher_in_the_middle(after: str) -> None:
    """What follows its NEWKEYS has been read with it, and is for the other cipher."""
    async with open_host() as host, host.client(encryption_algs=[GCM[0]]) as client:
        assert ciphers(host) == (True, True)
        client.conn._enc_algs = [after.encode()]
        client.conn._rekey_bytes = 100_000
        assert await echoed(client.conn, DATA) == DATA
        assert ciphers(host) == (False, False)
        client.conn._enc_algs = [GCM[1].encode()]
        assert await echoed(client.conn, DATA) == DATA
        assert ciphers(host) == (True, True)


@pytest.mark.trio
async def test_keys_that_are_old_are_exchanged_by_us_too() -> None:
    async with open_host() as host, host.client(encryption_algs=[GCM[0]]) as client:
        connection(host)._rekey_bytes = 150_000
        first = client.conn._recv_encryption
        assert await echoed(client.conn, DATA) == DATA
        assert client.conn._recv_encryption is not first


@pytest.mark.trio
async def test_a_packet_that_was_changed_on_the_way_ends_the_connection() -> None:
    async with open_host() as host, host.client(encryption_algs=[GCM[0]]) as client:
        send = client.conn._send
        client.conn._send = lambda packet: send(packet[:-1] + bytes((packet[-1] ^ 1,)))  # type: ignore[method-assign]
        client.conn.send_packet(2, b"\0\0\0\0")
        assert "MAC" in (await host.supervisor.connections[0].seen(Disconnected)).why


@pytest.mark.trio
async def test_packets_are_no_larger_than_the_client_wants_and_padded_as_told() -> None:
    """RFC 4253 section 6: blocks of 16 behind the length, at least 4 bytes of padding."""

    async def write(session: FakeSession, wanted: ProgramWanted) -> None:
        for size in range(1, 700):
            session.channel.write(DATA[:size], size % 2 == 0)
        session.finish(0)

    async with open_host(script=write) as host, host.client(encryption_algs=[GCM[0]]) as client:
        lengths: list[int] = []
        packets: list[int] = []
        header = client.conn._recv_pkthdr

        def seen() -> bool:
            got = header()
            lengths.append(client.conn._pktlen)
            return got

        client.conn._recv_pkthdr = seen  # type: ignore[method-assign]
        channel = await client.channel(packet_size=300)
        accept = channel._accept_data

        def accepted(data: bytes, datatype: int | None = None) -> None:
            packets.append(len(data))
            accept(data, datatype)

        channel._accept_data = accepted  # type: ignore[method-assign]
        assert await channel.ask(b"shell")
        await channel.log.closed.wait()
        assert 256 < max(packets) <= 300 and sum(packets) == sum(range(1, 700))
        assert len(lengths) > len(packets)
        assert channel.log.stdout == b"".join(DATA[:size] for size in range(1, 700, 2))
        assert channel.log.stderr == b"".join(DATA[:size] for size in range(2, 700, 2))
        assert all(length % 16 == 0 for length in lengths)


@pytest.mark.trio
async def test_output_that_is_held_back_in_small_pieces_is_put_together() -> None:
    """Each would cost a hundred times what it holds, and a program decides how small they are."""
    ready, most = trio.Event(), 0

    async def dribble(session: FakeSession, wanted: ProgramWanted) -> None:
        nonlocal most
        wire: Wire = session.channel._wire  # type: ignore[attr-defined]
        for at in range(20_000):
            session.channel.write(DATA[at : at + 1], at % 8000 == 7999)
            most = max(most, len(wire._send_buf))
        assert session.channel.unsent_bytes() == 20_000 - 10
        ready.set()
        session.finish(0)

    async with open_host(script=dribble) as host, host.client() as client:
        channel = await client.channel(window=10)
        channel.pause_reading()
        assert await channel.ask(b"shell")
        await ready.wait()
        assert most <= 20_000 // MERGE_BYTES_MAX + 8
        channel.resume_reading()
        channel._recv_window = 1 << 20
        channel.send_packet(93, (1 << 20).to_bytes(4, "big"))
        await channel.log.closed.wait()
        expected = bytes(DATA[at] for at in range(20_000) if at % 8000 != 7999)
        assert channel.log.stdout == expected and len(channel.log.stderr) == 2
    assert host.supervisor.crashes == []


@pytest.mark.trio
async def test_output_that_is_held_back_keeps_little_else_alive() -> None:
    """It is a view of what was read at once, and most of that may have been other programs' and is gone."""
    ready, pieces, kept = trio.Event(), 30, 0

    async def trickle(session: FakeSession, wanted: ProgramWanted) -> None:
        nonlocal kept
        wire: Wire = session.channel._wire  # type: ignore[attr-defined]
        for at in range(pieces):
            read_at_once = DATA[at : at + 256 * 1024]
            session.channel.write(memoryview(read_at_once)[: MERGE_BYTES_MAX + 1], False)
        kept = sum(len(data.obj) for data, _ in wire._send_buf)  # type: ignore[attr-defined]
        assert session.channel.unsent_bytes() == pieces * (MERGE_BYTES_MAX + 1) - 10
        ready.set()
        session.finish(0)

    async with open_host(script=trickle) as host, host.client() as client:
        channel = await client.channel(window=10)
        channel.pause_reading()
        assert await channel.ask(b"shell")
        await ready.wait()
        assert kept <= KEPT_TIMES_MAX * pieces * (MERGE_BYTES_MAX + 1)
        channel.resume_reading()
        channel._recv_window = 1 << 20
        channel.send_packet(93, (1 << 20).to_bytes(4, "big"))
        await channel.log.closed.wait()
        assert channel.log.stdout == b"".join(DATA[at : at + MERGE_BYTES_MAX + 1] for at in range(pieces))
    assert host.supervisor.crashes == []

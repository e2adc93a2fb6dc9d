"""Does the peer speak SSH, and is it still there?"""

import socket
from contextlib import suppress
from typing import Any

import asyncssh
import pytest
import trio

from actors.ssh.overrides import Connection
from actors.ssh.peer import ANSWER, Silent, cause_of
from protocol.connection import Disconnected
from tests.actors.ssh.host import Host, open_host, settings

VERSION = b"SSH-2.0-Moorage\r\n"


def connection(host: Host, place: int = 0) -> Connection:
    return host.supervisor.transports[place]._conn  # type: ignore[attr-defined,no-any-return]


async def told(stream: trio.SocketStream) -> bytes:
    """All that comes until the end, which is in order."""
    return b"".join([piece async for piece in stream])


# Does it speak SSH?


@pytest.mark.trio
@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "not an SSH 2.0 client"),
        (b"\x16\x03\x01", "not an SSH 2.0 client"),
        (b"SSH-1.5-old\r\n", "not an SSH 2.0 client"),
        (b"SSH-\r\n", "not an SSH 2.0 client"),
        (b"\n", "not an SSH 2.0 client"),
        (b"SSHD", "not an SSH 2.0 client"),
        (b"SSH-2.0-caf\xe9\r\n", "the version line is not ASCII"),
        (b"SSH-2.0-" + b"x" * 246 + b"\r\n", "the version line is too long"),
        (b"SSH-2.0-" + b"x" * 10_000_000, "the version line is too long"),
    ],
)
async def test_what_is_not_ssh_is_told_so_and_closed(sent: bytes, why: str) -> None:
    """At the first byte that cannot be right, and however much of it there is."""

    async def send(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):  # it was told enough
            await stream.send_all(sent)

    async with open_host() as host, trio.open_nursery() as nursery:
        async with await trio.open_tcp_stream("127.0.0.1", host.port) as stream:
            nursery.start_soon(send, stream)
            assert await told(stream) == VERSION + ANSWER
            assert host.listener.statistics()["startups"] == 1
        assert await host.supervisor.connections[0].seen(Disconnected) == Disconnected(why=why, cause="not_ssh")
        assert host.listener.statistics()["startups"] == 0


@pytest.mark.trio
async def test_one_that_is_turned_away_and_stays_is_cut_off() -> None:
    async with open_host() as host, await trio.open_tcp_stream("127.0.0.1", host.port) as stream:
        await stream.send_all(b"?")
        assert await told(stream) == VERSION + ANSWER
        assert (await host.supervisor.connections[0].seen(Disconnected)).cause == "not_ssh"


@pytest.mark.trio
async def test_a_version_line_that_comes_byte_by_byte_is_one() -> None:
    line = b"SSH-2.0-" + b"x" * 245 + b"\r\n"
    async with open_host() as host, await trio.open_tcp_stream("127.0.0.1", host.port) as stream:
        for byte in line:
            await stream.send_all(bytes([byte]))
        said = b""
        while len(said) < len(VERSION) + 100:  # our half of the key exchange follows
            said += await stream.receive_some()
        assert said.startswith(VERSION) and ANSWER not in said
        assert connection(host).get_extra_info("client_version") == line.strip().decode()


@pytest.mark.trio
async def test_an_old_client_that_can_do_both_versions_is_let_in() -> None:
    async with open_host() as host, host.client(client_version="1.99-old") as client:
        client.conn._client_version = b"SSH-2.0-1.99-old"
        assert (await client.run("cat", input=b"on")).stdout == b"on"


# Is it still there?


class Deaf(asyncssh.SSHClientConnection):
    """It lives and speaks, but answers no question."""

    def _process_global_request(self, pkttype: int, pktid: int, packet: Any) -> None:
        self.asked = getattr(self, "asked", 0) + 1

    _packet_handlers = {**asyncssh.SSHClientConnection._packet_handlers, 80: _process_global_request}


@pytest.mark.trio
async def test_a_frozen_client_is_noticed() -> None:
    config = settings(client_alive_interval=0.05, client_alive_count_max=2)
    async with open_host(config) as host, host.client() as client:
        client.conn._transport.pause_reading()
        lost = await host.supervisor.connections[0].seen(Disconnected)
        assert lost == Disconnected(why="no sign of life for 0.1 s", cause="silent")


@pytest.mark.trio
@pytest.mark.parametrize("count", [1, 3])
async def test_each_question_is_given_time_and_any_sign_of_life_is_an_answer(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock of the test's own: `count` questions in interval x count, and then the end."""
    config = settings(client_alive_interval=60, client_alive_count_max=count)
    async with open_host(config) as host, host.client() as client:
        monkeypatch.setattr(client.conn, "_packet_handlers", Deaf._packet_handlers)
        conn = connection(host)
        now, asked = conn._loop.time(), 60 * count / (count + 1)
        monkeypatch.setattr(conn._loop, "time", lambda: now)
        for round_ in range(2):
            conn._reset_keepalive_timer()  # as for anything that arrives
            for number in range(1, count + 1):
                now += asked - 0.001
                conn._keepalive_timer_callback()
                assert conn._keepalive_count == number - 1
                now += 0.001
                conn._keepalive_timer_callback()
                assert conn._keepalive_count == number
            now += asked - 0.001
            conn._keepalive_timer_callback()
            assert not host.supervisor.connections[0].all(Disconnected), round_
        now += 0.001
        conn._keepalive_timer_callback()
        lost = await host.supervisor.connections[0].seen(Disconnected)
        assert lost == Disconnected(why=f"no sign of life for {60 * count} s", cause="silent")
        assert client.conn.asked == 2 * count


@pytest.mark.trio
async def test_a_client_that_speaks_and_answers_nothing_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_host(settings(client_alive_interval=60)) as host, host.client() as client:
        monkeypatch.setattr(client.conn, "_packet_handlers", Deaf._packet_handlers)
        for _ in range(20):
            connection(host)._heard -= 60
            connection(host)._keepalive_timer_callback()
            assert (await client.run("cat", input=b"on")).stdout == b"on"
        assert client.conn.asked == 20  # type: ignore[attr-defined]


@pytest.mark.trio
async def test_answers_to_questions_that_were_not_asked_are_harmless() -> None:
    async with open_host() as host, host.client() as client:
        for kind in (81, 82):
            client.conn.send_packet(kind, b"?" * 100)
        assert (await client.run("cat", input=b"on")).stdout == b"on"
        assert len(host.supervisor.connections[0].events) == 1


@pytest.mark.trio
@pytest.mark.parametrize(("interval", "limit_ms"), [(0, 0), (30, 90_000), (1.5, 4_500)])
async def test_the_kernel_has_the_same_patience(interval: float, limit_ms: int) -> None:
    """TCP_USER_TIMEOUT; 0 is the kernel's own."""
    async with open_host(settings(client_alive_interval=interval)) as host, host.client():
        sock = connection(host)._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == limit_ms
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


def test_what_an_end_is_called() -> None:
    assert cause_of(TimeoutError(110, "Connection timed out")) == "silent"
    assert cause_of(OSError(113, "No route to host")) == "silent"
    assert cause_of(Silent("?")) == "silent"
    assert cause_of(ConnectionResetError(104, "Connection reset by peer")) == ""
    assert cause_of(asyncssh.ConnectionLost("Connection lost")) == "" == cause_of(None)


# Is there room for it?


@pytest.mark.trio
async def test_who_fills_the_door_gives_way_to_others() -> None:
    async with open_host(settings(max_startups=3)) as host:
        held = [await trio.open_tcp_stream("127.0.0.1", host.port) for _ in range(3)]
        for stream in held:
            assert await stream.receive_some() == VERSION
        async with host.client(local_addr=("127.0.0.2", 0)) as client:
            assert b"too many connections are logging in" in await told(held[0])
            assert (await client.run("cat", input=b"on")).stdout == b"on"
            lost = await host.supervisor.connections[0].seen(Disconnected)
            assert lost == Disconnected(why="too many connections are logging in")
        assert host.supervisor.turned_away_count == 1
        for stream in held:
            await stream.aclose()

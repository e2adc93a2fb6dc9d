"""The overrides that no other test here would miss: limits on what can pile up, and what asyncssh does otherwise."""

import asyncio
import socket
import struct
from typing import Any

import asyncssh
import pytest
import trio
import trio.testing
from asyncssh.constants import MSG_GLOBAL_REQUEST, MSG_IGNORE
from asyncssh.packet import String

from actors.ssh import overrides, turns
from actors.ssh.overrides import ASYNCSSH_VERSION, Connection, Wire
from protocol.connection import Disconnected
from protocol.session import OutputEnded, ProgramWanted
from tests.actors.ssh.host import PASSWORD, EchoStream, FakeSession, Host, aio, open_host, say, settings

CHUNK = b"x" * 65536


def connection(host: Host, place: int = 0) -> Connection:
    return host.supervisor.transports[place]._conn  # type: ignore[attr-defined,no-any-return]


def wire(session: FakeSession) -> Wire:
    return session.channel._wire  # type: ignore[attr-defined,no-any-return]


class Firehose(EchoStream):
    """A program that writes without end, whenever it may."""

    def __init__(self, session: FakeSession) -> None:
        super().__init__(session.pump)
        self._loop = wire(session).get_loop()
        self.stopped = trio.Event()
        self._go_on()

    def _go_on(self) -> None:
        if self.paused or self.closed:
            self.stopped.set()
            return
        self.sink.output(CHUNK, False)
        self._loop.call_soon(self._go_on)

    def pause_output(self) -> None:
        self.paused = True

    def resume_output(self) -> None:
        self.paused = False
        self.stopped = trio.Event()
        self._loop.call_soon(self._go_on)


async def firehose(session: FakeSession, wanted: ProgramWanted) -> None:
    session.hose = Firehose(session)  # type: ignore[attr-defined]
    session.pump.join(session.hose)  # type: ignore[attr-defined]


def test_the_library_is_the_one_they_are_written_for() -> None:
    assert asyncssh.__version__ == ASYNCSSH_VERSION


@pytest.mark.trio
async def test_a_client_that_never_reads_its_socket_stops_the_program() -> None:
    """It announces a window of 4 GiB: only the socket says that it is slow."""
    async with open_host(script=firehose) as host, host.client() as client:
        channel = await client.channel(window=2**32 - 1)
        client.conn._transport.pause_reading()
        channel._send_request(b"shell")
        session = host.supervisor.sessions[0]
        await session.seen(ProgramWanted)
        await trio.testing.wait_all_tasks_blocked()
        await session.hose.stopped.wait()  # type: ignore[attr-defined]
        sent = session.pump.bytes_out
        assert session.channel.unsent_bytes() <= 3 * len(CHUNK)
        assert connection(host)._transport.get_write_buffer_size() < overrides.UNSENT_BYTES_MAX
        client.conn._transport.resume_reading()
        while session.pump.bytes_out <= sent:
            await trio.lowlevel.checkpoint()
        session.pump.drop()


@pytest.mark.trio
async def test_a_client_that_never_reads_its_channel_stops_the_program() -> None:
    async with open_host(script=firehose) as host, host.client() as client:
        channel = await client.channel(window=100_000)
        channel.pause_reading()
        assert await channel.ask(b"shell")
        session = host.supervisor.sessions[0]
        await session.hose.stopped.wait()  # type: ignore[attr-defined]
        assert session.pump.bytes_out <= 100_000 + 3 * len(CHUNK)
        assert session.channel.unsent_bytes() == session.pump.bytes_out - 100_000
        channel.resume_reading()
        while len(channel.log.stdout) < 1_000_000:
            await trio.lowlevel.checkpoint()
        session.pump.drop()


@pytest.mark.trio
async def test_a_program_that_never_reads_stops_the_client() -> None:
    async def deaf(session: FakeSession, wanted: ProgramWanted) -> None:
        session.pump.join(EchoStream(session.pump))
        session.pump.pause_input()

    async with open_host(script=deaf) as host, host.client() as client:
        channel = await client.channel()
        assert await channel.ask(b"shell")
        channel.write(b"x" * (8 << 20))
        await aio(asyncio.sleep, 0)
        await channel.ask(b"keepalive@openssh.com")
        assert sum(len(data) for data, _ in wire(host.supervisor.sessions[0])._recv_buf) == 2 << 20
        assert channel.get_write_buffer_size() == 6 << 20


@pytest.mark.trio
async def test_held_back_input_in_tiny_packets_is_put_together() -> None:
    async with open_host() as host, host.client() as client:
        channel = await client.channel()
        for number in range(3000):
            channel.write(bytes([number % 256]))
        await channel.ask(b"keepalive@openssh.com")
        session = host.supervisor.sessions[0]
        assert len(wire(session)._recv_buf) == 3
        channel.write_eof()
        assert await channel.ask(b"shell")
        await session.seen(OutputEnded)
        await channel.log.closed.wait()
        assert channel.log.stdout == bytes(number % 256 for number in range(3000))


@pytest.mark.trio
async def test_data_waits_in_its_channel_while_keys_are_exchanged() -> None:
    async with open_host(script=say) as host, host.client() as client:
        channel = await client.channel()
        conn = connection(host)
        conn._kex_complete = False  # as it is while a client has begun to rekey and goes no further
        session = host.supervisor.sessions[0]
        session.channel.write(b"y" * 300_000, False)
        assert session.channel.unsent_bytes() == 300_000
        assert conn._deferred_packets == []
        conn._kex_complete = True
        conn._send_deferred_packets()
        assert session.channel.unsent_bytes() == 0
        session.finish(0)
        await channel.log.closed.wait()
        assert len(channel.log.stdout) == 300_000


@pytest.mark.trio
async def test_rekeying_in_the_middle_loses_nothing() -> None:
    data = bytes(range(256)) * 40_000
    async with open_host() as host, host.client(rekey_bytes=1_000_000) as client:
        done = await client.run("cat", input=data)
        assert done.stdout == data


@pytest.mark.trio
async def test_what_arrives_behind_a_slow_login_step_does_not_pile_up() -> None:
    answer, asked = trio.Event(), trio.Event()

    async def slow(hash_: str, password: str) -> bool:
        asked.set()
        await answer.wait()
        return True

    class Flooder(asyncssh.SSHClient):
        def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
            self.conn = conn

        def password_auth_requested(self) -> str:
            flooders.append(self.conn)
            return PASSWORD

    flooders: list[asyncssh.SSHClientConnection] = []
    async with open_host(check=slow) as host, trio.open_nursery() as nursery:

        async def log_in() -> None:
            async with host.client(client_keys=None, client_factory=Flooder) as client:
                assert (await client.run("cat", input=b"in")).stdout == b"in"

        nursery.start_soon(log_in)
        await asked.wait()
        await trio.testing.wait_all_tasks_blocked()
        conn = connection(host)
        handler, conn._recv_handler = conn._recv_handler, lambda: False  # as while an asynchronous step goes on
        for _ in range(100):
            flooders[0].send_packet(MSG_IGNORE, String(CHUNK))
        while not conn._reading_paused:
            await trio.lowlevel.checkpoint()
        assert len(conn._inpbuf) <= overrides.UNREAD_BYTES_MAX + 256 * 1024
        conn._recv_handler = handler
        conn._recv_data()
        answer.set()


@pytest.mark.trio
async def test_a_client_that_asks_and_never_reads_the_answers_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overrides, "UNSENT_BYTES_MAX", 100_000)
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    async with open_host() as host:
        narrow.connect(("127.0.0.1", host.port))
        async with host.client(sock=narrow) as client:
            connection(host)._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)  # type: ignore[union-attr]
            client.conn._transport.pause_reading()
            box = host.supervisor.connections[0]
            while not box.all(Disconnected):
                for _ in range(100):
                    client.conn._send_global_request(b"keepalive@openssh.com", want_reply=True)
                await trio.sleep(0.001)  # more at once would only wait for their turn in its own queue
            assert box.all(Disconnected)[0].why == "the client asks and does not read the answers"


@pytest.mark.trio
async def test_others_have_their_turn_between_the_packets_of_one_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN_PACKETS_MAX", 10)
    async with open_host() as host, host.client() as client:
        conn, counted, most = connection(host), 0, 0
        own = conn._process_global_request

        def count(*packet: Any) -> None:
            nonlocal counted, most
            counted, most = counted + 1, max(most, conn._turn_packets)
            own(*packet)

        conn._packet_handlers = {**conn._packet_handlers, MSG_GLOBAL_REQUEST: lambda _self, *packet: count(*packet)}
        together = bytearray()
        with monkeypatch.context() as patch:
            patch.setattr(client.conn, "_send", together.extend)
            for _ in range(995):
                client.conn._send_global_request(b"keepalive@openssh.com", want_reply=False)
        conn.data_received(bytes(together))
        assert 0 < counted <= 10  # the client puts an IGNORE before each
        kind, _ = await aio(client.conn._make_global_request, b"keepalive@openssh.com")
        assert (kind, counted, most) == (81, 996, 10)


@pytest.mark.trio
async def test_what_a_reset_client_would_still_be_sent_is_not_written(caplog: pytest.LogCaptureFixture) -> None:
    """The program writes on in the same turn of the loop, and asyncio would complain on stderr each time."""
    async with open_host() as host, await trio.open_tcp_stream("127.0.0.1", host.port) as stream:
        await stream.receive_some()
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stream.socket.close()
        for _ in range(20):
            connection(host)._send(b"anyone?")
        await host.supervisor.connections[0].seen(Disconnected)
    assert not caplog.records


@pytest.mark.trio
@pytest.mark.parametrize(("cipher", "ignores"), [("aes128-gcm@openssh.com", False), ("aes128-cbc", True)])
async def test_empty_ignore_packets_only_where_they_hide_something(cipher: str, ignores: bool) -> None:
    seen = 0

    def count(conn: object, pkttype: int, pktid: int, packet: object) -> None:
        nonlocal seen
        seen += 1

    config = settings(ciphers=(cipher,))
    async with open_host(config, script=say) as host, host.client(encryption_algs=[cipher]) as client:
        client.conn._packet_handlers = {**client.conn._packet_handlers, MSG_IGNORE: count}
        await client.run("x")
    assert (seen > 0) == ignores


@pytest.mark.trio
async def test_acks_are_quick_until_the_login_is_through() -> None:
    asked: list[tuple[int, int, int]] = []

    class Recorder:
        def setsockopt(self, level: int, option: int, value: int) -> None:
            asked.append((level, option, value))

    def wrap(self: Connection, transport: asyncio.BaseTransport) -> None:
        original(self, transport)
        self._socket = Recorder()  # type: ignore[assignment]

    original = Connection.connection_made
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "connection_made", wrap)
        async with open_host(script=say) as host, host.client() as client:
            before = len(asked)
            assert set(asked) == {(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)}
            assert before >= 4  # version, key exchange, service, login
            await client.run("x")
            assert len(asked) == before


@pytest.mark.trio
async def test_a_login_builds_no_options_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_host(script=say) as host:
        options = asyncssh.SSHServerConnectionOptions

        async def boom(*args: object, **kwargs: object) -> None:
            raise AssertionError("asyncssh would do this in a thread, per user name")

        monkeypatch.setattr(options, "construct", boom)
        async with host.client() as client:
            await client.run("x")


@pytest.mark.trio
async def test_a_channel_of_tiny_packets_is_refused_and_so_is_the_thousandth(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_host() as host, host.client() as client:
        with pytest.raises(asyncssh.ChannelOpenError, match="too small packets"):
            await client.channel(packet_size=16)
        monkeypatch.setattr(overrides, "CHANNELS_MAX", 2)
        for _ in range(2):
            await client.channel()
        with pytest.raises(asyncssh.ChannelOpenError, match="too many channels"):
            await client.channel()


@pytest.mark.trio
async def test_the_logger_of_the_library_never_writes_a_command_down(caplog: pytest.LogCaptureFixture) -> None:
    async with open_host(script=say) as host, host.client() as client:
        await client.run("secret-command")
    assert "secret" not in caplog.text

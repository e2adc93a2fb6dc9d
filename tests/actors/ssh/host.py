"""A supervisor for the tests of the SSH side: it records every event, and a script stands in for the session actor.

The listener, the connections, the channels and the pump are the real ones.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import asyncssh
import trio
import trio_asyncio

from actors.auth import AuthActor
from actors.login import Client as LoginClient
from actors.login import LoginTransport
from actors.ports import Channel, ConnectionPort, Sink, Transport, Vault
from actors.pump import Pump
from actors.recorder import Recorder
from actors.sources import Outside, Sources, Verify
from actors.ssh.listener import Listener, error_handler, open_listener
from actors.world import World
from fsm.policy import ChannelRefusal
from protocol.auth import LoginBegun
from protocol.base import Event
from protocol.codes import Code
from protocol.ledger import Header
from protocol.session import OutputEnded, ProgramWanted
from protocol.settings import Auth, Settings, Ssh, User

E = TypeVar("E", bound=Event)
PASSWORD = "correct horse"
HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
USER_KEY = asyncssh.generate_private_key("ssh-ed25519")
OFFERS_MAX = 64


class FakeMailbox:
    """A mailbox that keeps everything."""

    def __init__(self, name: str) -> None:
        self.id = name
        self.events: list[Event] = []
        self.offers_max = OFFERS_MAX
        self.on_post: Callable[[Event], None] = lambda event: None
        self._offered = 0
        self._lot = trio.lowlevel.ParkingLot()

    def post(self, event: Event) -> None:
        self.events.append(event)
        self._lot.unpark_all()
        self.on_post(event)

    def offer(self, event: Event) -> bool:
        if self._offered >= self.offers_max:
            return False
        self._offered += 1
        self.post(event)
        return True

    def all(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def seen(self, kind: type[E], count: int = 1) -> E:
        """Wait for the `count`th event of that kind."""
        while len(self.all(kind)) < count:
            await self._lot.park()
        return self.all(kind)[count - 1]


class FakeConnection(FakeMailbox):
    """A connection actor's place."""

    def __init__(self, name: str, settings: Settings) -> None:
        super().__init__(name)
        self.settings = settings
        self.files: dict[str, bytes] = {}


class FakeSession(FakeMailbox):
    """A session actor's place."""

    def __init__(self, name: str, channel: Channel) -> None:
        super().__init__(name)
        self.channel = channel
        self.vault = Vault()
        self.pump = Pump(channel, self.post)

    def finish(self, status: int) -> None:
        self.channel.write_eof()
        self.channel.exit_status(status)
        self.channel.close()


class EchoStream:
    """A program that says back what it reads, and ends at end of file."""

    outlives_output = False

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.paused = False
        self.closed = False

    def write(self, data: bytes | memoryview) -> None:
        self.sink.output(data, False)

    def write_eof(self) -> None:
        self.sink.output_ended("")

    def pause_output(self) -> None:
        self.paused = True
        self.sink.pause_input()

    def resume_output(self) -> None:
        self.paused = False
        self.sink.resume_input()

    def close(self) -> None:
        self.closed = True


Script = Callable[[FakeSession, ProgramWanted], Awaitable[None]]


async def echo(session: FakeSession, wanted: ProgramWanted) -> None:
    """`cat`, or for a program that was not admitted the sentence and 1."""
    if not wanted.admitted:
        session.channel.write(wanted.why.encode() + b"\n", True)
        session.finish(1)
        return
    session.pump.join(EchoStream(session.pump))
    await session.seen(OutputEnded)
    session.finish(0)


async def say(session: FakeSession, wanted: ProgramWanted) -> None:
    """Say the command back on stdout, a word on stderr, end with 7."""
    session.channel.write(session.vault.command or b"shell", False)
    session.channel.write(b"err", True)
    session.finish(7)


class FakeSupervisor:
    def __init__(self, settings: Settings, nursery: trio.Nursery, script: Script, verify: Verify) -> None:
        self.settings = settings
        self.script = script
        self.connections: list[FakeConnection] = []
        self.transports: list[Transport] = []
        self.sessions: list[FakeSession] = []
        self.crashes: list[tuple[str, str]] = []
        self.refusal = ""
        self.turned_away_count = 0
        self._nursery = nursery
        self.said: list[tuple[str, Mapping[str, Any]]] = []
        self._lot = trio.lowlevel.ParkingLot()
        recorder = Recorder(None, trio.current_time, Header(moorage="", fingerprint={}, settings={}), str)
        engine: Any = None
        self.world = World(engine, nursery, recorder, self._say, "test", "test")
        self.world.on_crash = lambda actor: self.crashes.append((actor.id, str(self.said[-1])))
        self.sources = Sources(settings.auth, settings.configserver, Outside(verify=verify))
        self.logins: list[AuthActor] = []

    def _say(self, code: Code, details: Mapping[str, Any]) -> None:
        self.said.append((code.name, details))
        self._lot.unpark_all()

    async def has_said(self, code: str) -> None:
        while code not in {name for name, _ in self.said}:
            await self._lot.park()

    def login_begun(self, connection: ConnectionPort, transport: LoginTransport, version: str) -> AuthActor:
        """The real actor: there is no other way to be let in."""
        remote, auth = connection.id.rpartition(" ")[2], self.settings.auth
        client = LoginClient(connection=f"{len(self.logins):032x}", remote=remote, version=version)
        ledger = self.world.recorder.share()
        id, settings = f"au-{len(self.logins)}", connection.settings
        actor = AuthActor(self.world, id, ledger, {}, transport, client, self.sources, settings)
        seconds = {
            "authorize": auth.authz.webhook.auth_timeout,
            "device": auth.keyboard_interactive.oauth2.oidc.login_timeout,
            "configure": self.settings.configserver.config_timeout,
        }
        begun = LoginBegun(
            connection=connection.id,
            remote=remote,
            authorizes=bool(auth.authz.method),
            configures=bool(self.settings.configserver.url),
            seconds=seconds,
        )
        self.logins.append(actor)
        self.world.spawn(actor, begun)
        return actor

    def connection_made(self, transport: Transport, remote: str) -> FakeConnection:
        box = FakeConnection(f"connection {len(self.connections)} from {remote}", self.settings)
        self.connections.append(box)
        self.transports.append(transport)
        return box

    def session_opened(self, connection: ConnectionPort, channel: Channel) -> FakeSession:
        session = FakeSession(f"session {len(self.sessions)}", channel)
        self.sessions.append(session)
        session.on_post = partial(self._scripted, session)
        return session

    def _scripted(self, session: FakeSession, event: Event) -> None:
        if isinstance(event, ProgramWanted):
            self._nursery.start_soon(self.script, session, event)

    def may_open(self, connection: ConnectionPort) -> ChannelRefusal:
        return ChannelRefusal(self.refusal)

    def turned_away(self) -> None:
        self.turned_away_count += 1

    def crashed(self, connection: FakeMailbox | None, why: str) -> None:
        self.crashes.append((connection.id if connection else "", why))


class Host:
    """An open listener: what a test holds in its hands."""

    def __init__(self, supervisor: FakeSupervisor, listener: Listener) -> None:
        self.supervisor = supervisor
        self.listener = listener
        self.port = listener.addresses[0][1]

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator["Client"]:
        options = {"username": "alice", "client_keys": [USER_KEY], "known_hosts": None, "config": None, **options}
        options = {"agent_path": None, **options}
        where = () if "sock" in options else ("127.0.0.1", self.port)
        conn = await aio(partial(asyncssh.connect, *where, **options))
        try:
            yield Client(conn)
        finally:
            conn.abort()
            with trio.CancelScope(shield=True):
                await aio(conn.wait_closed)


class Client:
    """An asyncssh client from trio."""

    def __init__(self, conn: asyncssh.SSHClientConnection) -> None:
        self.conn = conn

    async def run(self, command: str | None = None, **options: Any) -> asyncssh.SSHCompletedProcess:
        return await aio(partial(self.conn.run, command, encoding=None, **options))

    async def channel(
        self, kind: bytes = b"session", window: int = 1 << 21, packet_size: int = 1 << 15
    ) -> "RawChannel":
        """A channel on which nothing has been asked for yet. asyncssh.ChannelOpenError: refused."""
        channel = RawChannel(self.conn, self.conn._loop, "strict", None, "strict", window, packet_size)
        await aio(channel._open, kind)
        channel._session = channel.log
        channel.resume_reading()
        return channel

    async def start(self, command: str | None = None, **options: Any) -> asyncssh.SSHClientProcess[bytes]:
        return await aio(partial(self.conn.create_process, command, encoding=None, **options))


class ChannelLog(asyncssh.SSHClientSession[bytes]):
    """What a client's channel was told."""

    def __init__(self) -> None:
        self.stdout = b""
        self.stderr = b""
        self.exit: object = None
        self.closed = trio.Event()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if datatype is None:
            self.stdout += data
        else:
            self.stderr += data

    def eof_received(self) -> bool:
        return True

    def exit_status_received(self, status: int) -> None:
        self.exit = status

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self.exit = (signal, core_dumped, msg)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()


class RawChannel(asyncssh.SSHClientChannel[bytes]):
    """Sends any request, and notes the types of the packets that come, in order."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.log = ChannelLog()
        self.packets: list[int] = []

    def process_packet(self, pkttype: int, pktid: int, packet: Any) -> Any:
        self.packets.append(pkttype)
        return super().process_packet(pkttype, pktid, packet)

    async def ask(self, request: bytes, *args: bytes) -> bool:
        """Send a channel request and wait for the answer."""
        return bool(await aio(self._make_request, request, *args))


async def aio(fn: Callable[..., Any], *args: Any) -> Any:
    return await trio_asyncio.aio_as_trio(fn)(*args)


async def check_password(hash_: str, password: str) -> bool:
    return hash_ == "hash of alice" and password == PASSWORD


def settings(**ssh: Any) -> Settings:
    ssh = {"listen": "127.0.0.1:0", "hostkeys": (HOST_KEY.export_private_key().decode(),), **ssh}
    alice = User(authorized_keys=(USER_KEY.export_public_key().decode().strip(),), password_hash="hash of alice")
    return Settings(ssh=Ssh(**ssh), auth=Auth(users={"alice": alice}))


@asynccontextmanager
async def open_host(
    config: Settings | None = None,
    script: Script = echo,
    *,
    check: Verify = check_password,
    crashes: bool = False,
) -> AsyncIterator[Host]:
    """A listener on a port of its own. Unless `crashes`, an error of ours anywhere fails the test at the end."""
    with trio.fail_after(float(os.environ.get("MOORAGE_TEST_SECONDS", "30"))):
        async with trio_asyncio.open_loop() as loop, trio.open_nursery() as nursery:
            supervisor = FakeSupervisor(config or settings(), nursery, script, check)
            on_error = error_handler(supervisor)
            loop.set_exception_handler(lambda _loop, context: on_error(context))
            listener = await aio(open_listener, supervisor, supervisor.settings)
            listener.accept()
            try:
                yield Host(supervisor, listener)
            finally:
                listener.close()
                with trio.CancelScope(shield=True):
                    await supervisor.sources.close()
                nursery.cancel_scope.cancel()
            if not crashes:
                assert supervisor.crashes == []

"""Connections: who comes in, who does not, how one ends, and what an error of ours does."""

from functools import partial

import asyncssh
import pytest
import trio
from asyncssh.packet import String, UInt32
from msgspec.structs import replace

from protocol.base import Event
from protocol.connection import Authenticated, AuthFailed, Disconnected, RequestRefused
from protocol.session import ProgramWanted
from protocol.settings import GUEST_IMAGE, Auth, User
from tests.actors.ssh.host import PASSWORD, USER_KEY, FakeSession, aio, open_host, settings

STRANGER_KEY = asyncssh.generate_private_key("ssh-ed25519")
FINGERPRINT = USER_KEY.get_fingerprint()


@pytest.mark.trio
async def test_a_key_logs_in_and_the_event_names_it() -> None:
    async with open_host() as host, host.client(client_version="Test_1"):
        assert host.supervisor.connections[0].events == [
            Authenticated(
                username="alice",
                method="publickey",
                by=FINGERPRINT,
                client="SSH-2.0-Test_1",
                mode="connection",
                image=GUEST_IMAGE,
            )
        ]
        assert host.supervisor.connections[0].id.startswith("connection 0 from 127.0.0.1:")


@pytest.mark.trio
async def test_a_password_logs_in() -> None:
    async with open_host() as host, host.client(client_keys=None, password=PASSWORD):
        event = await host.supervisor.connections[0].seen(Authenticated)
        assert (event.username, event.method, event.by) == ("alice", "password", "")


@pytest.mark.trio
async def test_keys_and_passwords_turned_down_are_told_and_the_next_one_may_do() -> None:
    async with open_host() as host, host.client(client_keys=[STRANGER_KEY, USER_KEY]):
        failed = host.supervisor.connections[0].all(AuthFailed)
        why = f"key {STRANGER_KEY.get_fingerprint()}: it is not one of this user's"
        assert failed == [AuthFailed(username="alice", method="publickey", why=why)]


@pytest.mark.trio
@pytest.mark.parametrize("username", ["alice", "mallory", ""])
async def test_an_unknown_user_hears_what_a_known_one_hears(username: str) -> None:
    async with open_host() as host:
        with pytest.raises(asyncssh.PermissionDenied, match="Permission denied for user"):
            async with host.client(username=username, client_keys=[STRANGER_KEY], password="wrong"):
                pass
        events: list[Event] = host.supervisor.connections[0].events
        failed = [event for event in events if isinstance(event, AuthFailed)]
        assert [event.method for event in failed] == ["publickey", "password"]
        assert all(event.username == username for event in failed)
        if username != "alice":
            assert {event.why for event in failed} == {"there is no such user"}


@pytest.mark.trio
@pytest.mark.parametrize("username", ["alice", "mallory", "nobody-with-a-password"])
async def test_a_password_of_nobody_is_checked_against_somebodys_hash(username: str) -> None:
    asked: list[tuple[str, str]] = []

    async def check(hash_: str, password: str) -> bool:
        asked.append((hash_, password))
        return True

    config = settings()
    users = {
        **config.auth.users,
        "nobody-with-a-password": User(authorized_keys=config.auth.users["alice"].authorized_keys),
    }
    config = replace(config, auth=Auth(users=users))
    async with open_host(config, check=check) as host:
        try:
            async with host.client(username=username, client_keys=None, password="x"):
                assert username == "alice"
        except asyncssh.PermissionDenied:
            assert username != "alice"
    assert asked == [("hash of alice", "x")]


@pytest.mark.trio
@pytest.mark.parametrize(
    ("user", "methods"),
    [
        (User(authorized_keys=(USER_KEY.export_public_key().decode(),)), ["publickey"]),
        (User(password_hash="hash of alice"), ["password"]),
    ],
)
async def test_only_what_is_configured_for_anybody_is_offered(user: User, methods: list[str]) -> None:
    config = replace(settings(), auth=Auth(users={"bob": user}))
    async with open_host(config) as host:
        for username in ("bob", "mallory"):
            ask = partial(asyncssh.get_server_auth_methods, "127.0.0.1", host.port, username=username, config=None)
            offered = await aio(ask)
            assert list(offered) == methods


@pytest.mark.trio
async def test_too_many_tries_end_the_connection() -> None:
    keys = [asyncssh.generate_private_key("ssh-ed25519") for _ in range(5)]
    async with open_host(settings(max_auth_tries=3)) as host:
        with pytest.raises(asyncssh.ProtocolError, match="Too many authentication failures"):
            async with host.client(client_keys=keys):
                pass
        box = host.supervisor.connections[0]
        assert (await box.seen(Disconnected)).why == "Too many authentication failures"
        assert len(box.all(AuthFailed)) == 3


@pytest.mark.trio
async def test_a_flood_of_passwords_is_cut_before_they_are_answered() -> None:
    """Each request sent before the last is answered replaces it, and would otherwise be free."""
    checks = 0

    async def check(hash_: str, password: str) -> bool:
        nonlocal checks
        checks += 1
        await trio.sleep_forever()
        return False

    class Flooder(asyncssh.SSHClient):
        def password_auth_requested(self) -> str:
            for _ in range(20):
                self.conn.send_packet(
                    50, String("alice"), String("ssh-connection"), String("password"), b"\0", String("guess")
                )
            return "guess"

        def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
            self.conn = conn

    async with open_host(settings(max_auth_tries=3), check=check) as host:
        with pytest.raises(asyncssh.ProtocolError, match="Too many authentication failures"):
            async with host.client(client_keys=None, client_factory=Flooder):
                pass
        assert checks <= 3


@pytest.mark.trio
async def test_banner_is_shown_before_the_login() -> None:
    shown: list[str] = []

    class Reader(asyncssh.SSHClient):
        def auth_banner_received(self, msg: str, lang: str) -> None:
            shown.append(msg)

    async with open_host(settings(banner="Authorised people only")) as host, host.client(client_factory=Reader):
        pass
    assert shown == ["Authorised people only\n"]


@pytest.mark.trio
async def test_an_orderly_end_has_no_why_and_a_lost_one_has() -> None:
    async with open_host() as host:
        async with host.client() as client:
            client.conn.close()
            assert (await host.supervisor.connections[0].seen(Disconnected)).why == ""
        async with host.client() as client:
            client.conn.abort()
            assert (await host.supervisor.connections[1].seen(Disconnected)).why == "Connection lost"


@pytest.mark.trio
async def test_close_tells_the_client_why_and_abort_does_not() -> None:
    lost: list[Exception | None] = []
    gone = trio.Event()

    class Watcher(asyncssh.SSHClient):
        def connection_lost(self, exc: Exception | None) -> None:
            lost.append(exc)
            gone.set()

    async with open_host() as host:
        async with host.client(client_factory=Watcher):
            host.supervisor.transports[0].close("the server is shutting down")
            await gone.wait()
            assert (await host.supervisor.connections[0].seen(Disconnected)).why == ""
        gone = trio.Event()
        async with host.client(client_factory=Watcher):
            host.supervisor.transports[1].abort()
            await gone.wait()
            host.supervisor.transports[1].close("again")
            host.supervisor.transports[1].abort()
    assert lost[0] is None  # SSH_DISCONNECT_BY_APPLICATION
    assert isinstance(lost[1], asyncssh.ConnectionLost)


@pytest.mark.trio
async def test_a_silent_login_stays_until_its_actor_ends_it() -> None:
    async with open_host() as host:
        async with await trio.open_tcp_stream("127.0.0.1", host.port) as stream:
            assert await stream.receive_some() == b"SSH-2.0-Moorage\r\n"
            assert host.supervisor.connections[0].events == []
            host.supervisor.transports[0].abort()
            assert await stream.receive_some() == b""
        await host.supervisor.connections[0].seen(Disconnected)
        assert host.listener.statistics() == {"connections": 0, "startups": 0, "turned_away": 0}


@pytest.mark.trio
async def test_connections_above_max_startups_are_closed_at_once() -> None:
    async with open_host(settings(max_startups=2)) as host, host.client(), host.client():  # in, so they do not count
        waiting = [await trio.open_tcp_stream("127.0.0.1", host.port) for _ in range(3)]
        assert await waiting[0].receive_some() == await waiting[1].receive_some() == b"SSH-2.0-Moorage\r\n"
        assert (await waiting[2].receive_some()).startswith(b"Too many connections")
        assert host.listener.statistics() == {"connections": 4, "startups": 2, "turned_away": 1}
        await waiting[0].aclose()
        await host.supervisor.connections[2].seen(Disconnected)
        async with host.client():
            assert len(host.supervisor.connections) == 5
        for stream in waiting:
            await stream.aclose()


@pytest.mark.trio
async def test_after_stop_accepting_connections_go_on() -> None:
    async with open_host() as host, host.client() as client:
        host.listener.stop_accepting()
        with pytest.raises(OSError):
            await trio.open_tcp_stream("127.0.0.1", host.port)
        assert (await client.run("cat", input=b"on")).stdout == b"on"
        host.listener.close()
        await host.supervisor.connections[0].seen(Disconnected)


@pytest.mark.trio
@pytest.mark.parametrize(
    ("request_name", "payload"),
    [
        (b"tcpip-forward", String("") + UInt32(0)),
        (b"streamlocal-forward@openssh.com", String("/tmp/x")),
        (b"hostkeys-prove-00@openssh.com", String("key")),
        (b"\xff?", b""),
    ],
)
async def test_a_global_request_that_is_not_served_is_refused(request_name: bytes, payload: bytes) -> None:
    async with open_host() as host, host.client() as client:
        kind, _ = await aio(client.conn._make_global_request, request_name, payload)
        assert kind == 82  # SSH_MSG_REQUEST_FAILURE
        refused = host.supervisor.connections[0].all(RequestRefused)
        assert [event.what for event in refused] == [request_name.decode("ascii", "backslashreplace")]
        assert (await client.run("cat", input=b"on")).stdout == b"on"


@pytest.mark.trio
async def test_a_keepalive_of_the_client_is_answered() -> None:
    async with open_host() as host, host.client() as client:
        kind, _ = await aio(client.conn._make_global_request, b"keepalive@openssh.com")
        assert kind == 81
        assert len(host.supervisor.connections[0].events) == 1


@pytest.mark.trio
@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (b"direct-tcpip", asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED),
        (b"direct-streamlocal@openssh.com", asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED),
        (b"x11", asyncssh.OPEN_UNKNOWN_CHANNEL_TYPE),
        (b"\xff\xfe", asyncssh.OPEN_UNKNOWN_CHANNEL_TYPE),
    ],
)
async def test_a_channel_that_is_no_session_is_refused(kind: bytes, code: int) -> None:
    async with open_host() as host, host.client() as client:
        with pytest.raises(asyncssh.ChannelOpenError) as refusal:
            await client.channel(kind)
        assert refusal.value.code == code
        assert len(host.supervisor.connections[0].all(RequestRefused)) == 1
        assert host.supervisor.sessions == []


@pytest.mark.trio
async def test_a_client_that_wants_no_more_sessions_gets_none() -> None:
    async with open_host() as host, host.client() as client:
        await aio(client.conn._make_global_request, b"no-more-sessions@openssh.com")
        with pytest.raises(asyncssh.ChannelOpenError, match="wants no more sessions"):
            await client.channel()


@pytest.mark.trio
async def test_an_error_of_ours_in_a_callback_ends_that_connection_only() -> None:
    async with open_host(crashes=True) as host, host.client() as other, host.client() as client:

        def broken(event: Event) -> None:
            raise RuntimeError("a bug of ours")

        channel = await client.channel()
        host.supervisor.sessions[0].on_post = broken
        with pytest.raises(asyncssh.ConnectionLost):
            await channel.ask(b"exec", String("x"))
        assert len(host.supervisor.crashes) >= 1
        name, why = host.supervisor.crashes[0]
        assert name == host.supervisor.connections[1].id
        assert why.startswith("RuntimeError: a bug of ours at ") and "broken" in why
        await host.supervisor.connections[1].seen(Disconnected)
        assert (await other.run("cat", input=b"on")).stdout == b"on"


@pytest.mark.trio
async def test_an_error_of_ours_while_a_channel_ends_is_told_too() -> None:
    async def nothing(session: FakeSession, wanted: ProgramWanted) -> None: ...

    async with open_host(script=nothing, crashes=True) as host, host.client() as client:
        await client.channel()

        def broken(event: Event) -> None:
            raise RuntimeError("a bug at the end")

        host.supervisor.sessions[0].on_post = broken
        client.conn.abort()
        await host.supervisor.connections[0].seen(Disconnected)
        assert "a bug at the end" in host.supervisor.crashes[0][1]


@pytest.mark.trio
async def test_what_nobody_caught_in_the_loop_is_blamed_on_its_connection() -> None:
    async with open_host(crashes=True) as host, host.client() as other, host.client() as client:

        def broken(data: bytes) -> None:
            raise ValueError("in the protocol")

        host.supervisor.transports[1]._conn.data_received = broken  # type: ignore[attr-defined]
        client.conn.send_debug("anything")
        await host.supervisor.connections[1].seen(Disconnected)
        name, why = host.supervisor.crashes[0]
        assert name == host.supervisor.connections[1].id
        assert "in the protocol" in why
        assert (await other.run("cat", input=b"on")).stdout == b"on"

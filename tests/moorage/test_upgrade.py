"""One daemon in the place of another, in one process and on one fake engine: nobody is refused, nobody is cut off."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import trio
from msgspec.structs import replace

from actors.bridge import aio, open_loop
from actors.control import ask
from moorage.cannot_serve import CannotServe
from moorage.daemon import Server, serve
from moorage.testing import FakeEngine
from protocol.codes import Code
from protocol.control import TAKE_OVER, UPGRADE, Successor, UpgradeWish
from protocol.settings import GUEST_IMAGE, Auth, Docker, Execution, Pool, Settings, Ssh, User

pytestmark = pytest.mark.trio
SECONDS_MAX = 120.0
LOGINS_PER_S = 50  # where the machine can do it; on a slower one there are AT_ONCE_MAX at any time
AT_ONCE_MAX = 50
UPGRADES = 4
NEVER = ("MOORAGE_REFUSED", "MOORAGE_ACTOR_CRASHED", "MOORAGE_SHIM_FAILED", "MOORAGE_ORPHAN_FOUND",
         "MOORAGE_STOPPED_UNCLEAN", "SSH_HANDSHAKE_FAILED")  # fmt: skip


class Stage:
    """One engine, one state folder, and daemons on it that come and go."""

    def __init__(self, folder: Path, engine: FakeEngine) -> None:
        self.folder, self.engine = folder, engine
        self.said: list[tuple[str, Any]] = []
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(folder / "user")
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(folder / "host")
        line = key.export_public_key().decode().strip()
        self.settings = Settings(
            ssh=Ssh(listen="127.0.0.1:0", hostkeys=(str(folder / "host"),)),
            docker=Docker(execution=Execution(container={"Image": GUEST_IMAGE}), pool=Pool(size=2)),
            auth=Auth(users={"demo": User(authorized_keys=(line,))}),
            state=str(folder / "var"),
        )

    def daemon(self, take_over: str | None = None, settings: Settings | None = None) -> Any:
        return serve(settings or self.settings, say=self._say, engine=self.engine, take_over=take_over)

    def _say(self, code: Code, details: Any) -> None:
        self.said.append((code.name, details))

    def count(self, name: str) -> int:
        return sum(said == name for said, _ in self.said)

    async def connect(self, port: int) -> asyncssh.SSHClientConnection:
        keys = [str(self.folder / "user")]
        return await asyncssh.connect(
            "127.0.0.1", port, username="demo", client_keys=keys, known_hosts=None, config=None, agent_path=None
        )

    async def log_in(self, port: int) -> None:
        """From the connection to the exit status."""

        async def login() -> tuple[int | None, bytes]:
            async with await self.connect(port) as conn:
                done = await conn.run("echo hello; exit 7", encoding=None)
                return done.exit_status, done.stdout

        assert await aio(login) == (7, b"hello\n")

    def control(self, server: Server) -> Path:
        return self.folder / "var" / "boots" / f"{server.supervisor.world.boot}.sock"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    with trio.fail_after(SECONDS_MAX):
        async with FakeEngine.open() as engine, open_loop(lambda context: None):
            made = Stage(tmp_path, engine)
            yield made
            assert not engine.alive, "containers were left"
            assert not list((tmp_path / "var" / "boots").iterdir()), "locks or sockets were left"
            assert [line for line in made.said if line[0] in NEVER] == []


async def _until(server: Server, state: str) -> None:
    while server.statistics()["state"] != state:  # noqa: ASYNC110  # a state tells nobody that it has come
        await trio.sleep(0.01)


async def test_fifty_logins_a_second_over_several_upgrades(stage: Stage) -> None:
    """Each login gets its program and its status, whichever daemon has it. None sweeps what another one serves."""
    logins, over, limit = 0, trio.Event(), trio.Semaphore(AT_ONCE_MAX)

    async def live(take_over: str | None, *, task_status: trio.TaskStatus[Server]) -> None:
        async with stage.daemon(take_over) as server:
            task_status.started(server)
            await server.wait_stopped()

    async def login() -> None:
        await stage.log_in(port)
        limit.release()

    async def load() -> None:
        nonlocal logins
        async with trio.open_nursery() as clients:
            while not over.is_set():
                await limit.acquire()
                clients.start_soon(login)
                logins += 1
                await trio.sleep(1 / LOGINS_PER_S)

    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(live, None)
        port = server.port
        async with trio.open_nursery() as customers:
            customers.start_soon(load)
            for _ in range(UPGRADES):
                await trio.sleep(1.0)
                old, server = server, await nursery.start(live, "")
                assert server.port == port
                await old.wait_stopped()
            over.set()
        server.shutdown("TERM")
    assert stage.count("MOORAGE_UPGRADED") == UPGRADES
    assert stage.count("SSH_CONNECTED") == stage.count("SSH_AUTH_SUCCESSFUL") == stage.count("SSH_EXIT") == logins


async def test_what_is_there_is_served_to_its_end(stage: Stage) -> None:
    """A connection of the old one may even open more sessions; the old one stops when it ends."""
    async with stage.daemon() as old:
        conn = await aio(stage.connect, old.port)
        process = await aio(lambda: conn.create_process("cat; exit 5", encoding=None))
        async with stage.daemon(take_over="") as new:
            await _until(old, "RETIRING")
            await _until(new, "SERVING")
            await stage.log_in(old.port)
            assert (await aio(lambda: conn.run("exit 3"))).exit_status == 3
            process.stdin.write_eof()
            assert (await aio(process.wait)).exit_status == 5
            assert old.statistics()["state"] == "RETIRING", "its connection is still there"
            conn.close()
            await old.wait_stopped()
            await stage.log_in(new.port)


async def test_retired_and_told_to_stop_it_drains(stage: Stage) -> None:
    async with stage.daemon() as old:
        conn = await aio(stage.connect, old.port)
        process = await aio(lambda: conn.create_process("cat; exit 5", encoding=None))
        async with stage.daemon(take_over="") as new:
            old.shutdown("TERM")
            await _until(old, "DRAINING")
            old.shutdown("TERM")
            await old.wait_stopped()
            assert stage.count("MOORAGE_TERMINATING") >= 1
            await aio(conn.wait_closed)
            assert process.exit_status != 5
            await stage.log_in(new.port)


async def test_one_that_cannot_serve_is_told_of_and_the_old_one_goes_on(stage: Stage) -> None:
    """A port that somebody else has: it fails between the sockets and its being ready."""
    async with stage.daemon() as server:
        taken = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = taken[0].socket.getsockname()[1]
        elsewhere = replace(stage.settings, ssh=replace(stage.settings.ssh, listen=f"127.0.0.1:{port}"))
        with pytest.raises(CannotServe, match="SSH_START_FAILED"):
            async with stage.daemon(take_over="", settings=elsewhere):
                raise AssertionError("it must not serve")
        await _until(server, "SERVING")
        (details,) = [details for name, details in stage.said if name == "MOORAGE_UPGRADE_FAILED"]
        assert f"cannot listen on 127.0.0.1:{port}" in details["why"]
        await stage.log_in(server.port)
        await taken[0].aclose()
        async with stage.daemon(take_over="", settings=elsewhere) as new:  # another address: its own socket
            assert new.port == port
            await stage.log_in(port)
            await server.wait_stopped()


async def test_nobody_to_take_over_from(stage: Stage) -> None:
    async with stage.daemon(take_over="") as server:
        await stage.log_in(server.port)
    with pytest.raises(CannotServe, match="MOORAGE_UPGRADE_FAILED: the process that asked for the upgrade is gone"):
        async with stage.daemon(take_over="0000.1"):
            raise AssertionError("it must not serve")


@asynccontextmanager
async def _half_way(stage: Stage, server: Server) -> AsyncIterator[trio.SocketStream]:
    """A successor that has the sockets and says nothing more."""
    stream = await trio.open_unix_socket(str(stage.control(server)))
    async with stream:
        await stream.send_all(TAKE_OVER.encode() + b' {"boot": "b", "pid": 1, "version": "9"}\n')
        assert b'"error":""' in await stream.receive_some()
        yield stream


async def test_one_at_a_time(stage: Stage) -> None:
    async with stage.daemon() as server:
        async with _half_way(stage, server):
            us = Successor(boot="b", pid=2, version="9")
            assert (await ask(stage.control(server), TAKE_OVER, us))["error"] == "another upgrade is under way"
            wish = UpgradeWish(argv=("/bin/false",))
            assert (await ask(stage.control(server), UPGRADE, wish))["error"] == "another upgrade is under way"
            await stage.log_in(server.port)
        await _until(server, "SERVING")
        (details,) = [details for name, details in stage.said if name == "MOORAGE_UPGRADE_FAILED"]
        assert details["why"] == "it has hung up before it was ready"
        await stage.log_in(server.port)


async def test_told_to_stop_in_the_middle_it_stops_alone(stage: Stage) -> None:
    async with stage.daemon() as server, _half_way(stage, server) as stream:
        server.shutdown("TERM")
        assert b'"error":"the server is shutting down"' in await stream.receive_some()
        await server.wait_stopped()


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (("/bin/false",), "the new process ended before it was ready"),
        (("/nonexistent/moorage", "serve"), "the new process ended before it was ready"),
    ],
)
async def test_a_command_that_ends_at_once(stage: Stage, argv: tuple[str, ...], why: str) -> None:
    async with stage.daemon() as server:
        answer = await ask(stage.control(server), UPGRADE, UpgradeWish(argv=argv), SECONDS_MAX)
        assert answer["error"].startswith(why)
        await stage.log_in(server.port)


async def test_a_command_that_has_ended_before_we_look(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def start_and_bury(argv: Sequence[str], more: Mapping[str, str]) -> int:
        child = await trio.lowlevel.open_process(["/bin/true"])
        await child.wait()
        return child.pid

    monkeypatch.setattr("actors.upgrade.start_process", start_and_bury)
    async with stage.daemon() as server:
        answer = await ask(stage.control(server), UPGRADE, UpgradeWish(argv=("/bin/true",)), SECONDS_MAX)
        assert answer["error"].startswith("the new process ended before it was ready")
        await stage.log_in(server.port)


async def test_junk_is_answered(stage: Stage) -> None:
    async with stage.daemon() as server:
        for question in (UPGRADE, TAKE_OVER):
            assert "error" in await ask(stage.control(server), question)
            assert "error" in await ask(stage.control(server), question, {"argv": []})
        late = Successor(boot="b", pid=2, version="9", attempt="b.77")
        assert (await ask(stage.control(server), TAKE_OVER, late))["error"] == "that attempt is over"
        await stage.log_in(server.port)

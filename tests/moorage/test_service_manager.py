"""sd_notify, the watchdog and LISTEN_FDS, with a real datagram socket in the manager's place."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import pytest
import trio

from actors.bridge import loop_turn, open_loop
from moorage.service_manager import ServiceManager, inherited_sockets
from protocol import codes

HOME = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.trio
SECONDS_MAX = 60.0
# It makes descriptor 3 of the socket that it is given, and becomes the daemon.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="ssh")
os.execv(sys.executable, [sys.executable, "-m", "moorage", *sys.argv[2:]])
"""


class Manager:
    """Reads what it is told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.told: list[str] = []
        self._socket = trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    async def open(self) -> None:
        await self._socket.bind(str(self.path))

    async def until(self, pattern: str) -> re.Match[str]:
        """The first datagram from now on that has it."""
        with trio.fail_after(SECONDS_MAX):
            while True:
                self.told.append((await self._socket.recv(4096)).decode())
                if found := re.search(pattern, self.told[-1], re.MULTILINE):
                    return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncIterator[Manager]:
    made = Manager(tmp_path / "notify")
    await made.open()
    yield made
    made.close()


def config(folder: Path, listen: str = "127.0.0.1:0") -> Path:
    for name in ("host_key", "user_key"):
        if not (folder / name).exists():
            key = asyncssh.generate_private_key("ssh-ed25519")
            key.write_private_key(str(folder / name))
            key.write_public_key(str(folder / f"{name}.pub"))
    settings = {
        "ssh": {"listen": listen, "hostkeys": ["host_key"]},
        "log": {"destination": "file", "file": str(folder / "log")},
        "docker": {"execution": {"transport": "exec"}},
        "auth": {"users": {"demo": {"authorizedKeys": ["user_key.pub"]}}},
        "state": "state",
    }
    path = folder / "config.yaml"
    path.write_text(json.dumps(settings))
    return path


@asynccontextmanager
async def daemon(command: list[str], environment: Mapping[str, str], **more: object) -> AsyncIterator[trio.Process]:
    """A process, killed at the end of the block if it still runs."""
    env = {**os.environ, "PYTHONPATH": str(HOME), **environment}
    process = await trio.lowlevel.open_process(command, stdin=subprocess.DEVNULL, env=env, **more)
    try:
        yield process
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


def serve(path: Path) -> list[str]:
    return [sys.executable, "-m", "moorage", "serve", "--config", str(path)]


@pytest.mark.engine
async def test_a_life_as_its_manager_hears_of_it(manager: Manager, tmp_path: Path, dockerd: str) -> None:
    """Ready, alive, reloaded, replaced by a new main process, and that one's end."""
    path = config(tmp_path)
    told = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "1000000"}
    async with daemon(serve(path), told) as process:
        await manager.until("^READY=1$")
        await manager.until("^WATCHDOG=1$")
        process.send_signal(signal.SIGHUP)
        await manager.until(r"^RELOADING=1\nMONOTONIC_USEC=\d+$")
        await manager.until("^READY=1$")
        upgrade = [sys.executable, "-m", "moorage", "upgrade", "--config", str(path)]
        async with daemon(upgrade, {}) as upgrading:
            new = int((await manager.until(r"^MAINPID=(\d+)$"))[1])
            assert new != process.pid
            manager.told.clear()
            await manager.until("^READY=1$")
            assert "STOPPING=1" not in "".join(manager.told), "the service goes on"
            assert await upgrading.wait() == 0
        assert await process.wait() == 0
        await manager.until("^WATCHDOG=1$")
        os.kill(new, signal.SIGTERM)
        await manager.until("^STOPPING=1$")
    with trio.fail_after(SECONDS_MAX):
        while list((tmp_path / "state" / "boots").iterdir()):  # noqa: ASYNC110  # it is nobody's child
            await trio.sleep(0.05)


async def test_the_manager_is_not_told_that_a_loop_is_alive_that_hangs(manager: Manager) -> None:
    it = ServiceManager({"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "60000"})
    answers = True

    async def prove_alive() -> None:
        if not answers:
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(it.watch, prove_alive)
        await manager.until("^WATCHDOG=1$")
        answers = False
        with trio.move_on_after(0.3):
            while True:
                await manager.until("^WATCHDOG=1$")
        manager.told.clear()
        with trio.move_on_after(0.3):
            await manager.until("^WATCHDOG=1$")
        assert manager.told == []
        answers = True
        await manager.until("^WATCHDOG=1$")
        nursery.cancel_scope.cancel()


async def test_a_turn_of_the_loop_is_waited_for_from_outside_of_it() -> None:
    """Not longer than the loop lives: one that has ended takes no turns."""
    async with trio.open_nursery() as nursery:

        async def live(*, task_status: trio.TaskStatus[Callable[[], Awaitable[None]]]) -> None:
            async with open_loop(lambda context: None):
                task_status.started(loop_turn())
                await trio.sleep_forever()

        turn = await nursery.start(live)
        with trio.fail_after(SECONDS_MAX):
            await turn()
        nursery.cancel_scope.cancel()
    with pytest.raises(RuntimeError):
        await turn()


async def test_who_is_not_told_to_notify_does_not(tmp_path: Path) -> None:
    ServiceManager({}).notify("READY=1")
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).notify("READY=1")
    for environment in (
        {},
        {"WATCHDOG_USEC": "1000"},
        {"NOTIFY_SOCKET": "x", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"},
    ):
        with trio.fail_after(5):
            await ServiceManager(environment).watch(trio.sleep_forever)


async def test_an_abstract_address(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        name = f"moorage-test-{os.getpid()}"
        listening.bind(f"\0{name}")
        it = ServiceManager({"NOTIFY_SOCKET": f"@{name}"})
        said: list[str] = []
        say = it.told(lambda code, details: said.append(code.name))
        say(codes.MOORAGE_READY, {})
        assert listening.recv(100) == b"READY=1\nSTATUS=serving"
        say(codes.MOORAGE_UPGRADED, {"pid": 77})
        assert listening.recv(100) == b"MAINPID=77"
        say(codes.MOORAGE_DRAINING, {})
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.recv(100)
        assert said == ["MOORAGE_READY", "MOORAGE_UPGRADED", "MOORAGE_DRAINING"]


@pytest.mark.engine
async def test_the_managers_socket_is_used(manager: Manager, tmp_path: Path, dockerd: str) -> None:
    """And handed on to a successor, whatever `ssh.listen` says: it never closes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port, number = listening.getsockname()[1], listening.fileno()
        path = config(tmp_path, "127.0.0.1:1")
        command = [sys.executable, "-c", ACTIVATE, str(number), "serve", "--config", str(path)]
        async with daemon(command, {"NOTIFY_SOCKET": str(manager.path)}, pass_fds=[number]) as process:
            await manager.until("^READY=1$")
            assert await _banner(port) == b"SSH-2.0-"
            async with daemon([sys.executable, "-m", "moorage", "upgrade", "--config", str(path)], {}) as upgrading:
                assert await upgrading.wait() == 0
                new = int((await manager.until(r"^MAINPID=(\d+)$"))[1])
            assert await process.wait() == 0
            assert await _banner(port) == b"SSH-2.0-"
            os.kill(new, signal.SIGTERM)
            await manager.until("^STOPPING=1$")


async def _banner(port: int) -> bytes:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        return bytes(await stream.receive_some(8))


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
async def test_a_socket_of_another_kind_is_refused(kind: socket.SocketKind) -> None:
    """A datagram socket, and one that does not listen."""
    with socket.socket(socket.AF_INET, kind) as wrong:
        code = f"""
import os
os.dup2({wrong.fileno()}, 3)
from moorage.cannot_serve import CannotServe
from moorage.service_manager import inherited_sockets
try:
    inherited_sockets({{"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}})
except CannotServe as error:
    print(error)
"""
        env = {**os.environ, "PYTHONPATH": str(HOME)}
        done = await trio.run_process(
            [sys.executable, "-c", code], pass_fds=[wrong.fileno()], env=env, capture_stdout=True
        )
    assert done.stdout == b"SSH_START_FAILED: descriptor 3 is no TCP socket that listens\n"


async def test_sockets_for_another_process_are_not_taken() -> None:
    assert inherited_sockets({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == []
    assert inherited_sockets({}) == []

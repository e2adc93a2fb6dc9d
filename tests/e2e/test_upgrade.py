"""`moorage upgrade` as an operator calls it: processes, the real engine and OpenSSH's client."""

import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from tests.e2e import outside
from tests.e2e.harness import USER, Done
from tests.e2e.process import HOME, Served, served
from tests.e2e.runs import Setup
from tests.e2e.test_process import OPTIONS, gone, session

pytestmark = [pytest.mark.trio, pytest.mark.engine, pytest.mark.openssh]
LOGINS_PER_S = 3
AT_ONCE_MAX = 6
BAD = ("MOORAGE_REFUSED", "MOORAGE_ACTOR_CRASHED", "MOORAGE_SHIM_FAILED", "MOORAGE_ORPHAN_FOUND",
       "MOORAGE_STOPPED_UNCLEAN", "MOORAGE_CONTROL_FAILED")  # fmt: skip


async def moorage(setup: Setup, *args: str) -> Done:
    command = [sys.executable, "-m", "moorage", *args, "--config", str(setup.folder / "config.yaml")]
    env = {**os.environ, "PYTHONPATH": str(HOME)}
    done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False, env=env)
    return Done(done.returncode, done.stdout, done.stderr)


async def status(setup: Setup) -> dict[int, dict[str, Any]]:
    """What each daemon says of itself, by its pid."""
    done = await moorage(setup, "status", "--format", "json")
    return {one["pid"]: one for one in json.loads(done.out)} if done.status == 0 else {}


async def serving(setup: Setup) -> int:
    """The pid of the one that accepts."""
    (pid,) = [pid for pid, one in (await status(setup)).items() if one["state"] == "SERVING"]
    return pid


def log_in(setup: Setup, server: Served) -> list[str]:
    flags = [flag for option in OPTIONS for flag in ("-o", option)]
    args = ["ssh", "-F", "none", "-i", str(setup.folder / "user_key"), "-p", str(server.port), *flags]
    return [*args, f"{USER}@127.0.0.1", "echo hello; exit 7"]


@asynccontextmanager
async def ending(setup: Setup) -> AsyncIterator[None]:
    """Whatever came to serve is told to stop, and has stopped at the end of the block."""
    try:
        yield
        with trio.fail_after(60):
            while living := await status(setup):
                for pid, one in living.items():
                    if one["state"] == "SERVING":
                        os.kill(pid, signal.SIGTERM)
                await trio.sleep(0.1)
    finally:
        with trio.CancelScope(shield=True):
            for pid in await status(setup):
                os.kill(pid, signal.SIGKILL)


async def test_the_new_one_serves_and_the_old_one_ends_what_it_has(setup: Setup) -> None:
    async with served(setup.folder, setup.image) as server, ending(setup):
        old = server.process.pid
        async with session(setup, server, "read line; exit 6") as client:
            instance = (setup.folder / "state" / "instance").read_text().strip()
            (name,) = outside.names({"moorage.instance": instance})
            done = await moorage(setup, "upgrade")
            new = await serving(setup)
            assert done.status == 0, done.err
            assert f"(pid {new}, version".encode() in done.out and f"(pid {old}, version".encode() in done.out
            assert (await status(setup))[old]["state"] == "RETIRING"
            assert b"(pid " in (await moorage(setup, "status")).out
            assert (await trio.run_process(log_in(setup, server), check=False, capture_stdout=True)).returncode == 7
            assert outside.is_running(name), "it is the old one's, which lives"
            assert client.stdin is not None
            await client.stdin.send_all(b"go on\n")
            assert await client.wait() == 6
        with trio.fail_after(30):
            assert await server.process.wait() == 0
        await gone({name})
        assert (await trio.run_process(log_in(setup, server), check=False, capture_stdout=True)).returncode == 7
    assert not outside.names({"moorage.instance": instance})
    assert [line for line in server.said if line["code"] in BAD] == []


async def test_one_that_cannot_start_is_told_of(setup: Setup) -> None:
    """Its configuration cannot be read; it finds no engine. The old one serves on both times."""
    async with served(setup.folder, setup.image) as server, ending(setup):
        path = setup.folder / "config.yaml"
        good = path.read_text()
        path.write_text(good.replace('"ssh"', '"shh"'))
        done = await moorage(setup, "upgrade")
        assert done.status != 0 and b"shh" in done.err
        nowhere = {"connection": {"host": f"unix://{setup.folder}/nowhere.sock"}}
        path.write_text(json.dumps({**json.loads(good), "docker": {**json.loads(good)["docker"], **nowhere}}))
        done = await moorage(setup, "upgrade")
        assert done.status == 1
        assert done.err.startswith(b"moorage: MOORAGE_UPGRADE_FAILED: MOORAGE_ENGINE_UNREACHABLE: "), done.err
        assert f"(pid {server.process.pid}, version".encode() in done.err and done.err.endswith(b" serves on\n")
        path.write_text(good)
        assert await serving(setup) == server.process.pid
        assert (await trio.run_process(log_in(setup, server), check=False, capture_stdout=True)).returncode == 7
    assert (await moorage(setup, "upgrade")).err.startswith(b"moorage: no daemon serves on ")


@pytest.mark.slow
async def test_three_logins_a_second_over_several_upgrades(setup: Setup) -> None:
    """Not one is refused, not one is cut off, and what lives through all upgrades keeps its container."""
    logins: list[tuple[int, bytes, bytes]] = []
    over, limit = trio.Event(), trio.Semaphore(AT_ONCE_MAX)

    async def login() -> None:
        done = await trio.run_process(log_in(setup, server), check=False, capture_stdout=True, capture_stderr=True)
        logins.append((done.returncode, done.stdout, done.stderr))
        limit.release()

    async def load() -> None:
        async with trio.open_nursery() as clients:
            while not over.is_set():
                await limit.acquire()
                clients.start_soon(login)
                await trio.sleep(1 / LOGINS_PER_S)

    async with (
        served(setup.folder, setup.image, {}, kill=5) as server,
        ending(setup),
        session(setup, server, "read line; exit 6") as first,
    ):
        instance = (setup.folder / "state" / "instance").read_text().strip()
        (name,) = outside.names({"moorage.instance": instance})
        async with trio.open_nursery() as customers:
            customers.start_soon(load)
            for _ in range(5):
                await trio.sleep(3)
                done = await moorage(setup, "upgrade")
                assert done.status == 0, done.err
            await trio.sleep(3)
            over.set()
        assert [one for one in logins if one != (7, b"hello\n", b"")] == []
        assert outside.is_running(name)
        assert (await status(setup))[server.process.pid]["state"] == "RETIRING"
        assert first.stdin is not None
        await first.stdin.send_all(b"go on\n")
        assert await first.wait() == 6
    assert not outside.names({"moorage.instance": instance})
    assert len(logins) > 5
    assert [line for line in server.said if line["code"] in BAD] == []


@pytest.mark.slow
async def test_a_killed_one_leaves_its_successor_nothing_but_orphans(setup: Setup) -> None:
    """It retires, and is killed: the new one sweeps what it left, and no sooner."""
    async with served(setup.folder, setup.image) as server, ending(setup), session(setup, server, "sleep 60"):
        instance = (setup.folder / "state" / "instance").read_text().strip()
        (name,) = outside.names({"moorage.instance": instance})
        assert (await moorage(setup, "upgrade")).status == 0
        assert outside.is_running(name)
        server.process.kill()
        await server.process.wait()
        done = await moorage(setup, "upgrade")  # a start's sweep, at once
        assert done.status == 0, done.err
        await gone({name})

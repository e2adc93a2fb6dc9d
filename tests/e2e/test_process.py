"""The daemon as a process: killed and started again, and ended by signals."""

import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from tests.e2e import outside
from tests.e2e.harness import USER
from tests.e2e.process import Served, served, started
from tests.e2e.runs import Setup

pytestmark = [pytest.mark.trio, pytest.mark.engine, pytest.mark.openssh]
OPTIONS = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes",
           "IdentityAgent=none", "IdentitiesOnly=yes")  # fmt: skip


@asynccontextmanager
async def session(setup: Setup, server: Served, command: str) -> AsyncIterator[trio.Process]:
    """A client in the middle of a session: its program has said `ready`."""
    flags = [flag for option in OPTIONS for flag in ("-o", option)]
    args = ["ssh", "-F", "none", "-i", str(setup.folder / "user_key"), "-p", str(server.port), *flags]
    pipe = subprocess.PIPE
    client = await trio.lowlevel.open_process(
        [*args, f"{USER}@127.0.0.1", f"echo ready; {command}"], stdin=pipe, stdout=pipe, stderr=pipe
    )
    try:
        assert client.stdout is not None
        with trio.fail_after(20):
            assert await client.stdout.receive_some() == b"ready\n"
        yield client
    finally:
        client.kill()
        with trio.CancelScope(shield=True):
            await client.wait()


async def gone(names: set[str]) -> None:
    with trio.fail_after(20):
        while any([await trio.to_thread.run_sync(outside.exists, name) for name in names]):  # noqa: ASYNC110
            await trio.sleep(0.02)


async def test_what_a_crash_left_goes_at_the_next_start_and_nothing_else(setup: Setup) -> None:
    """Two sessions' containers; beside them those of others: copied labels, another instance, no labels at all."""
    async with (
        served(setup.folder, setup.image) as server,
        session(setup, server, "sleep 60"),
        session(setup, server, "sleep 60"),
    ):
        instance = (setup.folder / "state" / "instance").read_text().strip()
        ours = outside.names({"moorage.instance": instance})
        assert len(ours) == 2
        server.process.send_signal(signal.SIGKILL)
        await server.process.wait()
    assert outside.names({"moorage.instance": instance}) == ours, "a killed daemon removes nothing"
    labels = outside.labels(next(iter(ours)))
    others = {
        f"other-{instance[:8]}-copied": labels,
        f"other-{instance[:8]}-instance": {**labels, "moorage.instance": "f" * 32},
        f"other-{instance[:8]}-plain": {"moorage.boot": labels["moorage.boot"]},
    }
    try:
        for name, its in others.items():
            outside.start(name, setup.image, its)
        async with served(setup.folder, setup.image) as server:
            await gone(ours)
            found = [line for line in server.said if line["code"] == "MOORAGE_ORPHAN_FOUND"]
            assert {line["details"]["name"] for line in found} == ours
            assert all(outside.is_running(name) for name in others)
            async with session(setup, server, "exit 0"):
                pass
            server.process.send_signal(signal.SIGTERM)
            assert await server.process.wait() == 0
        assert all(outside.is_running(name) for name in others)
    finally:
        for name in others:
            outside.remove(name)


async def test_a_container_whose_boot_lives_is_left_alone(setup: Setup) -> None:
    """Two daemons of one instance, as in an upgrade: the second's sweep does not touch what the first serves."""
    async with served(setup.folder, setup.image) as first, session(setup, first, "sleep 60"):
        instance = (setup.folder / "state" / "instance").read_text().strip()
        (name,) = outside.names({"moorage.instance": instance})
        async with served(setup.folder, setup.image) as second:
            async with session(setup, second, "exit 0"):
                pass
            second.process.send_signal(signal.SIGTERM)
            assert await second.process.wait() == 0
            assert not [line for line in second.said if line["code"] == "MOORAGE_ORPHAN_FOUND"]
        assert outside.is_running(name)
        first.process.send_signal(signal.SIGINT)
        first.process.send_signal(signal.SIGTERM)
        assert await first.process.wait() == 0
        assert not outside.exists(name)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_lets_a_session_end(setup: Setup, number: signal.Signals) -> None:
    async with served(setup.folder, setup.image, grace=60, kill=5) as server:
        async with session(setup, server, "read line; exit 6") as client:
            server.process.send_signal(number)
            await server.until("MOORAGE_DRAINING")
            assert client.stdin is not None
            await client.stdin.send_all(b"go on\n")
            assert await client.wait() == 6
        assert await server.process.wait() == 0
        assert server.said[-1]["code"] == "MOORAGE_STOPPED"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_while_it_starts(setup: Setup, number: signal.Signals) -> None:
    """It is trying the agent, and is gone before it has served anybody; nothing of the trial is left."""
    async with started(setup.folder, setup.image) as server:
        with trio.fail_after(20):
            while not (probes := probes_of(setup)):  # noqa: ASYNC110
                await trio.sleep(0.005)
            server.process.send_signal(number)
            assert await server.process.wait() == 0
        assert not any(outside.exists(name) for name in (*probes, *probes_of(setup)))
        assert [line for line in server.said if line["code"] in ("MOORAGE_READY", "MOORAGE_CRASHED")] == []


def probes_of(setup: Setup) -> set[str]:
    path = setup.folder / "state" / "instance"
    instance = path.read_text().strip() if path.exists() else ""
    return outside.names({"moorage.instance": instance}) if instance else set()


async def test_a_second_signal_hurries(setup: Setup) -> None:
    async with served(setup.folder, setup.image, grace=60, kill=5) as server:
        async with session(setup, server, "sleep 60") as client:
            instance = (setup.folder / "state" / "instance").read_text().strip()
            server.process.send_signal(signal.SIGTERM)
            await server.until("MOORAGE_DRAINING")
            server.process.send_signal(signal.SIGTERM)
            assert client.stderr is not None
            said = b"".join([piece async for piece in client.stderr])
            assert said.startswith(b"moorage: the server is shutting down; this session ends now (MOORAGE_TERMINATING)")
            assert await client.wait() == 255  # exit-signal TERM
        assert await server.process.wait() == 0
        assert not outside.names({"moorage.instance": instance})

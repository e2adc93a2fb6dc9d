"""The engine in trouble under a real Moorage: killed, frozen, slow, answering 500, cutting its answers, out of disk.

Logins may fail, each with a sentence; when the engine is well again nothing is left, and a newcomer is served.
"""

import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import asyncssh
import pytest
import trio

from actors.bridge import open_loop
from actors.engine.docker import DockerEngine
from actors.engine.find import find_engine
from moorage.guest_image import ensure_guest_image
from protocol.settings import DockerConnection
from tests.crash.bad_way import Trouble, bad_way
from tests.e2e.harness import Done, Harness
from tests.e2e.own_engine import OwnDockerd, own_dockerd
from tests.e2e.runs import Setup

pytestmark = [pytest.mark.trio, pytest.mark.engine, pytest.mark.openssh, pytest.mark.slow]
IMAGE = "guest:1"
MANY = 20
SECONDS_MAX = 240.0


def note(what: str, seconds: float) -> None:
    """For the table in docs/reliability.md."""
    if path := os.environ.get("MOORAGE_TIMES"):
        with Path(path).open("a") as out:
            out.write(f"{what}: {seconds:.2f} s\n")


async def load(host: str) -> None:
    async with open_loop(lambda context: None), DockerEngine.open(DockerConnection(host=host), 60.0) as engine:
        await ensure_guest_image(engine, IMAGE)


@asynccontextmanager
async def own_engine(setup: Setup) -> AsyncIterator[OwnDockerd]:
    """A dockerd of the test's own that holds the guest image, and `setup` leads to it."""
    async with own_dockerd() as dockerd:
        await load(dockerd.host)
        setup.image, setup.connection, setup.engine = IMAGE, DockerConnection(host=dockerd.host), dockerd.host
        yield dockerd


async def gone(harness: Harness, what: str) -> None:
    """Until no container is left, at the engine as well as here."""
    begun = trio.current_time()
    with trio.fail_after(60):
        while await trio.to_thread.run_sync(harness.containers):  # noqa: ASYNC110 (the engine is looked at)
            await trio.sleep(0.05)
    note(what, trio.current_time() - begun)
    await harness.all_gone()


async def land(harness: Harness, stack: AsyncExitStack, count: int) -> None:
    """So many connections, each with a container and a program that runs."""
    for _ in range(count):
        client = await stack.enter_async_context(harness.client())
        process = await client.start("echo ready; sleep 300")
        await client.line(process)


async def newcomer(harness: Harness) -> None:
    async with harness.client() as client:
        assert await client.run("echo ok; exit 7") == Done(7, b"ok\n", b"")


async def test_killed_and_started_again(setup: Setup) -> None:
    """Twenty containers are there when it dies; their clients leave while it is away."""
    async with own_engine(setup) as dockerd, setup.harness(seconds_max=SECONDS_MAX) as harness:
        async with AsyncExitStack() as stack:
            await land(harness, stack, MANY)
            await dockerd.kill()
        await dockerd.start()
        await gone(harness, f"engine killed, {MANY} clients leave, engine back")
        await newcomer(harness)
        await harness.all_gone()


async def test_killed_under_those_who_stay(setup: Setup) -> None:
    """The clients stay: the engine comes back with their containers dead, and they are told."""
    async with (
        own_engine(setup) as dockerd,
        setup.harness(seconds_max=SECONDS_MAX) as harness,
        AsyncExitStack() as stack,
    ):
        await land(harness, stack, MANY)
        await dockerd.kill()
        await dockerd.start()
        await gone(harness, f"engine killed under {MANY} sessions, engine back")


async def test_frozen(setup: Setup) -> None:
    """It stops in the middle of creating, hangs for longer than `http`, and then does all that it was asked for."""
    async with own_engine(setup) as dockerd, setup.harness(seconds_max=SECONDS_MAX, http=2.0) as harness:
        async with AsyncExitStack() as stack:
            await land(harness, stack, 3)
            pid = int((dockerd.folder / "pid").read_text())
            os.kill(pid, signal.SIGSTOP)
            try:
                created = harness.said.count("DOCKER_CONTAINER_CREATE")
                for _ in range(3):
                    await stack.enter_async_context(harness.client())
                await harness.said.until("DOCKER_CONTAINER_CREATE", created + 1)
                await stack.aclose()
                await trio.sleep(5.0)
            finally:
                os.kill(pid, signal.SIGCONT)
        await gone(harness, "engine frozen for 5 s and more, 6 clients leave meanwhile, engine goes on")
        await newcomer(harness)
        await harness.all_gone()


async def test_frozen_while_it_creates(setup: Setup) -> None:
    """The create is sent to an engine that stands still and is given up; the container comes all the same."""
    async with own_engine(setup) as dockerd, setup.harness(seconds_max=SECONDS_MAX, http=2.0) as harness:
        pid = int((dockerd.folder / "pid").read_text())
        try:
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(harness.client())
                while "DOCKER_CONTAINER_CREATE" not in harness.said:
                    await harness.said.next()
                os.kill(pid, signal.SIGSTOP)
            await trio.sleep(5.0)
        finally:
            os.kill(pid, signal.SIGCONT)
        await trio.sleep(0.5)
        await gone(harness, "engine frozen in a create, engine goes on")
        await newcomer(harness)
        await harness.all_gone()


@pytest.mark.parametrize("mode", ["connection", "session"])
@pytest.mark.parametrize("trouble", [Trouble.SLOW, Trouble.ERROR, Trouble.CUT])
async def test_bad_answers(setup: Setup, trouble: Trouble, mode: str) -> None:
    """Every third answer is late, is a 500, or is cut off after some bytes."""
    async with bad_way(find_engine()) as way:
        setup.connection = DockerConnection(host=way.url)
        async with setup.harness(seconds_max=SECONDS_MAX, mode=mode, http=5.0) as harness:
            way.trouble = trouble
            async with trio.open_nursery() as nursery:
                for _ in range(6):
                    nursery.start_soon(_try, harness)
            assert way.troubled
            way.trouble = Trouble.NONE
            await gone(harness, f"engine whose answers are {trouble.value}, {mode}")
            await newcomer(harness)
            await harness.all_gone()


async def _try(harness: Harness) -> None:
    """A login that works, or one that says in a sentence why not."""
    with suppress(asyncssh.Error, OSError):
        async with harness.client() as client:
            done = await client.run("echo ok; exit 7")
            assert done == Done(7, b"ok\n", b"") or b"moorage: " in done.err, done


async def test_disk_full(setup: Setup) -> None:
    """No space is left where the engine keeps its containers: logins are told; with space again all is well."""
    dockerd = OwnDockerd()
    data = dockerd.folder / "data"
    data.mkdir()
    await _run("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(data))
    try:
        await dockerd.start()
        await load(dockerd.host)
        setup.image, setup.connection, setup.engine = IMAGE, DockerConnection(host=dockerd.host), dockerd.host
        async with setup.harness(seconds_max=SECONDS_MAX) as harness:
            await newcomer(harness)
            await harness.all_gone()
            with suppress(OSError), (data / "filler").open("wb", buffering=0) as filler:
                while True:
                    filler.write(bytes(65536))
            async with harness.client() as client:
                done = await client.run("true")
            assert done.status == 125 and b"no space left" in done.err and b"(DOCKER_CONTAINER_" in done.err, done
            (data / "filler").unlink()
            await gone(harness, "engine out of disk, space again")
            await newcomer(harness)
            await harness.all_gone()
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(dockerd.close)


async def _run(*command: str) -> None:
    await trio.run_process(command, stdout=subprocess.DEVNULL)

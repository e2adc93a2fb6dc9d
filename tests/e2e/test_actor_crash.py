"""An error of ours in one actor: its connection ends, its container goes, the log says where, nobody else notices."""

from contextlib import suppress
from typing import Any

import asyncssh
import pytest
import trio

from actors.actor import Actor
from protocol.settings_limits import Limits
from tests.broken import Boom, break_
from tests.e2e.harness import Client, Harness
from tests.e2e.runs import Setup

pytestmark = pytest.mark.trio
CRASHES = ("MOORAGE_ACTOR_CRASHED", "MOORAGE_CONNECTION_CRASHED")


def actors(harness: Harness, kind: str) -> list[Actor]:
    return [actor for actor in harness.server.supervisor.world.actors.values() if actor.kind.name == kind]


async def bystander(client: Client) -> "asyncssh.SSHClientProcess[bytes]":
    process = await client.start("echo ready; cat; exit 5")
    await client.line(process)
    return process


async def goes_on(client: Client, process: "asyncssh.SSHClientProcess[bytes]") -> None:
    process.stdin.write(b"still here\n")
    assert await client.line(process) == b"still here\n"
    process.stdin.write_eof()
    assert (await client.wait(process)).status == 5


async def crashed(harness: Harness, actor: str) -> None:
    """Told once, with the error and the last steps."""
    await harness.said.until("MOORAGE_ACTOR_CRASHED")
    (details,) = harness.said.details("MOORAGE_ACTOR_CRASHED")
    assert details["actor"] == actor and details["connectionId"]
    assert "Boom" in details["error"] and details["ledger"], details


@pytest.mark.parametrize("mode", ["connection", "session"])
@pytest.mark.parametrize("kind", ["connection", "session", "container"])
async def test_a_step_that_fails(setup: Setup, kind: str, mode: str) -> None:
    async with setup.fake_harness(mode=mode, allow=CRASHES) as harness, harness.client() as other:
        standing = await bystander(other)
        others = harness.containers()
        async with harness.client() as victim:
            process = await victim.start("echo ready; cat")
            await victim.line(process)
            (actor,) = [one for one in actors(harness, kind) if one.about is actors(harness, kind)[-1].about]
            break_(actor)
            await crashed(harness, actor.id)
            with suppress(asyncssh.Error, OSError):
                await victim.wait(process)
            await victim.closed()
        while len(harness.server.supervisor.world.actors) > 3:
            await harness.said.next()
        assert harness.containers() == others
        await goes_on(other, standing)


@pytest.mark.parametrize("kind", ["terminal", "signal", "timer"])
async def test_a_step_of_a_small_actor_that_fails(setup: Setup, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    points = ("resize_exec: delay(5)",) if kind == "terminal" else ("kill_container: delay(5)",)
    mode = "connection" if kind == "terminal" else "session"
    limits = Limits(idle=600.0 if kind == "timer" else 0.0)
    made = setup.fake_harness(*points, mode=mode, limits=limits, allow=CRASHES)
    async with made as harness, harness.client() as other:
        standing = await bystander(other)
        async with harness.client() as victim:
            tty: dict[str, Any] = {"term_type": "xterm", "term_size": (80, 24)} if kind == "terminal" else {}
            process = await victim.start("echo ready; cat", **tty)
            await victim.line(process)
            if kind == "signal":
                process.send_signal("USR1")
            while not (found := actors(harness, kind)):
                await harness.said.next()
            break_(found[-1])
            await crashed(harness, found[-1].id)
            await victim.closed()
        await goes_on(other, standing)


@pytest.mark.parametrize("call", ["create_container", "start_container", "create_exec", "start_exec", "wait_container"])
async def test_a_hand_that_fails(setup: Setup, call: str) -> None:
    """An error of ours in a call to the engine, which is no fault of the engine's."""
    async with setup.fake_harness(allow=CRASHES) as harness, harness.client() as other:
        standing = await bystander(other)
        others = harness.containers()

        async def boom(*args: object) -> None:
            await trio.lowlevel.checkpoint()
            raise Boom(call)

        setattr(harness.fake, call, boom)
        with suppress(asyncssh.Error, OSError):
            async with harness.client() as victim:
                with suppress(asyncssh.Error, OSError):
                    await victim.run("true")
                await victim.closed()
        await harness.said.until("MOORAGE_ACTOR_CRASHED")
        while len(harness.server.supervisor.world.actors) > 3:
            await harness.said.next()
        assert harness.containers() == others
        await goes_on(other, standing)


async def test_an_image_that_crashes_ends_those_who_wait_for_it(setup: Setup) -> None:
    async with setup.fake_harness(allow=CRASHES) as harness, harness.client() as other:
        standing = await bystander(other)

        async def boom(*args: object) -> None:
            await trio.lowlevel.checkpoint()
            raise Boom("inspect_image")

        assert harness.fake is not None
        harness.fake.failpoints.set("create_container: 1*fail(not_found) -> off")  # so it looks
        harness.fake.inspect_image = boom  # type: ignore[method-assign,assignment]
        async with harness.client() as victim:
            done = await victim.run("true")
        assert done.status == 125 and b"(MOORAGE_" in done.err and done.err.count(b"\n") == 1, done
        while len(harness.server.supervisor.world.actors) > 3:
            await harness.said.next()
        await goes_on(other, standing)

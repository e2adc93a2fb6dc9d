"""Programs that the agent serves, and what can happen to them; and when there is no agent."""

import os
import secrets
import signal
from unittest.mock import patch

import pytest
import trio
from msgspec.structs import replace

from moorage.agent_binary import AgentBinary, agent_binary
from moorage.cannot_serve import CannotServe
from tests.e2e import outside
from tests.e2e.harness import Done
from tests.e2e.runs import Setup, run
from tests.e2e.served import ALL, MODES, Served, actor_of_container, served

DIED = b"moorage: the container ended (status 137) (MOORAGE_CONTAINER_DIED)\r\n"
ENGINE = ("engine",)


def pid_of(name: str) -> int:
    """Of the container's first program, on this machine."""
    pid: int = outside.call("GET", f"/containers/{name}/json")[1]["State"]["Pid"]
    return pid


@served("client-killed", end="the client is gone", rows=("SS0613", "CT0904|CT0901"))
async def client_killed(at: Served) -> None:
    """The client is killed while its program runs: the container is removed."""
    async with at.harness() as harness:
        async with harness.ssh_process("echo ready; sleep 60") as client:
            assert client.stdout is not None and await client.stdout.receive_some() == b"ready\n"
            assert len(harness.containers()) == 1
        await harness.all_gone()
        assert not harness.containers()


@served("agent-killed", end="exit status 137", rows=("CT0906|CT0901", "SS0712|SS0803"))
async def agent_killed(at: Served) -> None:
    """The agent is killed from outside: a sentence, and a status."""
    async with at.harness() as harness, harness.ssh_process("echo ready; sleep 60") as client:
        assert client.stdout is not None and client.stderr is not None
        await client.stdout.receive_some()
        (name,) = harness.containers()
        os.kill(pid_of(name), signal.SIGKILL)
        with trio.fail_after(10):
            said = b"".join([piece async for piece in client.stderr])
            assert (await client.wait(), said) == (137, DIED)


@served("link-lost", end="exit status 137", rows=("CT0906", "CT1503", "SS0712"))
async def link_lost(at: Served) -> None:
    """The link breaks and the container does not end by itself: it is removed, and the session told."""
    async with at.harness() as harness, harness.ssh_process("echo ready; sleep 60") as client:
        assert client.stdout is not None and client.stderr is not None
        await client.stdout.receive_some()
        (name,) = harness.containers()
        os.kill(pid_of(name), signal.SIGSTOP)  # it does not notice
        link = actor_of_container(harness).link
        assert link is not None
        link.lost("cut")  # type: ignore[attr-defined]
        with trio.fail_after(10):
            said = b"".join([piece async for piece in client.stderr])
            assert (await client.wait(), said) == (137, DIED)
        assert "MOORAGE_LINK_LOST" in harness.said


@served("terminated", end="exit status 3", rows=("SS0612",))
async def terminated(at: Served) -> None:
    """The server ends: the program is sent TERM, and its last words and its status arrive."""
    script = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done"
    async with at.harness() as harness, harness.ssh_process(script) as client:
        assert client.stdout is not None
        await client.stdout.receive_some()
        harness.server.shutdown("the test")
        with trio.fail_after(10):
            said = b"".join([piece async for piece in client.stdout])
            assert (await client.wait(), said) == (3, b"bye\n")


@served("program-unknown", end="exit status 127", spawned=("SS0121|SS0217", "SS1202"))
async def unknown(at: Served) -> None:
    """What is not in the image: a sentence and 127, and the connection goes on."""
    async with at.harness(subsystems={"none": "/no/such/program"}) as harness:
        done = await harness.ssh("none", "-s")
        assert await harness.ssh("exit 2") == Done(2, b"", b"")
    assert done.status == 127 and done.out == b""
    assert done.err == (
        b"moorage: the program could not be started: cannot run /no/such/program: it, or the interpreter that it "
        b"names, is not in the image (MOORAGE_SPAWN_FAILED)\r\n"
    )


def _another_agent(architecture: str) -> AgentBinary | None:
    """The same with something behind its end: it has a volume of its own, which nobody else on this engine uses."""
    found = agent_binary(architecture)
    return found and replace(found, content=found.content + bytes(8), digest=secrets.token_hex(32))


@served("volume-removed", end="exit status 7", quick=ALL, modes=("connection",), spawned=())
async def volume_removed(at: Served) -> None:
    """Somebody removes the agent's volume while no container has it: it is filled again."""
    with patch("moorage.agents.agent_binary", _another_agent):
        async with at.harness() as harness:
            (ready,) = harness.said.details("MOORAGE_AGENT_READY")
            volume = f"/volumes/{ready['volume']}"
            try:
                assert outside.call("DELETE", volume)[0] == 204
                if at.link == "attach":  # what is attached ends with a start that fails
                    assert (await harness.ssh("exit 7")).status == 125
                assert await harness.ssh("exit 7") == Done(7, b"", b"")
            finally:
                await harness.all_gone()
                outside.call("DELETE", volume)
                outside.forget_image(ready["volume"].replace("moorage-agent-", "moorage/agent:"))


# Without an agent. A socket that nobody can listen on stands for an engine to which there is no link.


@run("connection-unserved-auto", end="exit status 7", rows=("SS0203", "SS0901"), needs=("engine", "openssh"))
async def auto_falls_back(setup: Setup) -> None:
    """Transport auto where the agent has no link: the engine's exec serves, and the log says why."""
    async with setup.harness(transport="auto", links=("socket",), state="s" * 90) as harness:
        assert await harness.ssh("echo out; exit 7") == Done(7, b"out\n", b"")
        (details,) = harness.said.details("MOORAGE_AGENT_UNAVAILABLE")
        assert "cannot listen in" in details["why"]


@run("connection-unserved-refused", end="exit status 0", rows=("SS0203",), needs=("engine", "openssh"))
async def served_is_refused(setup: Setup) -> None:
    """Transport served where the agent has no link: the daemon does not start. Transport exec does."""
    with pytest.raises(ExceptionGroup) as caught:
        async with setup.harness(transport="served", links=("socket",), state="s" * 90):
            raise AssertionError("it serves")
    error: BaseException = caught.value
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    assert isinstance(error, CannotServe)
    assert str(error).startswith("MOORAGE_AGENT_UNAVAILABLE: docker.execution.transport is served, and socket link: ")
    async with setup.harness(transport="exec") as harness:
        assert await harness.ssh("cat /proc/1/comm") == Done(0, b"sh\n", b"")
        assert not {name for name, _ in harness.said.lines if "AGENT" in name}


OWN = {
    "idle-command": {"idle_command": ("/bin/sleep", "infinity")},
    "entrypoint": {"container": {"Entrypoint": ["/bin/sh", "-c", 'exec "$@"', "entry"]}},
    "disable-agent": {"disable_agent": True},
}


def _own(name: str) -> None:
    @run(f"connection-unserved-own-{name}", end="exit status 0", rows=("SS0203",), needs=("engine", "openssh"))
    async def own(setup: Setup) -> None:
        """Transport auto with a first program of the configuration's own, or without agents: it stays as it is."""
        more = OWN[name]
        if container := more.get("container"):
            more = {**more, "container": {"Image": setup.image, **container}}  # type: ignore[dict-item]
        async with setup.harness(transport="auto", **more) as harness:
            assert await harness.ssh("cat /proc/1/comm") in (Done(0, b"sleep\n", b""), Done(0, b"sh\n", b""))
            assert not {name for name, _ in harness.said.lines if "AGENT" in name}


for _name in OWN:
    _own(_name)


# The fake engine and its agent.


def _fake(mode: str) -> None:
    @run(
        f"{mode}-served-fake",
        end="exit status 7",
        rows=("SS0121|SS0217", "SS1201", "SS0711|SS0812"),
        needs=("openssh",),
    )
    async def fake(setup: Setup) -> None:
        """The fake engine's agent serves a whole run, as the real one does."""
        async with setup.fake_harness(transport="served", mode=mode, links=("attach",)) as harness:
            assert await harness.ssh("echo out; echo err >&2; exit 7") == Done(7, b"out\n", b"err\n")
            assert await harness.ssh("cat", stdin=b"back") == Done(0, b"back", b"")


for _mode in MODES:
    _fake(_mode)

"""The warm pool: a login that finds a container ready, and what can become of one before and while it is claimed.

The fake engine fails on command; a claim on the real one is the first run.
"""

from actors.agent.bring import BroughtAgents
from actors.agent.link import Link
from actors.ports import ContainerOrder
from tests.e2e.harness import Done
from tests.e2e.runs import Setup, run

OUT = Done(7, b"out\n", b"")
COMMAND = "echo out; exit 7"


@run("connection-spare-claimed", end="exit status 7", rows=("SP0301", "CT0908", "CT0909"), needs=("engine", "openssh"))
async def connection_spare_claimed(setup: Setup) -> None:
    """A login finds a container ready, which is renamed to the login's name; the pool makes another."""
    async with setup.harness(pool=1) as harness:
        await harness.said.until("MOORAGE_SPARE_READY")
        assert await harness.ssh(COMMAND) == OUT
        await harness.said.until("MOORAGE_SPARE_READY", 2)
        statistics = harness.server.statistics()["pool"]
        assert (statistics["hits"], statistics["misses"], statistics["ready"]) == (1, 0, 1)


@run("connection-spare-keeps-its-name", end="exit status 7", rows=("SP0301", "CT0910"), needs=())
async def connection_spare_name(setup: Setup) -> None:
    """The engine cannot rename a claimed container: the login has it all the same."""
    async with setup.fake_harness("rename_container: fail(internal)", pool=1) as harness:
        await harness.said.until("MOORAGE_SPARE_READY")
        async with harness.client() as client:
            await harness.said.until("MOORAGE_RENAME_FAILED")
            assert await client.run(COMMAND) == OUT


@run("connection-spare-failed", end="exit status 7", rows=("CT0302",), needs=())
async def connection_spare_failed(setup: Setup) -> None:
    """A spare cannot be made, and the login that finds none makes a container of its own."""
    async with setup.fake_harness("create_container: 1*fail(invalid) -> off", pool=1) as harness:
        await harness.said.until("MOORAGE_SPARE_FAILED")
        async with harness.client() as client:
            assert await client.run(COMMAND) == OUT


@run("connection-spare-lost", end="exit status 7", rows=("CT0302",), needs=())
async def connection_spare_lost(setup: Setup) -> None:
    """Somebody removes a spare before it is claimed: it is replaced, and a login is none the wiser."""
    async with setup.fake_harness(pool=1) as harness:
        await harness.said.until("MOORAGE_SPARE_READY")
        assert harness.fake is not None
        (spare,) = harness.containers()
        harness.fake.vanish(spare)
        await harness.said.until("MOORAGE_SPARE_LOST")
        async with harness.client() as client:
            assert await client.run(COMMAND) == OUT


@run("connection-agent-impostor", end="exit status 125", rows=("CT1402",), needs=())
async def connection_agent(setup: Setup) -> None:
    """What answers from the container does not know its token: one sentence, status 125, nothing left."""
    async with setup.fake_harness(transport="auto", links=("attach",)) as harness:
        agents = harness.server.supervisor.world.agents
        assert isinstance(agents, BroughtAgents)
        honest = agents.open

        async def open_for_another(order: ContainerOrder) -> Link:
            link = await honest(order)
            link._token = "another"
            return link

        agents.open = open_for_another  # type: ignore[method-assign]
        async with harness.client() as client:
            done = await client.run(COMMAND)
    assert done.status == 125 and done.out == b""
    assert done.err.startswith(b"moorage: the guest agent in the container did not answer: ")
    assert done.err.endswith(b"(MOORAGE_AGENT_FAILED)\r\n")

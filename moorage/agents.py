"""Whether the guest agent can be brought into containers, found out by trying, and what is said about it."""

from collections.abc import Sequence
from typing import cast

from actors.agent.bring import ORDER, BroughtAgents, Carrier
from actors.engine.docker import DockerEngine
from actors.instance import Instance
from actors.orders import may_be_served
from actors.ports import EngineFault
from actors.world import World
from moorage.agent_binary import agent_binary
from moorage.cannot_serve import CannotServe
from protocol import codes
from protocol.container import Link as LinkKind
from protocol.settings import Settings
from protocol.settings_part import with_each_part


async def agents_of(
    settings: Settings, world: World, instance: Instance, links: Sequence[LinkKind] | None
) -> BroughtAgents | None:
    """The guest agent, if it may be used, is built and links with this engine; None: the engine's exec it is."""
    executions = [one.docker.execution for one in with_each_part(settings)]
    is_must = any(execution.transport == "served" for execution in executions)
    links = links or (ORDER if isinstance(world.engine, DockerEngine) else ())
    if not any(may_be_served(execution) for execution in executions):
        return None
    why, agents = await _brought(world, instance, links) if links else ("no link is to be tried", None)
    if not why and agents is not None:
        found = {"link": agents.kind, "terminals": agents.terminals, "volume": agents.volume}
        world.say(codes.MOORAGE_AGENT_READY, found)
        return agents
    world.agents, world.why_no_agents = None, why
    if is_must:
        raise CannotServe(f"{codes.MOORAGE_AGENT_UNAVAILABLE.name}: docker.execution.transport is served, and {why}")
    if links:
        world.say(codes.MOORAGE_AGENT_UNAVAILABLE, {"why": why})
    return None


async def _brought(world: World, instance: Instance, links: Sequence[LinkKind]) -> tuple[str, BroughtAgents | None]:
    """Why the agent cannot be brought, or the empty string and how it is. While it is tried, its probes are ours."""
    engine = cast(Carrier, world.engine)
    try:
        binary = agent_binary(await engine.architecture())
        if binary is None:
            return "it is not built for the engine's architecture (`make install` builds it with musl-tools)", None
        world.agents = agents = BroughtAgents(binary.content, binary.digest, instance.links)
        labels = {"moorage.instance": instance.id, "moorage.boot": instance.boot}
        return await agents.probe(engine, labels, links), agents
    except EngineFault as fault:
        return fault.why, None

"""What a reload touches in a running daemon. All that can fail is done first; then it is put in force at once."""

from collections.abc import Awaitable, Callable

import trio
from msgspec.structs import replace

from actors.agent.bring import BroughtAgents
from actors.orders import may_be_served
from actors.ports import EngineFault, OutsideFault
from actors.reload import Reloads, Reread
from actors.sources import Sources
from actors.ssh.listener import Listener, terms
from actors.supervisor import Supervisor
from moorage.cannot_serve import CannotServe
from moorage.checks import refusals
from protocol.settings import Settings
from protocol.settings_part import with_each_part
from protocol.settings_secrets import without_secrets

Bring = Callable[[Settings], Awaitable[BroughtAgents | None]]  # the guest agent, if it may be used. Raises CannotServe
Adopted = Callable[[Settings], None]


def reloads_of(
    settings: Settings,
    supervisor: Supervisor,
    listener: Listener,
    reread: Reread | None,
    bring: Bring,
    adopted: Adopted,
) -> Reloads:
    """`adopted` is told last, for what is not the daemon's (the log)."""
    world = supervisor.world

    async def prepare(new: Settings) -> Callable[[], None]:
        if refused := await trio.to_thread.run_sync(refusals, new):
            raise OutsideFault("invalid", "; ".join(map(str, refused)))
        try:
            met = await trio.to_thread.run_sync(terms, supervisor, new)
            sources = Sources(new.auth, configserver=new.configserver)
            agents = await bring(new) if _wants_an_agent(reloads.current, new) and world.agents is None else None
        except (CannotServe, EngineFault, OSError, ValueError) as error:
            raise OutsideFault("invalid", str(error)) from error

        def adopt() -> None:
            listener.terms = met
            if agents is not None:
                world.agents = agents
                world.start(agents.run)
            world.recorder.header = replace(world.recorder.header, settings=without_secrets(new))
            supervisor.adopt(new, sources)
            adopted(new)

        return adopt

    reloads = Reloads(settings, reread, prepare)
    return reloads


def _wants_an_agent(old: Settings, new: Settings) -> bool:
    """It was not tried at the start, or the answer is wanted now."""
    before = [one.docker.execution for one in with_each_part(old)]
    now = [execution for one in with_each_part(new) if may_be_served(execution := one.docker.execution)]
    return bool(now) and (not any(map(may_be_served, before)) or any(one.transport == "served" for one in now))

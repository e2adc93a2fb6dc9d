"""`moorage serve` that kills itself in one state: `python -m tests.crash.doomed MACHINE STATE LOST serve …`.

As soon as an actor of MACHINE has entered STATE and what it asks for is on its way, the process gets SIGKILL. The
first answer of the engine's call LOST (`-`: none) is lost after the engine has done it. `call NAME` in place of
MACHINE and STATE: while the first call of this name is under way, which at the start is the agent's probe's.
"""

import os
import signal
import sys
from typing import Any

import trio

from actors.actor import Actor
from actors.engine.docker import DockerEngine
from actors.ports import EngineFault
from moorage.cli import main
from protocol.base import Event

ON_ITS_WAY_S = 0.02


def doom(machine: str, state: str) -> None:
    """Every actor is watched from now on."""
    step = Actor._step

    def watched(actor: Actor, event: Event) -> None:
        before = actor.cell.state
        step(actor, event)
        if actor.kind.name == machine and actor.cell.state == state != before:
            actor.world.start(_die)

    setattr(Actor, "_step", watched)  # noqa: B010


async def _die() -> None:
    await trio.sleep(ON_ITS_WAY_S)
    os.kill(os.getpid(), signal.SIGKILL)


def doom_call(call: str) -> None:
    """The first call of this name is the last."""
    method = getattr(DockerEngine, call)

    async def dying(self: DockerEngine, *args: Any) -> Any:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_die)
            return await method(self, *args)

    setattr(DockerEngine, call, dying)


def lose(call: str) -> None:
    """The first answer to this call is lost."""
    method = getattr(DockerEngine, call)
    lost: list[str] = []

    async def losing(self: DockerEngine, *args: Any) -> Any:
        if call == "wait_container" and not lost:
            lost.append(call)
            raise EngineFault("unavailable", "lost")
        answer = await method(self, *args)
        if not lost:
            lost.append(call)
            raise EngineFault("unavailable", "lost")
        return answer

    setattr(DockerEngine, call, losing)


if __name__ == "__main__":
    machine, state, lost, *rest = sys.argv[1:]
    if machine == "call":
        doom_call(state)
    else:
        doom(machine, state)
    if lost != "-":
        lose(lost)
    sys.exit(main(rest))

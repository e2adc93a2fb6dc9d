"""The terminal actor: a session's window size on its way to the program."""

from actors.actor import Actor
from fsm.terminal import TERMINAL
from protocol.base import Effect, Event
from protocol.terminal import OUTCOMES, Resize, Resized


class TerminalActor(Actor):
    kind = TERMINAL
    queued = frozenset({Resize})
    outcomes = OUTCOMES

    async def work(self, effect: Effect) -> Event:
        match effect:
            case Resize(target="exec", id=id, size=size):
                await self.world.engine.resize_exec(id, size)
                return Resized()
            case Resize(id=id, size=size):
                await self.world.engine.resize_container(id, size)
                return Resized()
        return await super().work(effect)

"""The signal actor: one signal on its way into a container."""

from actors.actor import Actor
from fsm.signal import SIGNAL
from protocol.base import Effect, Event
from protocol.signal import OUTCOMES, SendSignal, SignalSent


class SignalActor(Actor):
    kind = SIGNAL
    queued = frozenset({SendSignal})
    outcomes = OUTCOMES

    async def work(self, effect: Effect) -> Event:
        match effect:
            case SendSignal(id=id, signal=signal):
                await self.world.engine.kill_container(id, signal)
                return SignalSent()
        return await super().work(effect)

"""The signal actor: one signal on its way into a container."""

from actors.actor import Actor
from fsm.signal import SIGNAL
from protocol.base import Effect, Event, Fault
from protocol.signal import OUTCOMES, SendSignal, SignalSent


class SignalActor(Actor):
    kind = SIGNAL
    queued = frozenset({SendSignal})
    outcomes: dict[type[Effect], tuple[type[Event], type[Fault]]] = OUTCOMES

    async def work(self, effect: Effect) -> Event:
        match effect:
            case SendSignal(id=id, signal=signal):
                await self.world.engine.kill_container(id, signal)
                return SignalSent()
        return await super().work(effect)

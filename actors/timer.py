"""The timer actor: one time limit of a connection."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actors.actor import Actor
from fsm.timer import TIMER
from protocol.base import Effect
from protocol.timer import IdleMeasured, MeasureIdle

if TYPE_CHECKING:
    from actors.recorder import Ledger
    from actors.world import World


class TimerActor(Actor):
    """`idle_s`: how long nothing has moved in its connection."""

    kind = TIMER

    def __init__(
        self, world: "World", id: str, ledger: "Ledger", about: dict[str, Any], idle_s: Callable[[], float]
    ) -> None:
        super().__init__(world, id, ledger, about)
        self._idle_s = idle_s

    def perform(self, effect: Effect) -> None:
        match effect:
            case MeasureIdle():
                self.post(IdleMeasured(idle_s=round(self._idle_s(), 3)))
            case _:
                super().perform(effect)

"""The spare actor: one container of the pool, until it is claimed or goes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actors.actor import Actor
from fsm.spare import SPARE, SpareCell
from protocol.base import Effect, Event
from protocol.connection import LandContainer
from protocol.settings import Settings
from protocol.spare import ClaimWanted, HandOver, StaleFound

if TYPE_CHECKING:
    from actors.recorder import SharedLog
    from actors.world import World


class SpareActor(Actor):
    """`land` and `hand_over` are the supervisor's, `on_step` the pool's. `image_id`: what it is made from,
    by `settings`."""

    kind = SPARE
    cell: SpareCell
    ledger: "SharedLog"

    def __init__(
        self,
        world: "World",
        id: str,
        ledger: "SharedLog",
        about: dict[str, Any],
        settings: Settings,
        land: Callable[["SpareActor", LandContainer], None],
        hand_over: Callable[["SpareActor", HandOver], None],
        on_step: Callable[["SpareActor"], None],
    ) -> None:
        super().__init__(world, id, ledger, about)
        self.settings, self.promised = settings, False
        self.image_id = ""
        self._land, self._hand_over, self._on_step = land, hand_over, on_step

    @property
    def is_ready(self) -> bool:
        return self.cell.state == "READY" and not self.promised

    def claim(self, owner: str, container: str) -> None:
        """For one login. What comes before it in the mailbox decides; see `unheard`."""
        self.promised = True
        self.post(ClaimWanted(owner=owner, container=container))

    def retire(self, why: str) -> None:
        """Nobody gets it any more."""
        self.promised = True
        self.post(StaleFound(why=why))

    def _step(self, event: Event) -> None:
        super()._step(event)
        self._on_step(self)

    def unheard(self) -> list[ClaimWanted]:
        """A claim that came when it had ended already."""
        return [event for event in self.unread() if isinstance(event, ClaimWanted)]

    def perform(self, effect: Effect) -> None:
        match effect:
            case LandContainer():
                self._land(self, effect)
            case HandOver():
                self._hand_over(self, effect)
            case _:
                super().perform(effect)

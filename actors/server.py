"""The server actor: the daemon's own life, from listening to stopped."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actors.actor import Actor
from actors.connection import ConnectionActor
from fsm.server import SERVER
from protocol.base import Effect, Event
from protocol.connection import CloseWanted, DrainWanted, TerminateWanted
from protocol.server import AllGone, CloseConnections, DrainConnections, StopAccepting, TerminateConnections

if TYPE_CHECKING:
    from actors.recorder import Ledger
    from actors.world import World

WHY = "the server is shutting down"


class ServerActor(Actor):
    """Lives outside the world's registry: when that is empty, there is nobody left to serve."""

    kind = SERVER

    def __init__(
        self,
        world: "World",
        ledger: "Ledger",
        about: dict[str, Any],
        stop: Callable[[], None],
        drain_pool: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(world, "server", ledger, about)
        self._stop, self._drain_pool = stop, drain_pool
        world.on_empty = self._nobody_left

    @property
    def serving(self) -> bool:
        return self.cell.state in ("STARTING", "SERVING")

    def perform(self, effect: Effect) -> None:
        match effect:
            case StopAccepting():
                self._stop()
            case DrainConnections():
                self._tell(DrainWanted())
                self._drain_pool()
                self._nobody_left()
            case TerminateConnections():
                self._tell(TerminateWanted(why=WHY))
            case CloseConnections():
                self._tell(CloseWanted(why=WHY))
            case _:
                super().perform(effect)

    def _tell(self, event: Event) -> None:
        for actor in tuple(self.world.actors.values()):
            if isinstance(actor, ConnectionActor):
                actor.post(event)

    def _nobody_left(self) -> None:
        if not self.serving and not self.ended and not self.world.actors:
            self.post(AllGone())

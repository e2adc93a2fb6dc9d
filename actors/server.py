"""The server actor: the daemon's own life, from listening to stopped."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actors.actor import Actor
from actors.connection import ConnectionActor
from actors.ports import OutsideFault
from actors.reload import Reloads
from fsm.server import SERVER
from protocol.base import Effect, Event
from protocol.connection import CloseWanted, DrainWanted, TerminateWanted
from protocol.server import (
    OUTCOMES,
    AdoptSettings,
    AllGone,
    AnswerReload,
    CloseConnections,
    DrainConnections,
    ReadSettings,
    SettingsRead,
    SettingsRefused,
    StopAccepting,
    TerminateConnections,
)

if TYPE_CHECKING:
    from actors.recorder import Ledger
    from actors.world import World

WHY = "the server is shutting down"


class ServerActor(Actor):
    """Lives outside the world's registry: when that is empty, there is nobody left to serve."""

    kind = SERVER
    queued = frozenset({ReadSettings})
    outcomes = OUTCOMES

    def __init__(
        self,
        world: "World",
        ledger: "Ledger",
        about: dict[str, Any],
        stop: Callable[[], None],
        drain_pool: Callable[[], None] = lambda: None,
        reloads: Reloads | None = None,
    ) -> None:
        super().__init__(world, "server", ledger, about)
        self._stop, self._drain_pool, self._reloads = stop, drain_pool, reloads
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
            case AdoptSettings(attempt=attempt):
                self._asked.adopt(attempt)
            case AnswerReload():
                self._asked.answer(effect, self.serving)
            case _:
                super().perform(effect)

    async def work(self, effect: Effect) -> Event:
        if not isinstance(effect, ReadSettings):
            return await super().work(effect)
        ready = await self._asked.read(effect.attempt)
        shutdown = ready.settings.shutdown
        seconds = {"grace": shutdown.grace, "kill": shutdown.kill}
        return SettingsRead(attempt=effect.attempt, changes=ready.changes, seconds=seconds)

    def failed(self, effect: Effect, fault: OutsideFault) -> Event:
        assert isinstance(effect, ReadSettings)
        return SettingsRefused(attempt=effect.attempt, fault=fault.fault, why=fault.why, dice=self.world.roll())

    @property
    def _asked(self) -> Reloads:
        assert self._reloads is not None, "nobody could ask for it"
        return self._reloads

    def _tell(self, event: Event) -> None:
        for actor in tuple(self.world.actors.values()):
            if isinstance(actor, ConnectionActor):
                actor.post(event)

    def _nobody_left(self) -> None:
        if not self.serving and not self.ended and not self.world.actors:
            self.post(AllGone())

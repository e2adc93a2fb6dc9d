"""The server actor: the daemon's own life, from listening to stopped."""

from typing import TYPE_CHECKING, Any

import trio

from actors.actor import Actor
from actors.connection import ConnectionActor
from actors.ports import OutsideFault, ServerPort
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
    EndAttempt,
    PassSockets,
    ReadSettings,
    SettingsRead,
    SettingsRefused,
    StartSuccessor,
    StopAccepting,
    TerminateConnections,
)

if TYPE_CHECKING:
    from actors.recorder import Ledger
    from actors.world import World

WHY = "the server is shutting down"
ACCEPTING = frozenset({"STARTING", "SERVING", "UPGRADING"})


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
        port: ServerPort,
        reloads: Reloads | None = None,
    ) -> None:
        super().__init__(world, "server", ledger, about)
        self._port, self._reloads = port, reloads
        self._over = trio.Event()
        world.on_empty = self.look_who_is_left

    async def run(self) -> None:
        """Its life."""
        self.world.host(self)
        await self._over.wait()

    def end(self) -> None:
        super().end()
        self._over.set()

    @property
    def may_be_stopped(self) -> bool:
        """Nobody has asked for its end yet."""
        return self.cell.state in ACCEPTING or self.cell.state == "RETIRING"

    def perform(self, effect: Effect) -> None:
        match effect:
            case StopAccepting():
                self._port.stop_accepting()
                self.look_who_is_left()
            case DrainConnections():
                self._port.refuse_sessions()
                self._tell(DrainWanted())
                self.look_who_is_left()
            case TerminateConnections():
                self._tell(TerminateWanted(why=WHY))
            case CloseConnections():
                self._tell(CloseWanted(why=WHY))
            case StartSuccessor(attempt=attempt, argv=argv):
                self._port.start_successor(attempt, argv)
            case PassSockets(attempt=attempt):
                self._port.pass_sockets(attempt)
            case EndAttempt(attempt=attempt, why=why):
                self._port.end_attempt(attempt, why)
            case AdoptSettings(attempt=attempt):
                self._asked.adopt(attempt)
            case AnswerReload():
                self._asked.answer(effect, self.cell.state in ACCEPTING)
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

    def look_who_is_left(self) -> None:
        """Nobody, and no one will come: then it is over. Called whenever somebody leaves or arrives."""
        if self.cell.state in ACCEPTING or self.ended or self.world.actors or self._port.is_arriving():
            return
        self.post(AllGone())

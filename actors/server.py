"""The server actor: the daemon's own life, from listening to stopped."""

from typing import TYPE_CHECKING, Any

from actors.actor import Actor
from actors.connection import ConnectionActor
from actors.ports import ServerPort
from fsm.server import SERVER
from protocol.base import Effect, Event
from protocol.connection import CloseWanted, DrainWanted, TerminateWanted
from protocol.server import (
    AllGone,
    CloseConnections,
    DrainConnections,
    EndAttempt,
    PassSockets,
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

    def __init__(self, world: "World", ledger: "Ledger", about: dict[str, Any], port: ServerPort) -> None:
        super().__init__(world, "server", ledger, about)
        self._port = port
        world.on_empty = self.look_who_is_left

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
            case _:
                super().perform(effect)

    def _tell(self, event: Event) -> None:
        for actor in tuple(self.world.actors.values()):
            if isinstance(actor, ConnectionActor):
                actor.post(event)

    def look_who_is_left(self) -> None:
        """Nobody, and no one will come: then it is over. Called whenever somebody leaves or arrives."""
        if self.cell.state in ACCEPTING or self.ended or self.world.actors or self._port.is_arriving():
            return
        self.post(AllGone())

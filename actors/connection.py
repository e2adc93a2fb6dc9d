"""The connection actor: one SSH connection, and in mode `connection` the container behind it."""

from typing import TYPE_CHECKING, Any

from actors.actor import Actor
from actors.ports import Transport
from fsm.connection import CONNECTION, ConnectionCell
from protocol.base import Effect, Event
from protocol.connection import AbortConnection, Authenticated, CloseConnection, LandContainer
from protocol.settings import Settings

if TYPE_CHECKING:
    from actors.recorder import Recording
    from actors.supervisor import Supervisor


class ConnectionActor(Actor):
    """`connection` is the id of logs and labels; `opened` counts sessions, so that each has a name of its own.

    `settings` are those that held when it was accepted, whatever the file says by now; after the login, its own.
    """

    kind = CONNECTION
    cell: ConnectionCell
    ledger: "Recording"

    def __init__(
        self,
        supervisor: "Supervisor",
        id: str,
        ledger: "Recording",
        about: dict[str, Any],
        transport: Transport,
        connection: str,
        settings: Settings,
    ) -> None:
        super().__init__(supervisor.world, id, ledger, about)
        self.transport, self.connection, self.settings = transport, connection, settings
        self.opened = 0
        self._supervisor = supervisor

    def post(self, event: Event) -> None:
        """From the login on, every log line of this connection names its user."""
        if isinstance(event, Authenticated):
            self.about["username"] = event.username
        super().post(event)

    def perform(self, effect: Effect) -> None:
        match effect:
            case LandContainer():
                self._supervisor.land_idle(self, effect)
            case CloseConnection(why=why):
                self.transport.close(why)
            case AbortConnection():
                self.transport.abort()
            case _:
                super().perform(effect)

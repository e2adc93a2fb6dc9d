"""The connection actor: one SSH connection, and in mode `connection` the container behind it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import trio

from actors.actor import Actor
from actors.ports import Transport
from actors.session import SessionActor
from fsm.connection import ConnectionCell
from fsm.connection_rows import CONNECTION
from protocol.base import Effect, Event
from protocol.connection import (
    AbortConnection,
    Authenticated,
    CloseConnection,
    LandContainer,
    SessionEnded,
    SessionOpened,
    StartTimer,
)
from protocol.container import ContainerLanded
from protocol.limits import LimitReached
from protocol.session import SessionState
from protocol.settings import Settings

if TYPE_CHECKING:
    from actors.recorder import Recording
    from actors.supervisor import Supervisor


class ConnectionActor(Actor):
    """`connection` is the id of logs and labels; `opened` counts sessions, so that each has a name of its own, and
    `open_now` those that are open.

    `settings` and `sources` are those that held when it was accepted, whatever the file says by now; after the login,
    `settings` are its own. `reached`: the limit for which it was let in and gets nothing.
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
        self.sources = supervisor.sources
        self.files: Mapping[str, bytes] = {}
        self.opened = self.open_now = 0
        self.reached: LimitReached | None = None
        self._stirred_at = trio.current_time()
        self._supervisor = supervisor

    def post(self, event: Event) -> None:
        """From the login on, every log line of this connection names its user; and the limits have their say."""
        if isinstance(event, Authenticated):
            self.about["username"] = event.username
            event = self._supervisor.admission.login(self, event)
            self.reached = event.reached
        # Counted here and not by the machine, which hears of a session a turn later: several may open in one.
        self.open_now += isinstance(event, SessionOpened) - isinstance(event, SessionEnded)
        if isinstance(event, Authenticated | SessionOpened | SessionEnded | ContainerLanded):
            self._stirred_at = trio.current_time()
        super().post(event)

    def idle_s(self) -> float:
        """How long no session has come or gone, none has moved a byte, and none has waited for its container."""
        found = [self.world.actors.get(session) for session in self.cell.sessions]
        sessions = [actor for actor in found if isinstance(actor, SessionActor)]
        if any(actor.cell.state == SessionState.LANDING.name for actor in sessions):
            return 0.0
        moved = [actor.pump.moved_at for actor in sessions]
        return trio.current_time() - max([self._stirred_at, *moved])

    def perform(self, effect: Effect) -> None:
        match effect:
            case LandContainer():
                self._supervisor.land_idle(self, effect)
            case StartTimer():
                self._supervisor.start_timer(self, effect)
            case CloseConnection(why=why):
                self.transport.close(why)
            case AbortConnection():
                self.transport.abort()
            case _:
                super().perform(effect)

"""What the limits say to those who arrive: put into the events with which they come, for the rows to act upon."""

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from actors.counts import Counts
from fsm import limits
from protocol.connection import Authenticated
from protocol.limits import LimitReached
from protocol.session import ProgramWanted
from protocol.settings import Settings
from protocol.timer import TimerStarted

if TYPE_CHECKING:
    from actors.connection import ConnectionActor
    from actors.session import SessionActor


class Admission:
    """`counts` is shared by all connections; the settings are each connection's own."""

    def __init__(self) -> None:
        self.counts = Counts()

    def connection(self, id: str, remote: str, settings: Settings) -> LimitReached | None:
        return self.counts.connected(id, host_of(remote), settings.limits)

    def login(self, actor: "ConnectionActor", event: Authenticated) -> Authenticated:
        """With the limit that is reached, or with those that will be some time."""
        if event.unsettled:
            return event
        settings = actor.settings
        with_container = settings.docker.execution.mode == "connection"
        host = host_of(actor.about["remoteAddr"])
        limit = self.counts.logged_in(actor.id, event.username, host, settings.limits, with_container)
        if limit is not None:
            return replace(event, reached=limit)
        return replace(event, timers=timers(actor.id, settings))

    def may_open(self, actor: "ConnectionActor") -> LimitReached | None:
        return self.counts.may_open(*_whose(actor.about), actor.settings.limits)

    def session(self, actor: "ConnectionActor", session: str) -> None:
        self.counts.opened(session, *_whose(actor.about), actor.settings.limits)

    def program(self, actor: "SessionActor", event: ProgramWanted) -> ProgramWanted:
        """In mode session it has a container of its own."""
        settings = actor.settings
        if not event.admitted or settings.docker.execution.mode == "connection":
            return event
        limit = self.counts.contained(actor.id, *_whose(actor.about), settings.limits)
        return event if limit is None else replace(event, admitted=False, why=limits.why(limit), refused_by="limits")


def timers(connection: str, settings: Settings) -> dict[str, TimerStarted]:
    """The limits in time that a connection has, by the names of their actors. Half of one is warned of at most."""
    found = {}
    allowed: dict[Any, float] = {"idle": settings.limits.idle, "total": settings.limits.total}
    for limit, allowed_s in allowed.items():
        warning_s = min(settings.limits.warning, allowed_s / 2)
        seconds = {"warn": allowed_s - warning_s, "strike": warning_s, "kill": settings.shutdown.kill}
        if allowed_s:
            found[f"ti-{connection.removeprefix('cn-')}-{limit}"] = TimerStarted(
                connection=connection, limit=limit, allowed_s=allowed_s, warns=warning_s > 0, seconds=seconds
            )
    return found


def host_of(remote: str) -> str:
    """The IP address of `IP:PORT`."""
    return remote.rpartition(":")[0].strip("[]")


def _whose(about: dict[str, Any]) -> tuple[str, str]:
    return str(about.get("username", "")), host_of(about["remoteAddr"])

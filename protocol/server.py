"""What is said to the server machine, and what it asks for."""

from enum import Enum

from protocol.base import Effect, Event


class ServerState(Enum):
    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"
    TERMINATING = "terminating"
    KILLING = "killing"
    STOPPED = "stopped"


class Listening(Event, frozen=True, kw_only=True, tag="listening"):
    """The listener accepts connections on `listen` (host:port each). `seconds` are the deadlines by name."""

    listen: tuple[str, ...]
    seconds: dict[str, float]


class ShutdownWanted(Event, frozen=True, kw_only=True, tag="shutdown_wanted"):
    """INT, TERM, or the embedding program leaves its block."""

    why: str


class AllGone(Event, frozen=True, kw_only=True, tag="all_gone"):
    """No connection, session or container is left."""


class StopAccepting(Effect, frozen=True, kw_only=True, tag="stop_accepting"): ...


class DrainConnections(Effect, frozen=True, kw_only=True, tag="drain_connections"):
    """`DrainWanted` to every connection."""


class TerminateConnections(Effect, frozen=True, kw_only=True, tag="terminate_connections"):
    """`TerminateWanted` to every connection."""


class CloseConnections(Effect, frozen=True, kw_only=True, tag="close_connections"):
    """`CloseWanted` to every connection."""

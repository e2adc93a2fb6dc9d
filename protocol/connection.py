"""What is said to the connection machine, and what it asks for."""

from enum import Enum
from typing import Literal

from protocol.base import Effect, Event, Size
from protocol.limits import LimitReached
from protocol.settings import ExecutionMode
from protocol.timer import TimerStarted

# The part of the policy, or the limit, that refused a channel or a global request; empty: it was neither.
ChannelRefusedBy = Literal["", "forwarding", "reverse_forwarding", "max_sessions", "limits"]
# Why a client that is who it says has no settings: its choice of a template, or all the rest; empty: it has.
Unsettled = Literal["", "template", "config"]
# What the machine wants to know of the end of a transport. `silent`: no sign of life, from the client or from its host.
DisconnectCause = Literal["", "not_ssh", "silent"]


class ConnectionState(Enum):
    NEW = "new"
    HANDSHAKING = "handshaking"
    LANDING = "landing"
    SERVING = "serving"
    STRANDED = "stranded"
    DRAINING = "draining"
    CLOSING = "closing"
    CLOSED = "closed"


class ConnectionOpened(Event, frozen=True, kw_only=True, tag="connection_opened"):
    """A TCP connection was accepted. `connection` is its id (32 hex digits), `seconds` the deadlines by name.

    `reached`: its address has enough of them.
    """

    connection: str
    remote: str
    mode: ExecutionMode
    image: str
    container: str  # the name its container will have, in connection mode
    seconds: dict[str, float]
    reached: LimitReached | None = None


class AuthFailed(Event, frozen=True, kw_only=True, tag="auth_failed"):
    """One attempt with one method was turned down."""

    username: str
    method: Literal["password", "publickey", "none", "keyboard-interactive"]
    why: str


class Authenticated(Event, frozen=True, kw_only=True, tag="authenticated"):
    """The client is who it says. `by` is the key's SHA-256 fingerprint, or empty.

    `rules` are the names of those that it meets, `template` is what it chose; `mode` and `image` are what came of it
    (empty: as when it connected). `why` it is `unsettled` is for the operator. `reached`: the user or the address has
    enough. `timers`: its limits in time, by the id of the timer actor.
    """

    username: str
    method: str
    by: str = ""
    client: str = ""  # its version string
    rules: tuple[str, ...] = ()
    template: str = ""
    mode: ExecutionMode | Literal[""] = ""
    image: str = ""
    unsettled: Unsettled = ""
    why: str = ""
    reached: LimitReached | None = None
    timers: dict[str, TimerStarted] = {}


class SessionOpened(Event, frozen=True, kw_only=True, tag="session_opened"):
    session: str  # the session actor's id


class SessionEnded(Event, frozen=True, kw_only=True, tag="session_ended"):
    session: str


class RequestRefused(Event, frozen=True, kw_only=True, tag="request_refused"):
    """The client asked for something we do not do (a channel type, a global request); it was told no."""

    what: str
    why: str
    refused_by: ChannelRefusedBy = ""


class Disconnected(Event, frozen=True, kw_only=True, tag="disconnected"):
    """The transport is gone; `why` is empty for an orderly end."""

    why: str = ""
    cause: DisconnectCause = ""


class ShimFailed(Event, frozen=True, kw_only=True, tag="shim_failed"):
    """An error of ours in a callback or task of this connection. It ends this connection and nobody else's."""

    why: str


class DrainWanted(Event, frozen=True, kw_only=True, tag="drain_wanted"):
    """The server is shutting down: no new sessions, running ones may end in their own time."""


class TerminateWanted(Event, frozen=True, kw_only=True, tag="terminate_wanted"):
    """The server's grace period is over, or a time limit of the connection: `by` is its code, `why` its sentence."""

    why: str
    by: str = ""


class LimitNears(Event, frozen=True, kw_only=True, tag="limit_nears"):
    """A time limit will be over soon: `why` is the sentence for the users of the sessions."""

    code: str
    why: str


class LimitPassed(Event, frozen=True, kw_only=True, tag="limit_passed"):
    """A time limit is over, and `why` is the sentence about it."""

    code: str
    why: str


class CloseWanted(Event, frozen=True, kw_only=True, tag="close_wanted"):
    """Time is up: close, whatever still runs."""

    why: str


class LandContainer(Effect, frozen=True, kw_only=True, tag="land_container"):
    """Start a container actor called `container` for this actor and give it its `ContainerWanted`.

    `tty` and `size` are the session's, in session mode.
    """

    container: str
    image: str
    tty: bool = False
    size: Size | None = None


class StartTimer(Effect, frozen=True, kw_only=True, tag="start_timer"):
    """Start a timer actor called `timer` with this first event."""

    timer: str
    started: TimerStarted


class CloseConnection(Effect, frozen=True, kw_only=True, tag="close_connection"):
    """Send SSH_MSG_DISCONNECT with `why` and close."""

    why: str


class AbortConnection(Effect, frozen=True, kw_only=True, tag="abort_connection"):
    """Close the socket without a word."""

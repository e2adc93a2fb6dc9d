"""What is said to the server machine, and what it asks for."""

from enum import Enum

from protocol.base import Effect, Event, Fault


class ServerState(Enum):
    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"
    TERMINATING = "terminating"
    KILLING = "killing"
    UPGRADING = "upgrading"
    RETIRING = "retiring"
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


class UpgradeWanted(Event, frozen=True, kw_only=True, tag="upgrade_wanted"):
    """Somebody asks for an upgrade: `argv` is the command that starts the new version. Each attempt has an id."""

    attempt: str
    argv: tuple[str, ...]


class SuccessorCame(Event, frozen=True, kw_only=True, tag="successor_came"):
    """A new process asks for the listening sockets. `sent_for`: an upgrade of ours has started it."""

    attempt: str
    sent_for: bool
    pid: int
    version: str


class SuccessorReady(Event, frozen=True, kw_only=True, tag="successor_ready"):
    """It has the engine, its keys and the sockets, and would serve as soon as we let it."""

    attempt: str
    pid: int


class SuccessorFailed(Event, frozen=True, kw_only=True, tag="successor_failed"):
    """It could not be started, has ended, or says why it cannot serve."""

    attempt: str
    why: str


class StopAccepting(Effect, frozen=True, kw_only=True, tag="stop_accepting"):
    """No new connections, and no containers kept ready for them."""


class ReloadWanted(Event, frozen=True, kw_only=True, tag="reload_wanted"):
    """The configuration is to be read again. `asked_by`: a signal, `moorage reload`, the program that serves."""

    attempt: int
    asked_by: str


class SettingsRead(Event, frozen=True, kw_only=True, tag="settings_read"):
    """It can be used. `changes` are sentences without secrets, `seconds` the deadlines by name."""

    attempt: int
    changes: tuple[str, ...]
    seconds: dict[str, float]


class SettingsRefused(Fault, frozen=True, kw_only=True, tag="settings_refused"):
    """It cannot; the old one stays. `why` has all that is wrong."""

    attempt: int


class ReadSettings(Effect, frozen=True, kw_only=True, tag="read_settings"):
    attempt: int


class AdoptSettings(Effect, frozen=True, kw_only=True, tag="adopt_settings"):
    """New connections have what was read; those that are there keep theirs."""

    attempt: int


class AnswerReload(Effect, frozen=True, kw_only=True, tag="answer_reload"):
    """Tell whoever asked. With a `why` nothing has changed."""

    attempt: int
    changes: tuple[str, ...] = ()
    why: str = ""


class DrainConnections(Effect, frozen=True, kw_only=True, tag="drain_connections"):
    """`DrainWanted` to every connection, and no further sessions in them."""


class TerminateConnections(Effect, frozen=True, kw_only=True, tag="terminate_connections"):
    """`TerminateWanted` to every connection."""


class CloseConnections(Effect, frozen=True, kw_only=True, tag="close_connections"):
    """`CloseWanted` to every connection."""


class StartSuccessor(Effect, frozen=True, kw_only=True, tag="start_successor"):
    attempt: str
    argv: tuple[str, ...]


class PassSockets(Effect, frozen=True, kw_only=True, tag="pass_sockets"):
    """The listening sockets to the successor; we accept on them until it is ready."""

    attempt: str


class EndAttempt(Effect, frozen=True, kw_only=True, tag="end_attempt"):
    """Tell whoever asked and the successor how it ended. Without a `why` the successor serves now."""

    attempt: str
    why: str = ""


OUTCOMES: dict[type[Effect], tuple[type[Event], type[Fault]]] = {ReadSettings: (SettingsRead, SettingsRefused)}

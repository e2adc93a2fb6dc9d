"""What is said to the auth machine, and what it asks for. Passwords, codes and keys stay with the actor; an attempt is
named here by its number, a key by its fingerprint."""

from enum import Enum
from typing import Literal

from protocol.base import Effect, Event, Fault
from protocol.ways import Factor, Way

# Who is asked: the configuration itself, the command, the webhook, the identity provider (for a code, for an answer),
# the webhook that has the last word, the one that has the settings.
Source = Literal["users", "command", "webhook", "device", "token", "authz", "config"]
# `shown` and `pending` belong to the device flow: there is a code to show; the person has not used it yet.
Verdict = Literal["yes", "no", "shown", "pending"]
Reply = Literal["success", "partial", "acceptable", "failure", "unavailable"]


class AuthState(Enum):
    NEW = "new"
    IDLE = "idle"
    CHECKING = "checking"
    CHECKING_AGAIN = "checking_again"
    PROMPTING = "prompting"
    SHOWING = "showing"
    POLLING = "polling"
    PENDING = "pending"
    AUTHORIZING = "authorizing"
    AUTHORIZING_AGAIN = "authorizing_again"
    CONFIGURING = "configuring"
    CONFIGURING_AGAIN = "configuring_again"
    GRANTED = "granted"
    LEFT = "left"


class LoginBegun(Event, frozen=True, kw_only=True, tag="login_begun"):
    """The client speaks of logging in. `authorizes`: a webhook has the last word; `configures`: one has the settings.
    `seconds`: deadlines by name."""

    connection: str  # the connection actor's id
    remote: str
    authorizes: bool
    seconds: dict[str, float]
    configures: bool = False


class NameGiven(Event, frozen=True, kw_only=True, tag="name_given"):
    """A user name, and the ways in that it has. Another name than before begins anew. `template`: chosen with it."""

    username: str
    ways: tuple[Way, ...]
    template: str = ""


class AttemptMade(Event, frozen=True, kw_only=True, tag="attempt_made"):
    """One try with one factor. `probe`: a key is asked about and not proved yet. `flaw`: wrong without being asked
    about (a bad signature). `limited`: too many have failed from there. `sources` are asked in this order."""

    attempt: int
    factor: Factor
    sources: tuple[Source, ...]
    by: str = ""
    probe: bool = False
    flaw: str = ""
    limited: bool = False
    seconds: float = 0.0  # the budget for all of its questions; 0: none


class AnswersGiven(Event, frozen=True, kw_only=True, tag="answers_given"):
    """The client has answered the prompt of keyboard-interactive, or has read what it was shown."""

    attempt: int
    limited: bool = False


class AttemptDropped(Event, frozen=True, kw_only=True, tag="attempt_dropped"):
    """The client began something else before it was answered (RFC 4252 section 5.1)."""

    attempt: int


class ClientLeft(Event, frozen=True, kw_only=True, tag="client_left"):
    """The connection is gone before anybody was let in."""


class Answered(Event, frozen=True, kw_only=True, tag="answered"):
    """A source has spoken. `username`: who it really is, where it knows, and `ways`: the ways in of that name; `wait`:
    seconds until the next poll."""

    attempt: int
    verdict: Verdict
    why: str = ""
    username: str = ""
    ways: tuple[Way, ...] = ()
    wait: float = 0.0


class AskFailed(Fault, frozen=True, kw_only=True, tag="ask_failed"):
    """A source has not spoken."""

    attempt: int = 0


class Ask(Effect, frozen=True, kw_only=True, tag="ask"):
    """Put the attempt to a source."""

    attempt: int
    factor: Factor
    source: Source


class CancelAsk(Effect, frozen=True, kw_only=True, tag="cancel_ask"):
    """Nobody wants the answer any more."""


class Prompt(Effect, frozen=True, kw_only=True, tag="prompt"):
    """Ask the person at the other end: for the code of the authenticator, or to open the provider's page."""

    attempt: int
    factor: Factor


class ReplyToClient(Effect, frozen=True, kw_only=True, tag="reply_to_client"):
    """Answer the client. `why` is for the operator; the client never hears it. `unsettled`: it is let in, and this is
    why there are no settings for it."""

    attempt: int
    reply: Reply
    why: str = ""
    username: str = ""
    factors: Way = ()  # what has been proved so far
    counts: bool = False  # among the failures of its address
    unsettled: str = ""


OUTCOMES: dict[type[Effect], tuple[type[Event], type[Fault]]] = {Ask: (Answered, AskFailed)}

"""One login, from the first user name to success: factors in sequence, who is asked about each, the last word, and the
settings that a webhook has for it. The rows are in `auth_rows`.

Every name goes the same way through the table: an unknown one is checked against what nobody can have, and is refused
where a wrong password is. A source that does not answer is asked again within the budget and is no failure of the
client's; it hears the same "no".
"""

from fsm.kernel import Effects
from fsm.retry import RetryCell
from protocol.auth import (
    Answered,
    AnswersGiven,
    Ask,
    AskFailed,
    AttemptDropped,
    AttemptMade,
    CancelAsk,
    LoginBegun,
    NameGiven,
    Prompt,
    Reply,
    ReplyToClient,
    Source,
)
from protocol.auth import AuthState as S
from protocol.base import Event
from protocol.ways import Factor, Way, next_factors

CHECK = "check"  # the budget of one attempt: authTimeout of its webhook, or the command's timeout
AUTHORIZE = "authorize"  # authz.webhook.authTimeout
CONFIGURE = "configure"  # configserver.configTimeout
DEVICE = "device"  # oauth2.oidc.loginTimeout
POLL = "poll"  # as often as the identity provider lets us ask


class AuthCell(RetryCell):
    """`passed` are the factors proved so far; the rest is about the attempt under way."""

    state: str = S.NEW.name
    authorizes: bool = False
    configures: bool = False
    ways: tuple[Way, ...] = ()
    passed: Way = ()
    given: str = ""
    username: str = ""  # as given, or as a source has corrected it
    attempt: int = 0
    factor: Factor = "publickey"
    probe: bool = False
    sources: tuple[Source, ...] = ()  # still to be asked, the one being asked first


# Guards


def is_flawed(cell: AuthCell, event: AttemptMade) -> bool:
    return bool(event.flaw) or not event.sources


def is_limited(cell: AuthCell, event: AttemptMade | AnswersGiven) -> bool:
    return event.limited


def wants_a_code(cell: AuthCell, event: AttemptMade) -> bool:
    return event.factor == "totp"


def is_stale(cell: AuthCell, event: Answered | AskFailed | AnswersGiven | AttemptDropped) -> bool:
    return event.attempt != cell.attempt


def is_shown(cell: AuthCell, event: Answered) -> bool:
    return event.verdict == "shown"


def is_pending(cell: AuthCell, event: Answered) -> bool:
    return event.verdict == "pending"


def is_acceptable(cell: AuthCell, event: Answered) -> bool:
    return event.verdict == "yes" and cell.probe


def is_somebody_else(cell: AuthCell, event: Answered) -> bool:
    """A name other than the given one is taken from a factor that lets both in by itself, and from no other: else two
    factors could belong to two people, or a name that needs only one could be the way around another's second."""
    alone = not cell.passed and (cell.factor,) in cell.ways and (cell.factor,) in event.ways
    return event.verdict == "yes" and not alone and event.username not in ("", cell.username)


def is_no_way_in(cell: AuthCell, event: Answered) -> bool:
    """Proved, but not among what may come next for this user."""
    return event.verdict == "yes" and cell.factor not in next_factors(cell.ways, cell.passed)


def is_all(cell: AuthCell, event: Answered) -> bool:
    return _is_last(cell, event) and not cell.authorizes and not cell.configures


def is_the_last_and_authorized(cell: AuthCell, event: Answered) -> bool:
    return _is_last(cell, event) and not cell.authorizes


def is_the_last(cell: AuthCell, event: Answered) -> bool:
    return _is_last(cell, event)


def _is_last(cell: AuthCell, event: Answered) -> bool:
    return event.verdict == "yes" and (*cell.passed, cell.factor) in cell.ways


def is_yes(cell: AuthCell, event: Answered) -> bool:
    return event.verdict == "yes"


def is_yes_of_all(cell: AuthCell, event: Answered) -> bool:
    return event.verdict == "yes" and not cell.configures


def has_another_source(cell: AuthCell, event: Answered) -> bool:
    return len(cell.sources) > 1


# Makers


def note(cell: AuthCell, event: LoginBegun) -> Effects:
    cell.authorizes, cell.configures, cell.seconds = event.authorizes, event.configures, dict(event.seconds)
    return ()


def note_name(cell: AuthCell, event: NameGiven) -> Effects:
    """RFC 4252 section 5: what was proved under another name is forgotten."""
    cell.given, cell.ways = event.username, event.ways
    _forget(cell)
    return ()


def check(cell: AuthCell, event: AttemptMade) -> Effects:
    _take(cell, event)
    return _ask(cell)


def prompt(cell: AuthCell, event: AttemptMade) -> Effects:
    _take(cell, event)
    return (Prompt(attempt=cell.attempt, factor=cell.factor),)


def _take(cell: AuthCell, event: AttemptMade) -> None:
    cell.attempt, cell.factor, cell.probe, cell.sources = event.attempt, event.factor, event.probe, event.sources
    cell.tries = 0
    cell.seconds.pop(CHECK, None)
    if event.seconds:
        cell.seconds[CHECK] = event.seconds


def ask(cell: AuthCell, event: Event) -> Effects:
    return _ask(cell)


def ask_next(cell: AuthCell, event: Answered) -> Effects:
    cell.sources, cell.tries = cell.sources[1:], 0
    return _ask(cell)


def _ask(cell: AuthCell) -> Effects:
    return (Ask(attempt=cell.attempt, factor=cell.factor, source=cell.sources[0]),)


def show(cell: AuthCell, event: Answered) -> Effects:
    cell.seconds[POLL] = event.wait
    return (Prompt(attempt=cell.attempt, factor=cell.factor),)


def ask_for_token(cell: AuthCell, event: Event) -> Effects:
    cell.sources = ("token",)
    return _ask(cell)


def wait(cell: AuthCell, event: Answered) -> Effects:
    cell.seconds[POLL] = event.wait
    return ()


def authorize(cell: AuthCell, event: Answered) -> Effects:
    _pass(cell, event)
    cell.sources, cell.tries = ("authz",), 0
    return _ask(cell)


def configure(cell: AuthCell, event: Answered) -> Effects:
    _pass(cell, event)
    return _ask_for_settings(cell)


def configure_authorized(cell: AuthCell, event: Answered) -> Effects:
    cell.username = event.username or cell.username
    return _ask_for_settings(cell)


def _ask_for_settings(cell: AuthCell) -> Effects:
    cell.sources, cell.tries = ("config",), 0
    return _ask(cell)


def grant(cell: AuthCell, event: Answered) -> Effects:
    _pass(cell, event)
    return (_reply(cell, "success"),)


def grant_authorized(cell: AuthCell, event: Answered) -> Effects:
    cell.username = event.username or cell.username
    return (_reply(cell, "success"),)


def grant_settled(cell: AuthCell, event: Answered) -> Effects:
    return (_reply(cell, "success"),)


def grant_unsettled(cell: AuthCell, event: Event) -> Effects:
    """The client is who it says, so it is let in and told that there is nothing for it."""
    match event:
        case Answered() | AskFailed():
            why = event.why
        case _:
            why = "config: there was no answer in time"
    return CancelAsk(), _reply(cell, "success", unsettled=why)


def grant_part(cell: AuthCell, event: Answered) -> Effects:
    _pass(cell, event)
    return (_reply(cell, "partial"),)


def _pass(cell: AuthCell, event: Answered) -> None:
    cell.passed = (*cell.passed, cell.factor)
    cell.username = event.username or cell.username


def accept(cell: AuthCell, event: Answered) -> Effects:
    return (_reply(cell, "acceptable"),)


def refuse_unseen(cell: AuthCell, event: AttemptMade) -> Effects:
    cell.attempt, cell.factor = event.attempt, event.factor
    return (_reply(cell, "failure", event.flaw or "nobody is asked about this", counts=bool(event.flaw)),)


def refuse_limited(cell: AuthCell, event: AttemptMade | AnswersGiven) -> Effects:
    """Not counted again: the limit ends when the period has passed, not when the guesser tires."""
    cell.attempt = event.attempt
    return (_reply(cell, "failure", "too many have failed from this address"),)


def refuse(cell: AuthCell, event: Answered) -> Effects:
    """A key that is only asked about does not count: a client offers all that its agent has."""
    return (_reply(cell, "failure", event.why, counts=not cell.probe),)


def refuse_name(cell: AuthCell, event: Answered) -> Effects:
    return (_reply(cell, "failure", "it proves another name than was given", counts=True),)


def refuse_way(cell: AuthCell, event: Answered) -> Effects:
    return (_reply(cell, "failure", f"{cell.factor} is not what may come next for this user", counts=True),)


def refuse_authz(cell: AuthCell, event: Answered) -> Effects:
    """All factors are spent: what follows is a new login."""
    _forget(cell)
    return (_reply(cell, "failure", event.why, counts=True),)


def give_up(cell: AuthCell, event: Event) -> Effects:
    """The source does not answer in time, or will not."""
    why = event.why if isinstance(event, AskFailed) else "there was no answer in time"
    if cell.sources == ("authz",):
        _forget(cell)
    return CancelAsk(), _reply(cell, "unavailable", why)


def give_up_device(cell: AuthCell, event: Event) -> Effects:
    return CancelAsk(), _reply(cell, "failure", "nobody has used the code in time")


def let_go(cell: AuthCell, event: Event) -> Effects:
    """A client that drops an attempt begins anew."""
    _forget(cell)
    return (CancelAsk(),)


def forget(cell: AuthCell, event: AttemptDropped) -> Effects:
    _forget(cell)
    return ()


def _forget(cell: AuthCell) -> None:
    cell.passed, cell.username = (), cell.given


def _reply(
    cell: AuthCell, reply: Reply, why: str = "", counts: bool = False, unsettled: str = ""
) -> ReplyToClient:  # fmt: skip
    return ReplyToClient(
        attempt=cell.attempt,
        reply=reply,
        why=why,
        username=cell.username,
        factors=cell.passed,
        counts=counts,
        unsettled=unsettled,
    )

"""One login, from the first user name to success: factors in sequence, who is asked about each, and the last word.

Every name goes the same way through the table: an unknown one is checked against what nobody can have, and is refused
where a wrong password is. A source that does not answer is asked again within the budget and is no failure of the
client's; it hears the same "no".
"""

from fsm.kernel import Effects, Kind, Row
from fsm.retry import BACKOFF, RetryCell, back_off, may_try_again
from protocol import codes
from protocol.auth import (
    Answered,
    AnswersGiven,
    Ask,
    AskFailed,
    AttemptDropped,
    AttemptMade,
    CancelAsk,
    ClientLeft,
    LoginBegun,
    NameGiven,
    Prompt,
    Reply,
    ReplyToClient,
    Source,
)
from protocol.auth import AuthState as S
from protocol.base import DeadlinePassed, Event
from protocol.ways import Factor, Way, next_factors

CHECK = "check"  # the budget of one attempt: authTimeout of its webhook, or the command's timeout
AUTHORIZE = "authorize"  # authz.webhook.authTimeout
DEVICE = "device"  # oauth2.oidc.loginTimeout
POLL = "poll"  # as often as the identity provider lets us ask


class AuthCell(RetryCell):
    """`passed` are the factors proved so far; the rest is about the attempt under way."""

    state: str = S.NEW.name
    authorizes: bool = False
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


def is_the_last_and_authorized(cell: AuthCell, event: Answered) -> bool:
    return _is_last(cell, event) and not cell.authorizes


def is_the_last(cell: AuthCell, event: Answered) -> bool:
    return _is_last(cell, event)


def _is_last(cell: AuthCell, event: Answered) -> bool:
    return event.verdict == "yes" and (*cell.passed, cell.factor) in cell.ways


def is_yes(cell: AuthCell, event: Answered) -> bool:
    return event.verdict == "yes"


def has_another_source(cell: AuthCell, event: Answered) -> bool:
    return len(cell.sources) > 1


# Makers


def note(cell: AuthCell, event: LoginBegun) -> Effects:
    cell.authorizes, cell.seconds = event.authorizes, dict(event.seconds)
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


def grant(cell: AuthCell, event: Answered) -> Effects:
    _pass(cell, event)
    return (_reply(cell, "success"),)


def grant_authorized(cell: AuthCell, event: Answered) -> Effects:
    cell.username = event.username or cell.username
    return (_reply(cell, "success"),)


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


def _reply(cell: AuthCell, reply: Reply, why: str = "", counts: bool = False) -> ReplyToClient:
    return ReplyToClient(
        attempt=cell.attempt, reply=reply, why=why, username=cell.username, factors=cell.passed, counts=counts
    )


DEADLINES = {
    CHECK: (S.CHECKING, S.CHECKING_AGAIN),
    AUTHORIZE: (S.AUTHORIZING, S.AUTHORIZING_AGAIN),
    DEVICE: (S.SHOWING, S.POLLING, S.PENDING),
    POLL: (S.PENDING,),
    BACKOFF: (S.CHECKING_AGAIN, S.AUTHORIZING_AGAIN),
}

BEGIN, YES, NO, PART = codes.AUTH, codes.AUTH_SUCCESSFUL, codes.AUTH_FAILED, codes.MOORAGE_AUTH_PARTIAL
BROKEN, AWAY, LIMITED = codes.AUTH_BACKEND_ERROR, codes.SSH_AUTH_UNAVAILABLE, codes.MOORAGE_AUTH_LIMITED
UNAUTHORIZED = codes.AUTHZ_FAILED
SHOWN, PENDING, LATE = codes.MOORAGE_DEVICE_CODE, codes.AUTH_OAUTH2_AUTHORIZATION_PENDING, codes.AUTH_OAUTH2_TIMEOUT
OTHER = codes.MOORAGE_AUTH_OTHER_NAME

# fmt: off
ROWS = (
    #   id        in state             on              to                   do                when                        says
    Row("AU0101", S.NEW,               LoginBegun,     S.IDLE,              note),

    Row("AU0201", S.IDLE,              NameGiven,      None,                note_name),
    Row("AU0202", S.IDLE,              AttemptMade,    None,                refuse_limited,   is_limited,                 (LIMITED,)),
    Row("AU0203", S.IDLE,              AttemptMade,    None,                refuse_unseen,    is_flawed,                  (NO,)),
    Row("AU0204", S.IDLE,              AttemptMade,    S.PROMPTING,         prompt,           wants_a_code,               (BEGIN,)),
    Row("AU0205", S.IDLE,              AttemptMade,    S.CHECKING,          check,            None,                       (BEGIN,)),
    Row("AU0206", S.IDLE,              AttemptDropped, None,                    forget),  # it crossed our reply
    Row("AU0207", S.IDLE,              Answered,       None),  # of an attempt that was dropped
    Row("AU0208", S.IDLE,              AskFailed,      None),
    Row("AU0209", S.IDLE,              AnswersGiven,   None),
    Row("AU0210", S.IDLE,              ClientLeft,     S.LEFT),

    Row("AU0301", S.CHECKING,          Answered,       None,                None,             is_stale),
    Row("AU0302", S.CHECKING,          Answered,       S.SHOWING,           show,             is_shown,                   (SHOWN,)),
    Row("AU0303", S.CHECKING,          Answered,       S.IDLE,              accept,           is_acceptable),
    Row("AU0304", S.CHECKING,          Answered,       S.IDLE,              refuse_name,      is_somebody_else,           (OTHER, NO)),
    Row("AU0305", S.CHECKING,          Answered,       S.IDLE,              refuse_way,       is_no_way_in,               (NO,)),
    Row("AU0306", S.CHECKING,          Answered,       S.GRANTED,           grant,            is_the_last_and_authorized, (YES,)),
    Row("AU0307", S.CHECKING,          Answered,       S.AUTHORIZING,       authorize,        is_the_last,                (YES,)),
    Row("AU0308", S.CHECKING,          Answered,       S.IDLE,              grant_part,       is_yes,                     (PART,)),
    Row("AU0309", S.CHECKING,          Answered,       None,                ask_next,         has_another_source),
    Row("AU0310", S.CHECKING,          Answered,       S.IDLE,              refuse,           None,                       (NO,)),
    Row("AU0311", S.CHECKING,          AskFailed,      None,                None,             is_stale),
    Row("AU0312", S.CHECKING,          AskFailed,      S.CHECKING_AGAIN,    back_off,         may_try_again,              (BROKEN.quiet(),)),
    Row("AU0313", S.CHECKING,          AskFailed,      S.IDLE,              give_up,          None,                       (BROKEN, AWAY)),
    Row("AU0314", S.CHECKING,          DeadlinePassed, S.IDLE,              give_up,          None,                       (BROKEN, AWAY), CHECK),
    Row("AU0315", S.CHECKING,          AttemptDropped, S.IDLE,              let_go),
    Row("AU0316", S.CHECKING,          ClientLeft,     S.LEFT,              let_go),

    Row("AU0401", S.CHECKING_AGAIN,    DeadlinePassed, S.CHECKING,          ask,              None,                       (), BACKOFF),
    Row("AU0402", S.CHECKING_AGAIN,    DeadlinePassed, S.IDLE,              give_up,          None,                       (BROKEN, AWAY), CHECK),
    Row("AU0403", S.CHECKING_AGAIN,    Answered,       None),  # of an attempt that was dropped
    Row("AU0404", S.CHECKING_AGAIN,    AskFailed,      None),
    Row("AU0405", S.CHECKING_AGAIN,    AttemptDropped, S.IDLE,              let_go),
    Row("AU0406", S.CHECKING_AGAIN,    ClientLeft,     S.LEFT,              let_go),

    Row("AU0501", S.PROMPTING,         AnswersGiven,   S.IDLE,              refuse_limited,   is_limited,                 (LIMITED,)),
    Row("AU0502", S.PROMPTING,         AnswersGiven,   S.CHECKING,          ask),
    Row("AU0503", S.PROMPTING,         Answered,       None),  # of an attempt that was dropped
    Row("AU0504", S.PROMPTING,         AskFailed,      None),
    Row("AU0505", S.PROMPTING,         AttemptDropped, S.IDLE,                  forget),
    Row("AU0506", S.PROMPTING,         ClientLeft,     S.LEFT),

    Row("AU0601", S.SHOWING,           AnswersGiven,   S.POLLING,           ask_for_token),
    Row("AU0602", S.SHOWING,           DeadlinePassed, S.IDLE,              give_up_device,   None,                       (LATE, NO), DEVICE),
    Row("AU0603", S.SHOWING,           Answered,       None),  # of an attempt that was dropped
    Row("AU0604", S.SHOWING,           AskFailed,      None),
    Row("AU0605", S.SHOWING,           AttemptDropped, S.IDLE,                  forget),
    Row("AU0606", S.SHOWING,           ClientLeft,     S.LEFT),

    Row("AU0701", S.POLLING,           Answered,       None,                None,             is_stale),
    Row("AU0702", S.POLLING,           Answered,       S.PENDING,           wait,             is_pending,                 (PENDING,)),
    Row("AU0703", S.POLLING,           Answered,       S.IDLE,              refuse_name,      is_somebody_else,           (OTHER, NO)),
    Row("AU0704", S.POLLING,           Answered,       S.IDLE,              refuse_way,       is_no_way_in,               (NO,)),
    Row("AU0705", S.POLLING,           Answered,       S.GRANTED,           grant,            is_the_last_and_authorized, (YES,)),
    Row("AU0706", S.POLLING,           Answered,       S.AUTHORIZING,       authorize,        is_the_last,                (YES,)),
    Row("AU0707", S.POLLING,           Answered,       S.IDLE,              grant_part,       is_yes,                     (PART,)),
    Row("AU0708", S.POLLING,           Answered,       S.IDLE,              refuse,           None,                       (NO,)),
    Row("AU0709", S.POLLING,           AskFailed,      None,                None,             is_stale),
    Row("AU0710", S.POLLING,           AskFailed,      S.PENDING,           None,             may_try_again,              (BROKEN.quiet(),)),
    Row("AU0711", S.POLLING,           AskFailed,      S.IDLE,              give_up,          None,                       (BROKEN, AWAY)),
    Row("AU0712", S.POLLING,           DeadlinePassed, S.IDLE,              give_up_device,   None,                       (LATE, NO), DEVICE),
    Row("AU0713", S.POLLING,           AttemptDropped, S.IDLE,              let_go),
    Row("AU0714", S.POLLING,           ClientLeft,     S.LEFT,              let_go),

    Row("AU0801", S.PENDING,           DeadlinePassed, S.POLLING,           ask_for_token,    None,                       (), POLL),
    Row("AU0802", S.PENDING,           DeadlinePassed, S.IDLE,              give_up_device,   None,                       (LATE, NO), DEVICE),
    Row("AU0803", S.PENDING,           Answered,       None),  # of an attempt that was dropped
    Row("AU0804", S.PENDING,           AskFailed,      None),
    Row("AU0805", S.PENDING,           AttemptDropped, S.IDLE,                  forget),
    Row("AU0806", S.PENDING,           ClientLeft,     S.LEFT),

    Row("AU0901", S.AUTHORIZING,       Answered,       None,                None,             is_stale),
    Row("AU0902", S.AUTHORIZING,       Answered,       S.GRANTED,           grant_authorized, is_yes),
    Row("AU0903", S.AUTHORIZING,       Answered,       S.IDLE,              refuse_authz,     None,                       (UNAUTHORIZED,)),
    Row("AU0904", S.AUTHORIZING,       AskFailed,      None,                None,             is_stale),
    Row("AU0905", S.AUTHORIZING,       AskFailed,      S.AUTHORIZING_AGAIN, back_off,         may_try_again,              (BROKEN.quiet(),)),
    Row("AU0906", S.AUTHORIZING,       AskFailed,      S.IDLE,              give_up,          None,                       (BROKEN, AWAY)),
    Row("AU0907", S.AUTHORIZING,       DeadlinePassed, S.IDLE,              give_up,          None,                       (BROKEN, AWAY), AUTHORIZE),
    Row("AU0908", S.AUTHORIZING,       AttemptDropped, S.IDLE,              let_go),
    Row("AU0909", S.AUTHORIZING,       ClientLeft,     S.LEFT,              let_go),

    Row("AU1001", S.AUTHORIZING_AGAIN, DeadlinePassed, S.AUTHORIZING,       ask,              None,                       (), BACKOFF),
    Row("AU1002", S.AUTHORIZING_AGAIN, DeadlinePassed, S.IDLE,              give_up,          None,                       (BROKEN, AWAY), AUTHORIZE),
    Row("AU1003", S.AUTHORIZING_AGAIN, Answered,       None),  # of an attempt that was dropped
    Row("AU1004", S.AUTHORIZING_AGAIN, AskFailed,      None),
    Row("AU1005", S.AUTHORIZING_AGAIN, AttemptDropped, S.IDLE,              let_go),
    Row("AU1006", S.AUTHORIZING_AGAIN, ClientLeft,     S.LEFT,              let_go),
)
# fmt: on

AUTH = Kind("auth", S, S.NEW, ROWS, DEADLINES, final=(S.GRANTED, S.LEFT), cell=AuthCell)

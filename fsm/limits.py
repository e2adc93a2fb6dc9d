"""Is a limit reached? Pure answers by the `limits` section, and the sentences that people are told.

What is counted is in `actors/counts.py`. The answer travels in an event, and the row that takes it says the code.
"""

from collections.abc import Sequence
from math import ceil

from protocol import codes
from protocol.codes import Code
from protocol.container import ContainerFailed
from protocol.limits import Counted, Held, LimitReached, Whose
from protocol.settings_limits import Limits, Share

CODES: dict[Counted, Code] = {
    "connections": codes.MOORAGE_LIMIT_CONNECTIONS,
    "sessions": codes.MOORAGE_LIMIT_SESSIONS,
    "containers": codes.MOORAGE_LIMIT_CONTAINERS,
    "logins": codes.MOORAGE_LIMIT_LOGIN_RATE,
}
WHOSE: dict[Whose, str] = {"user": "you have", "address": "your address has"}  # and "had" behind it, of logins


def is_reached(limits: Limits, what: Held, whose: Whose, has: int) -> LimitReached | None:
    """`has`: how many there are already, without the one that is wanted."""
    may: int = getattr(_share(limits, whose), what)
    return LimitReached(what=what, whose=whose, may=may) if 0 < may <= has else None


def rate_is_reached(limits: Limits, whose: Whose, logins: Sequence[float], now: float) -> LimitReached | None:
    """`logins`: when the last ones were, oldest first."""
    rate = _share(limits, whose).login_rate
    if not rate.logins or len(logins) < rate.logins:
        return None
    wait_s = logins[-rate.logins] + rate.period - now
    if wait_s <= 0:
        return None
    return LimitReached(what="logins", whose=whose, may=rate.logins, period_s=rate.period, wait_s=ceil(wait_s))


def why(limit: LimitReached) -> str:
    """For the user, who learns how many there are."""
    if limit.what == "logins":
        return f"{WHOSE[limit.whose]} had {limit.may} in {limit.period_s:g} s; the next may come in {limit.wait_s:g} s"
    return f"{WHOSE[limit.whose]} {limit.may} already, and may have {limit.may} at one time"


def sentence(limit: LimitReached) -> str:
    return CODES[limit.what].user.format(why=why(limit))


def failure(limit: LimitReached) -> ContainerFailed:
    """To every session of a connection that has come too much: there is nothing to run in."""
    return ContainerFailed(code=CODES[limit.what].name, why=sentence(limit))


def with_code(limit: LimitReached) -> str:
    """Where no channel carries the code: in the text of a disconnect or of a channel that may not open."""
    return f"{sentence(limit)} ({CODES[limit.what].name})"


def _share(limits: Limits, whose: Whose) -> Share:
    return limits.user if whose == "user" else limits.address

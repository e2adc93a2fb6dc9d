"""Is a limit reached, and what is told about it."""

import pytest

from fsm import limits
from protocol.limits import Held, LimitReached, Whose
from protocol.settings_limits import AddressShare, Limits, LoginRate, Share

SETTINGS = Limits(
    user=Share(connections=2, sessions=1, containers=3, login_rate=LoginRate(logins=2, period=60.0)),
    address=AddressShare(connections=5),
)


@pytest.mark.parametrize(
    ("what", "whose", "may"),
    [
        ("connections", "user", 2),
        ("sessions", "user", 1),
        ("containers", "user", 3),
        ("connections", "address", 5),
    ],
)
def test_as_many_as_may_be_and_no_more(what: Held, whose: Whose, may: int) -> None:
    assert limits.is_reached(SETTINGS, what, whose, may - 1) is None
    reached = LimitReached(what=what, whose=whose, may=may)
    assert limits.is_reached(SETTINGS, what, whose, may) == reached
    assert limits.is_reached(SETTINGS, what, whose, may + 7) == reached  # the settings have been changed
    assert limits.with_code(reached).endswith(f"({limits.CODES[what].name})")


def test_0_is_no_limit() -> None:
    assert limits.is_reached(SETTINGS, "sessions", "address", 100_000) is None
    assert limits.rate_is_reached(SETTINGS, "address", [1.0] * 100, 1.0) is None


def test_a_login_may_come_when_an_earlier_one_is_a_period_ago() -> None:
    def reached(*logins: float) -> LimitReached | None:
        return limits.rate_is_reached(SETTINGS, "user", logins, 100.0)

    assert reached() is None
    assert reached(99.0) is None
    assert reached(40.0, 99.0) is None
    assert reached(40.5, 99.0) == LimitReached(what="logins", whose="user", may=2, period_s=60.0, wait_s=1)
    assert reached(1.0, 40.5, 99.0) == reached(40.5, 99.0)


def test_the_user_learns_how_many_there_are() -> None:
    limit = LimitReached(what="containers", whose="user", may=3)
    assert limits.sentence(limit) == "too many containers: you have 3 already, and may have 3 at one time"
    rate = LimitReached(what="logins", whose="address", may=5, period_s=60.0, wait_s=12)
    said = "too many logins: your address has had 5 in 60 s; the next may come in 12 s"
    assert limits.failure(rate).why == said

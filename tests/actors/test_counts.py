"""What is counted for whom, and that all of it is given back."""

from itertools import product
from random import Random

import pytest

from actors.admission import host_of, timers
from actors.counts import PLACES_MAX, Counts
from actors.limit import place_of
from protocol.limits import LimitReached
from protocol.settings import Settings, Shutdown
from protocol.settings_limits import AddressShare, Limits, LoginRate, Share

HERE = "192.0.2.1"
NONE = Limits()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_connections_of_an_address() -> None:
    counts, limits = Counts(Clock()), Limits(address=AddressShare(connections=2))
    assert counts.connected("c1", HERE, limits) is None
    assert counts.connected("c2", HERE, limits) is None
    assert counts.connected("c3", HERE, limits) == LimitReached(what="connections", whose="address", may=2)
    assert counts.connected("c4", "192.0.2.2", limits) is None
    counts.release("c3")  # was never counted
    assert counts.connected("c5", HERE, limits) is not None
    counts.release("c1")
    assert counts.connected("c6", HERE, limits) is None


@pytest.mark.parametrize("whose", ["user", "address"])
def test_containers_are_those_of_connections_and_of_sessions(whose: str) -> None:
    limits = Limits(user=Share(containers=2)) if whose == "user" else Limits(address=AddressShare(containers=2))
    counts = Counts(Clock())
    assert counts.logged_in("c1", "ann", HERE, limits, True) is None
    assert counts.logged_in("c2", "ann", HERE, limits, False) is None
    assert counts.contained("s1", "ann", HERE, limits) is None
    reached = LimitReached(what="containers", whose=whose, may=2)  # type: ignore[arg-type]
    assert counts.contained("s2", "ann", HERE, limits) == reached
    assert counts.logged_in("c3", "ann", HERE, limits, True) == reached
    counts.release("s1")
    assert counts.logged_in("c3", "ann", HERE, limits, True) is None


def test_sessions_are_those_of_all_connections_together() -> None:
    counts, limits = Counts(Clock()), Limits(user=Share(sessions=1))
    assert counts.may_open("ann", HERE, limits) is None
    counts.opened("s1", "ann", HERE, limits)
    assert counts.may_open("ann", "192.0.2.2", limits) == LimitReached(what="sessions", whose="user", may=1)
    assert counts.may_open("bob", HERE, limits) is None


def test_a_login_that_is_refused_is_counted_for_nothing() -> None:
    clock = Clock()
    counts = Counts(clock)
    limits = Limits(user=Share(connections=9, containers=1, login_rate=LoginRate(logins=2, period=60.0)))
    assert counts.logged_in("c1", "ann", HERE, limits, True) is None
    before = counts.statistics()
    for _ in range(5):
        assert counts.logged_in("c2", "ann", HERE, limits, True) is not None
    assert counts.statistics() == before
    counts.release("c1")
    assert counts.logged_in("c2", "ann", HERE, limits, True) is None


def test_logins_by_user_and_by_address() -> None:
    clock = Clock()
    counts, rate = Counts(clock), LoginRate(logins=2, period=60.0)
    limits = Limits(user=Share(login_rate=rate), address=AddressShare(login_rate=LoginRate(logins=3, period=60.0)))

    def comes(user: str, host: str = HERE) -> LimitReached | None:
        return counts.logged_in("c", user, host, limits, False)

    assert comes("ann") is None
    clock.now = 10.0
    assert comes("ann") is None
    clock.now = 20.0
    assert comes("ann") == LimitReached(what="logins", whose="user", may=2, period_s=60.0, wait_s=40)
    assert comes("bob") is None
    assert comes("eve") == LimitReached(what="logins", whose="address", may=3, period_s=60.0, wait_s=40)
    assert comes("eve", "192.0.2.2") is None
    clock.now = 60.0
    assert comes("ann") is None


def test_logins_are_remembered_only_where_there_is_a_limit_and_of_so_many_only() -> None:
    counts, limits = Counts(Clock()), Limits(user=Share(login_rate=LoginRate(logins=1, period=60.0)))
    counts.logged_in("c", "ann", HERE, NONE, False)
    assert counts.logged_in("c", "ann", HERE, limits, False) is None
    for number in range(PLACES_MAX):
        counts.logged_in("c", f"user{number}", HERE, limits, False)
    assert counts.logged_in("c", "ann", HERE, limits, False) is None  # forgotten
    assert counts.logged_in("c", "user9999", HERE, limits, False) is not None


def test_a_thousand_connections_give_everything_back() -> None:
    """In whatever order they end, with what is refused among them."""
    dice, counts = Random(7), Counts(Clock())
    limits = Limits(user=Share(connections=60, sessions=50, containers=40), address=AddressShare(connections=200))
    actors = []
    for number in range(1000):
        user, host = f"user{dice.randrange(20)}", f"192.0.2.{dice.randrange(6)}"
        connection = f"cn-{number}"
        actors.append(connection)
        if counts.connected(connection, host, limits) is None:
            counts.logged_in(connection, user, host, limits, dice.random() < 0.5)
        for session in range(dice.randrange(3)):
            actors.append(f"ss-{number}-{session}")
            if counts.may_open(user, host, limits) is None:
                counts.opened(actors[-1], user, host, limits)
            counts.contained(actors[-1], user, host, limits)
    held = counts.statistics()
    things = ("connections", "sessions", "containers")
    assert set(held) == {f"{what} by {whose}" for what, whose in product(things, ("user", "address"))}
    assert all(held[f"{what} by user"] <= 20 * may for what, may in (("connections", 60), ("containers", 40)))
    dice.shuffle(actors)
    for actor in actors:
        counts.release(actor)
        counts.release(actor)
    assert counts.statistics() == {} and not counts._has and not counts._held


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::1%eth1", True),
        ("unknown", "unknown", True),
    ],
)
def test_what_is_one_address(one: str, other: str, are_one: bool) -> None:
    counts, limits = Counts(Clock()), Limits(address=AddressShare(connections=1))
    assert counts.connected("c1", one, limits) is None
    assert (counts.connected("c2", other, limits) is not None) == are_one


def test_prefixes() -> None:
    assert place_of("192.0.2.77", 24, 48) == "192.0.2.0"
    assert place_of("::ffff:192.0.2.77", 24, 48) == "192.0.2.0"
    assert place_of("2001:db8:1:2::3", 24, 48) == "2001:db8:1::"
    assert place_of("192.0.2.77") == "192.0.2.77"


@pytest.mark.parametrize("remote", ["192.0.2.1:40000", "[2001:db8::1]:40000", "unknown"])
def test_host(remote: str) -> None:
    assert host_of(remote) == {"1": "192.0.2.1", "[": "2001:db8::1", "u": ""}[remote[0]]


def settings(**limits: float) -> Settings:
    return Settings(limits=Limits(**limits), shutdown=Shutdown(kill=3.0))  # type: ignore[arg-type]


def test_timers() -> None:
    assert timers("cn-1", settings()) == {}
    found = timers("cn-1", settings(idle=600.0, total=90.0))
    assert list(found) == ["ti-1-idle", "ti-1-total"]
    assert found["ti-1-idle"].seconds == {"warn": 540.0, "strike": 60.0, "kill": 3.0}
    assert found["ti-1-total"].seconds == {"warn": 45.0, "strike": 45.0, "kill": 3.0}
    (silent,) = timers("cn-1", settings(total=90.0, warning=0.0)).values()
    assert not silent.warns and silent.seconds["warn"] == 90.0

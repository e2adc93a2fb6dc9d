"""Who has how much: connections, sessions and containers by user and by address, and when who logged in.

The one place where this is counted. Whether it is too much is asked of `fsm/limits.py`, at once where it is asked for,
so that two who come together are not both the last one. Each count belongs to an actor and is given back when that
actor leaves the world, however it ends.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable

import trio

from actors.limit import place_of
from fsm.limits import is_reached, rate_is_reached
from protocol.limits import Held, LimitReached, Whose
from protocol.settings_limits import Limits

PLACES_MAX = 10_000  # whose logins are remembered
Place = tuple[Whose, str]


class Counts:
    """`host` is an IP address. Without a limit nobody's logins are remembered; the rest is counted always."""

    def __init__(self, clock: Callable[[], float] = trio.current_time) -> None:
        self._clock = clock
        self._has: Counter[tuple[Held, Place]] = Counter()
        self._held: dict[str, list[tuple[Held, Place]]] = {}  # actor -> what is counted for it
        self._logins: OrderedDict[Place, deque[float]] = OrderedDict()

    def connected(self, actor: str, host: str, limits: Limits) -> LimitReached | None:
        """A connection of this address; counted unless it is one too many."""
        place = _address(host, limits)
        limit = self._reached("connections", (place,), limits)
        if limit is None:
            self._hold(actor, "connections", (place,))
        return limit

    def logged_in(self, actor: str, user: str, host: str, limits: Limits, with_container: bool) -> LimitReached | None:
        """The same of a login: its user's connections, its container if it gets one, and how soon it comes."""
        places = _places(user, host, limits)
        limit = self._reached("connections", places[:1], limits)
        if limit is None and with_container:
            limit = self._reached("containers", places, limits)
        limit = limit or self._comes_too_soon(places, limits)
        if limit is None:
            self._hold(actor, "connections", places[:1])
            if with_container:
                self._hold(actor, "containers", places)
            self._remember(places, limits)
        return limit

    def may_open(self, user: str, host: str, limits: Limits) -> LimitReached | None:
        """May a session be opened?"""
        return self._reached("sessions", _places(user, host, limits), limits)

    def opened(self, actor: str, user: str, host: str, limits: Limits) -> None:
        """A session has been opened."""
        self._hold(actor, "sessions", _places(user, host, limits))

    def contained(self, actor: str, user: str, host: str, limits: Limits) -> LimitReached | None:
        """A container of a session's own; counted unless it is one too many."""
        places = _places(user, host, limits)
        limit = self._reached("containers", places, limits)
        if limit is None:
            self._hold(actor, "containers", places)
        return limit

    def release(self, actor: str) -> None:
        """All that is counted for this actor, which has left."""
        for key in self._held.pop(actor, ()):
            self._has[key] -= 1
            if not self._has[key]:
                del self._has[key]

    def statistics(self) -> dict[str, int]:
        """How much is counted in all, by what it is."""
        total: Counter[str] = Counter()
        for (what, (whose, _)), count in self._has.items():
            total[f"{what} by {whose}"] += count
        return dict(total)

    def _reached(self, what: Held, places: Iterable[Place], limits: Limits) -> LimitReached | None:
        answers = (is_reached(limits, what, place[0], self._has[what, place]) for place in places)
        return next((limit for limit in answers if limit is not None), None)

    def _hold(self, actor: str, what: Held, places: Iterable[Place]) -> None:
        for place in places:
            self._has[what, place] += 1
            self._held.setdefault(actor, []).append((what, place))

    def _comes_too_soon(self, places: Iterable[Place], limits: Limits) -> LimitReached | None:
        now = self._clock()
        answers = (rate_is_reached(limits, place[0], tuple(self._logins.get(place, ())), now) for place in places)
        return next((limit for limit in answers if limit is not None), None)

    def _remember(self, places: Iterable[Place], limits: Limits) -> None:
        """So many times as the limit looks back; the one who came longest ago is forgotten first."""
        for place in places:
            most = (limits.user if place[0] == "user" else limits.address).login_rate.logins
            if most:
                self._logins[place] = deque((*self._logins.get(place, ()), self._clock()), maxlen=most)
                self._logins.move_to_end(place)
        while len(self._logins) > PLACES_MAX:
            self._logins.popitem(last=False)


def _places(user: str, host: str, limits: Limits) -> tuple[Place, Place]:
    return ("user", user), _address(host, limits)


def _address(host: str, limits: Limits) -> Place:
    return "address", place_of(host, limits.address.ipv4_prefix, limits.address.ipv6_prefix)

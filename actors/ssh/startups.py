"""Connections that are not logged in yet: how many there may be, and who gives way when there is room for no more."""

from typing import Generic, TypeVar

C = TypeVar("C")


class Startups(Generic[C]):
    """Not too many, counted by the place they come from (`limit.place_of`).

    When they are full, a newcomer takes the oldest seat of the place that holds the most. Only one whose own place
    holds as many as any is turned away: who floods the door keeps himself out, and nobody from elsewhere.
    """

    def __init__(self) -> None:
        self._place: dict[C, str] = {}
        self._seats: dict[str, dict[C, None]] = {}  # of each place, oldest first

    def __len__(self) -> int:
        return len(self._place)

    def add(self, newcomer: C, place: str, most: int) -> C | None:
        """The one who must go, if any: the newcomer itself, or another who has lost its seat to it."""
        loser = None
        if len(self._place) >= most:
            largest = max(self._seats.values(), key=len)
            if len(self._seats.get(place, ())) >= len(largest):
                return newcomer
            loser = next(iter(largest))
            self.discard(loser)
        self._place[newcomer] = place
        self._seats.setdefault(place, {})[newcomer] = None
        return loser

    def discard(self, conn: C) -> None:
        """Logged in, or gone."""
        place = self._place.pop(conn, None)
        if place is None:
            return
        del self._seats[place][conn]
        if not self._seats[place]:
            del self._seats[place]

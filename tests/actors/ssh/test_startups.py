"""Who may log in at the same time, and who gives way."""

import random

from actors.ssh.startups import Startups


def test_while_there_is_room_everybody_gets_in() -> None:
    startups: Startups[int] = Startups()
    assert [startups.add(conn, "one", 3) for conn in range(3)] == [None] * 3
    assert len(startups) == 3


def test_who_holds_the_most_is_turned_away_himself() -> None:
    startups: Startups[int] = Startups()
    startups.add(1, "flood", 2), startups.add(2, "flood", 2)
    assert startups.add(3, "flood", 2) == 3
    assert len(startups) == 2


def test_a_newcomer_from_elsewhere_takes_the_oldest_seat_of_the_largest() -> None:
    startups: Startups[int] = Startups()
    startups.add(1, "guest", 3), startups.add(2, "flood", 3), startups.add(3, "flood", 3)
    assert startups.add(4, "another", 3) == 2
    assert startups.add(5, "another", 3) == 5, "now each holds one, and another would hold the most"
    startups.discard(3)
    assert startups.add(5, "another", 3) is None


def test_seats_are_given_back_once() -> None:
    startups: Startups[int] = Startups()
    startups.add(1, "one", 1)
    startups.discard(1), startups.discard(1), startups.discard(2)
    assert len(startups) == 0
    assert startups.add(2, "one", 1) is None


def test_one_place_is_never_kept_out_by_another() -> None:
    """However the flood comes and goes, a guest's first connection gets in and stays until it is logged in."""
    dice = random.Random(6)
    startups: Startups[int] = Startups()
    inside: set[int] = set()
    for conn in range(20_000):
        loser = startups.add(conn, dice.choice(("flood", "flood", "second flood")), 20)
        if loser != conn:
            inside.add(conn)
        inside.discard(-1 if loser is None else loser)
        if inside and dice.random() < 0.3:
            gone = dice.choice(sorted(inside))
            inside.discard(gone)
            startups.discard(gone)
        if conn % 100 == 0:
            guest = -conn - 2
            inside.discard(startups.add(guest, "guest", 20) or 0)
            for more in range(5):
                loser = startups.add(1_000_000 + 10 * conn + more, "flood", 20)
                assert loser != guest
                inside.discard(-1 if loser is None else loser)
            startups.discard(guest)
        assert len(startups) <= 20

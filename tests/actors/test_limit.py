"""Failures counted by address: who is held up, for how long, and for how many there is room."""

import pytest

from actors import limit
from actors.limit import FailureCount, place_of


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_window_slides() -> None:
    clock = Clock()
    count = FailureCount(3, 10.0, clock)
    for clock.now in (0.0, 4.0, 8.0):
        assert not count.is_full("a")
        count.failed("a")
    assert count.is_full("a") and not count.is_full("b")
    clock.now = 9.9
    assert count.is_full("a")
    clock.now = 10.0  # the first is forgotten
    assert not count.is_full("a")


def test_no_period_no_limit() -> None:
    count = FailureCount(1, 0.0, Clock())
    count.failed("a")
    assert not count.is_full("a")


def test_there_is_room_for_so_many_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit, "ADDRESSES_MAX", 3)
    count = FailureCount(1, 10.0, Clock())
    for address in "abcd":
        count.failed(address)
    assert [count.is_full(address) for address in "abcd"] == [False, True, True, True]


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::9", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("unknown", "unknown"),
    ],
)
def test_places(host: str, place: str) -> None:
    assert place_of(host) == place

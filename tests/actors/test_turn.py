"""The end of a turn: steps first, then what is to be sent; outside of one, at once."""

import pytest

from actors.turn import Turn


def test_steps_come_before_what_is_sent_and_only_at_the_outermost_end() -> None:
    turn, order = Turn(), list[str]()
    turn.join(lambda: order.append("step"))
    with turn:
        turn.send_later(lambda: order.append("sent"))
        with turn:
            turn.send_later(lambda: order.append("sent too"))
        assert turn.is_on and order == []
    assert order == ["step", "sent", "sent too"] and not turn.is_on


def test_without_a_turn_it_is_sent_at_once() -> None:
    order: list[str] = []
    Turn().send_later(lambda: order.append("sent"))
    assert order == ["sent"]


def test_what_is_asked_to_be_sent_by_a_step_or_by_sending_goes_too() -> None:
    turn, order = Turn(), list[str]()
    turn.join(lambda: turn.send_later(lambda: turn.send_later(lambda: order.append("sent"))))
    with turn:
        pass
    assert order == ["sent"]


def test_who_has_left_takes_no_steps() -> None:
    turn, order = Turn(), list[str]()

    def step() -> None:
        order.append("step")

    turn.join(step)
    turn.leave(step)
    with turn:
        pass
    assert order == []


def test_an_error_inside_ends_the_turn_all_the_same() -> None:
    turn, order = Turn(), list[str]()
    with pytest.raises(ValueError, match="no"), turn:
        turn.send_later(lambda: order.append("sent"))
        raise ValueError("no")
    assert order == ["sent"] and not turn.is_on


def test_what_fails_at_the_end_holds_up_nobody_else() -> None:
    told, order = list[str](), list[str]()
    turn = Turn(lambda error: told.append(str(error)))

    def fail(what: str) -> None:
        raise ValueError(what)

    turn.join(lambda: fail("step"))
    turn.join(lambda: order.append("another's step"))
    with turn:
        turn.send_later(lambda: fail("send"))
        turn.send_later(lambda: order.append("another's send"))
    assert told == ["step", "send"] and order == ["another's step", "another's send"] and not turn.is_on


def test_where_nobody_is_told_it_is_raised() -> None:
    turn = Turn()
    with pytest.raises(ZeroDivisionError), turn:
        turn.send_later(lambda: print(1 / 0))
    assert not turn.is_on

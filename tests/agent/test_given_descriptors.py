"""`agent serve`, descriptors that the host gives: whose they are, where they go, and what no host may do with them."""

import errno
import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress

import pytest

from protocol.frame_types import (
    STDERR,
    STDIN,
    STDOUT,
    Close,
    Credit,
    Data,
    Frame,
    Ping,
    Pong,
    Signal,
    Spawn,
    Spawned,
    Terminal,
)
from protocol.frames import encode
from tests.agent.guest import PATH, Guest
from tests.agent.screen import MARK, Screen, end_of_output, finish, nothing_more, refusal
from tests.agent.test_link import broken
from tests.agent.test_programs import TERMINAL, as_root


def test_two_at_once_get_each_its_own(guest: Guest, screens: Callable[[], Screen]) -> None:
    """Wherever the bytes are cut: a descriptor comes with the first of them."""
    one, other = screens(), screens()
    spawns = [Spawn(channel=nth, argv=(b"tty",), env=(PATH,), terminal=TERMINAL, slave_given=True) for nth in (1, 2)]
    whole, names = b"".join(map(encode, spawns)), [os.ttyname(screen.slave) for screen in (one, other)]
    guest.send_bytes(whole[:7], one.slave)
    guest.send_bytes(whole[7:], other.slave)
    one.give_away()
    other.give_away()
    said = [finish(guest, screen, channel)[0] for screen, channel in ((one, 1), (other, 2))]
    assert [text.decode().strip() for text in said] == names


def test_many_at_once_get_each_its_own(guest: Guest, screens: Callable[[], Screen]) -> None:
    guest.process.send_signal(signal.SIGSTOP)  # all of them lie in the socket together
    many = [screens() for _ in range(20)]
    names = [os.ttyname(screen.slave) for screen in many]
    channels = [screen.spawn(guest, "tty") for screen in many]
    guest.process.send_signal(signal.SIGCONT)
    said = [finish(guest, screen, channel)[0] for screen, channel in zip(many, channels, strict=True)]
    assert [text.decode().strip() for text in said] == names


def test_what_was_given_and_is_no_terminal(guest: Guest) -> None:
    with open("/dev/null", "r+b") as nothing:
        channel = guest.spawn("true", terminal=TERMINAL, slave_given=True, given=(nothing.fileno(),))
    assert list(guest.order(channel)) == refusal(channel, "terminal", errno.ENOTTY)


def test_a_terminal_that_is_another_programs(guest: Guest, screen: Screen) -> None:
    again = os.dup(screen.slave)
    first = screen.spawn(guest, "sleep", "60")
    guest.next(Spawned, first)
    second = guest.spawn("true", terminal=TERMINAL, slave_given=True, given=(again,))
    os.close(again)
    assert list(guest.order(second)) == refusal(second, "terminal", errno.EPERM)
    guest.send(Signal(channel=first, number=signal.SIGTERM))
    finish(guest, screen, first)


@pytest.mark.parametrize(
    ("argv", "stage", "why"), [("nope", "exec", errno.ENOENT), ("/etc/passwd", "exec", errno.EACCES)]
)
def test_what_does_not_start_leaves_the_terminal(guest: Guest, screen: Screen, argv: str, stage: str, why: int) -> None:
    channel = screen.spawn(guest, argv)
    assert list(guest.order(channel)) == refusal(channel, stage, why)
    assert screen.rest() == b""


def open_in(guest: Guest) -> int:
    return len(os.listdir(f"/proc/{guest.process.pid}/fd"))


def allow(guest: Guest, descriptors: int) -> None:
    _, most = resource.prlimit(guest.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(guest.process.pid, resource.RLIMIT_NOFILE, (descriptors, most))


@as_root
def test_no_room_for_what_is_given(guest: Guest, screens: Callable[[], Screen]) -> None:
    before = open_in(guest)
    for more in range(3):  # none; one, and no pipe; one, and half a pipe
        allow(guest, before + more)
        refused = [(screen, screen.spawn(guest, "true")) for screen in (screens() for _ in range(2))]
        for screen, channel in refused:
            stage = "resources" if more else "terminal"
            assert list(guest.order(channel)) == refusal(channel, stage, errno.EMFILE)
            assert screen.rest() == b""
        assert open_in(guest) == before
    allow(guest, before + 30)
    screen = screens()
    name = os.ttyname(screen.slave)
    said, _ = finish(guest, screen, screen.spawn(guest, "tty"))
    assert said.decode().strip() == name


@as_root
def test_one_that_has_no_room_is_not_taken_for_the_next(guest: Guest, screens: Callable[[], Screen]) -> None:
    one, other = screens(), screens()
    name = os.ttyname(other.slave)
    spawns = [Spawn(channel=nth, argv=(b"tty",), env=(PATH,), terminal=TERMINAL, slave_given=True) for nth in (1, 2)]
    whole = b"".join(map(encode, spawns))
    allow(guest, open_in(guest))
    guest.send_bytes(encode(Ping(mark=MARK)) + whole[:7], one.slave)
    guest.next(Pong)
    allow(guest, open_in(guest) + 30)
    guest.send_bytes(whole[7:], other.slave)
    other.give_away()
    assert list(guest.order(1)) == refusal(1, "terminal", errno.EMFILE)
    assert finish(guest, other, 2)[0].decode().strip() == name


def test_end_of_output_right_behind_a_spawn_that_fails(guest: Guest) -> None:
    spawn = Spawn(channel=1, argv=(b"true",), terminal=TERMINAL, slave_given=True)
    with open("/dev/null", "r+b") as nothing:
        guest.send_bytes(encode(spawn) + encode(end_of_output(1)), nothing.fileno())
    assert list(guest.order(1)) == refusal(1, "terminal", errno.ENOTTY)
    nothing_more(guest)


@as_root
def test_more_programs_than_there_are_channels(guest: Guest, screen: Screen) -> None:
    _, most = resource.prlimit(guest.process.pid, resource.RLIMIT_NOFILE)
    allow(guest, most)
    channels = [guest.spawn("sleep", "60") for _ in range(guest.hello.channels_max)]
    for channel in channels:
        guest.next(Spawned, channel)
    before = open_in(guest)
    over = screen.spawn(guest, "true")
    assert list(guest.order(over)) == refusal(over, "limit", errno.EAGAIN)
    assert screen.rest() == b"" and open_in(guest) == before
    assert guest.hang_up() == 0


@as_root
def test_two_hundred_programs_leave_no_descriptor(guest: Guest, screens: Callable[[], Screen]) -> None:
    before = open_in(guest)
    for nth in range(200):
        screen = screens()
        channel = screen.spawn(guest, ("true", "nope", "sleep")[nth % 3], "60")
        if nth % 3 == 0:
            finish(guest, screen, channel)
        else:
            guest.send(Close(channel=channel))
            list(guest.order(channel))
        screen.close()
    assert open_in(guest) == before


BREACHES: dict[str, tuple[Frame, ...]] = {
    "DATA": (Data(channel=1, stream=STDIN, piece=b"x"),),
    "CREDIT": (Credit(channel=1, stream=STDOUT, bytes=1),),
    "CREDIT for stderr": (Credit(channel=1, stream=STDERR, bytes=1),),
    "EOF of stdout twice": (end_of_output(1), end_of_output(1)),
    "a channel twice": (Spawn(channel=1, argv=(b"true",)),),
    "nothing given": (Spawn(channel=2, argv=(b"true",), terminal=TERMINAL, slave_given=True),),
}


@pytest.mark.parametrize("frames", BREACHES.values(), ids=BREACHES)
@pytest.mark.parametrize("early", [True, False])
def test_a_host_that_breaks_the_rules(guest: Guest, screen: Screen, frames: tuple[Frame, ...], early: bool) -> None:
    screen.spawn(guest, "sleep", "60")
    if not early:
        guest.next(Spawned)
    guest.send(*frames)
    broken(guest)
    assert screen.rest() == b""


@pytest.mark.parametrize("terminal", [None, TERMINAL])
def test_the_end_of_the_output_is_the_agents_to_tell_elsewhere(guest: Guest, terminal: Terminal | None) -> None:
    guest.send(end_of_output(guest.spawn("sleep", "60", terminal=terminal)))
    broken(guest)


@pytest.mark.parametrize("count", [2, 3])
def test_more_than_one_for_a_program(guest: Guest, screen: Screen, count: int) -> None:
    guest.spawn("sleep", "60", terminal=TERMINAL, slave_given=True, given=(screen.slave,) * count)
    broken(guest)


def test_more_than_the_agent_keeps(guest: Guest) -> None:
    _, most = resource.prlimit(guest.process.pid, resource.RLIMIT_NOFILE)
    allow(guest, most)
    with open("/dev/null", "r+b") as nothing, suppress(BrokenPipeError, ConnectionResetError):
        for _ in range(1025):
            guest.send_bytes(encode(Ping(mark=MARK)), nothing.fileno())
    broken(guest)


def test_nothing_can_be_given_over_the_attached_link(boot: Callable[..., Guest], screen: Screen) -> None:
    guest = boot(attached=True).greet()
    screen.spawn(guest, "true")
    broken(guest)
    assert screen.rest() == b""

"""`agent serve`, programs at a terminal whose master the host has: what is said on the link, and what is not."""

import os
import signal
import termios
from collections.abc import Callable

import pytest

from protocol.frame_types import STDIN, Close, EndOfFile, Exit, Resize, Signal, Spawned, SpawnUser, Terminal
from tests.agent.guest import PATH, Guest, alive, number_of
from tests.agent.screen import Screen, end_of_output, finish, nothing_more
from tests.agent.test_programs import NOBODY, as_root, gone

SILENT = Terminal(rows=33, columns=111, modes=((53, 0),))  # what is typed is not shown


def test_what_is_typed_and_shown_goes_through_the_master_alone(guest: Guest, screen: Screen) -> None:
    channel = screen.spawn(guest, "sh", "-c", "read line; echo got $line; echo oops >&2; exit 7")
    screen.type(b"hello\n")
    said, (spawned, *others) = finish(guest, screen, channel)
    assert said == b"hello\r\ngot hello\r\noops\r\n"
    assert isinstance(spawned, Spawned)
    assert others == [Exit(channel=channel, how="status", number=7), Close(channel=channel)]


def test_megabytes_need_no_credit(boot: Callable[..., Guest], screen: Screen) -> None:
    guest = boot().greet(window=1)
    channel = screen.spawn(guest, "sh", "-c", "head -c 3000000 /dev/zero")
    said, (_, *others) = finish(guest, screen, channel)
    assert said == bytes(3_000_000)
    assert others == [Exit(channel=channel, how="status", number=0), Close(channel=channel)]


def test_close_waits_for_the_end_of_the_output(guest: Guest, screen: Screen) -> None:
    channel = screen.spawn(guest, "true")
    assert guest.next(Spawned, channel) and guest.next(Exit, channel)
    nothing_more(guest)
    guest.send(end_of_output(channel))
    assert list(guest.order(channel)) == [Close(channel=channel)]


def test_close_waits_for_the_end_of_the_program(guest: Guest, screen: Screen) -> None:
    channel = screen.spawn(guest, "sleep", "60")
    guest.next(Spawned, channel)
    guest.send(end_of_output(channel), EndOfFile(channel=channel, stream=STDIN))
    nothing_more(guest)
    guest.send(Signal(channel=channel, number=signal.SIGTERM))
    ended = Exit(channel=channel, how="signal", number=signal.SIGTERM)
    assert list(guest.order(channel)) == [ended, Close(channel=channel)]


def test_size_and_modes_are_there_before_the_program(guest: Guest, screen: Screen) -> None:
    modes = ((53, 0), (3, 8), (1, 255), (72, 0), (91, 1), (200, 5))
    channel = screen.spawn(guest, "stty", "-a", terminal=Terminal(rows=33, columns=111, modes=modes))
    said = finish(guest, screen, channel)[0].decode()
    assert "rows 33; columns 111;" in said
    assert " -echo " in said and "erase = ^H;" in said and "intr = <undef>;" in said and "-onlcr" in said
    assert "\r" not in said


def test_the_terminal_is_its_programs_own(guest: Guest, screen: Screen) -> None:
    name = os.ttyname(screen.slave)
    command = "tty; cut -d' ' -f6,8 /proc/$$/stat; echo $$; echo to >/dev/tty; ls /proc/self/fd"
    channel = screen.spawn(guest, "sh", "-c", command)
    said, _ = finish(guest, screen, channel)
    tty, groups, pid, to, *fds = said.decode().split("\r\n")
    assert (tty, groups, to) == (name, f"{pid} {pid}", "to")
    assert " ".join(fds).split() == ["0", "1", "2", "3"]  # 3: ls reads the folder


@as_root
def test_another_user_has_the_terminal(guest: Guest, screen: Screen) -> None:
    user = SpawnUser(uid=NOBODY, gid=NOBODY, groups=())
    channel = screen.spawn(guest, "sh", "-c", "id -u; echo again >$(tty)", user=user)
    said, _ = finish(guest, screen, channel)
    assert said == b"65534\r\nagain\r\n"


def test_a_new_size_tells_the_program(guest: Guest, screen: Screen) -> None:
    """By the master; RESIZE is for terminals that the agent has."""
    command = "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.01; done"
    channel = screen.spawn(guest, "sh", "-c", command)
    screen.until(b"ready")
    guest.send(Resize(channel=channel, rows=1, columns=1))
    guest.next(Spawned)
    nothing_more(guest)
    assert termios.tcgetwinsize(screen.master) == (33, 111)
    termios.tcsetwinsize(screen.master, (7, 77))
    assert b"7 77" in finish(guest, screen, channel)[0]


def test_control_c_interrupts(guest: Guest, screen: Screen) -> None:
    channel = screen.spawn(guest, "sh", "-c", "echo ready; exec sleep 60")
    screen.until(b"ready")
    screen.type(b"\x03")
    said, (_, *others) = finish(guest, screen, channel)
    assert said.endswith(b"^C")
    assert others == [Exit(channel=channel, how="signal", number=signal.SIGINT), Close(channel=channel)]


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "USR1", "KILL"])
def test_signals_go_to_the_group_in_the_foreground(guest: Guest, screen: Screen, name: str) -> None:
    """As Ctrl-C would: the job and not the shell behind it, nor its job in the background."""
    channel = screen.spawn(guest, "sh", "-i", env=(PATH, b"PS1=$ "), terminal=SILENT)
    screen.until(b"$ ")
    screen.type(b"sleep 60 & echo pid $! .; sh -c 'echo job; exec sleep 60'\n")
    behind = int(screen.until(b"job").partition(b"pid ")[2].split()[0])
    guest.send(Signal(channel=channel, number=number_of(name)))
    screen.type(b"echo code $?\n")
    screen.until(f"code {128 + number_of(name)}".encode())
    assert alive(behind)
    screen.type(b"kill -KILL $!; exit 3\n")  # TERM is lost on one that is forked and not yet executed
    ended = Exit(channel=channel, how="status", number=3)
    assert finish(guest, screen, channel)[1][1:] == [ended, Close(channel=channel)]


def test_a_signal_right_behind_the_spawn_is_not_lost(guest: Guest, screens: Callable[[], Screen]) -> None:
    for _ in range(20):
        screen = screens()
        channel = screen.spawn(guest, "sleep", "60")
        guest.send(Signal(channel=channel, number=signal.SIGINT))
        assert finish(guest, screen, channel)[1][1] == Exit(channel=channel, how="signal", number=signal.SIGINT)


def test_the_end_of_the_program_hangs_up_on_its_children(guest: Guest, screen: Screen) -> None:
    channel = screen.spawn(guest, "sh", "-c", "sleep 60 & echo $! .")
    child = int(screen.until(b".").split()[0])
    _, frames = finish(guest, screen, channel)
    assert frames[1:] == [Exit(channel=channel, how="status", number=0), Close(channel=channel)]
    gone(child)


def test_a_child_that_does_not_hang_up_keeps_the_terminal_and_not_the_exit(guest: Guest, screen: Screen) -> None:
    """As with a terminal of the agent's own: the kernel takes it from nobody when the program ends."""
    channel = screen.spawn(guest, "sh", "-c", "trap '' HUP; sleep 60 & echo $! .")
    child = int(screen.until(b".").split()[0])
    assert guest.next(Exit, channel).number == 0
    guest.next(Spawned)
    nothing_more(guest)
    assert alive(child)
    guest.send(Close(channel=channel))
    assert list(guest.order(channel)) == [Close(channel=channel)]
    gone(child)
    screen.rest()


def test_a_program_that_is_hung_up_on_by_the_host(guest: Guest, screen: Screen) -> None:
    channel = screen.spawn(guest, "sleep", "60")
    guest.next(Spawned, channel)
    screen.close()
    guest.send(end_of_output(channel))
    ended = Exit(channel=channel, how="signal", number=signal.SIGHUP)
    assert list(guest.order(channel)) == [ended, Close(channel=channel)]


def test_close_ends_the_whole_session(guest: Guest, screen: Screen) -> None:
    script = "set -m; trap '' HUP TERM; sleep 60 & a=$!; (trap '' HUP; sleep 60) & echo $$ $a $! .; wait"
    channel = screen.spawn(guest, "sh", "-c", script)
    pids = list(map(int, screen.until(b".").split(b".")[0].split()))
    assert len(pids) == 3 and all(map(alive, pids))
    guest.next(Spawned, channel)
    guest.send(Close(channel=channel), end_of_output(channel), end_of_output(channel))
    ended = Exit(channel=channel, how="signal", number=signal.SIGKILL)
    assert list(guest.order(channel)) == [ended, Close(channel=channel)]
    gone(*pids)
    screen.rest()


def test_close_at_once(guest: Guest, screens: Callable[[], Screen]) -> None:
    for _ in range(20):
        screen = screens()
        channel = screen.spawn(guest, "sleep", "60")
        guest.send(Close(channel=channel), Close(channel=channel))
        ended = Exit(channel=channel, how="signal", number=signal.SIGKILL)
        assert list(guest.order(channel))[1:] == [ended, Close(channel=channel)]
        assert screen.rest() == b""


def test_loss_of_the_link_ends_all(guest: Guest, screen: Screen) -> None:
    screen.spawn(guest, "sh", "-c", "trap '' HUP; setsid sleep 60 & echo $$ $! .; wait")
    pids = map(int, screen.until(b".").split(b".")[0].split())
    assert guest.hang_up() == 0
    gone(*pids)
    screen.rest()

"""`agent serve`, one program at a time: how it starts, what it has, and how it ends."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from protocol.frame_types import (
    STDERR,
    STDIN,
    STDOUT,
    Close,
    Data,
    EndOfFile,
    Err,
    Exit,
    Ping,
    Pong,
    Resize,
    Signal,
    Spawn,
    Spawned,
    SpawnUser,
    Terminal,
)
from tests.agent.guest import WAIT_SECONDS, Guest, alive, number_of

NOBODY = 65534
TERMINAL = Terminal(rows=33, columns=111)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")


def gone(*pids: int) -> None:
    """Wait until none of these runs."""
    until = time.monotonic() + WAIT_SECONDS
    while any(map(alive, pids)):
        assert time.monotonic() < until, f"still alive: {[pid for pid in pids if alive(pid)]}"
        time.sleep(0.005)


def test_frames_of_a_program_in_their_order(guest: Guest) -> None:
    channel = guest.spawn("sh", "-c", "cat; echo oops >&2; exit 7")
    guest.send(Data(channel=channel, stream=STDIN, piece=b"hello"), EndOfFile(channel=channel, stream=STDIN))
    frames = list(guest.order(channel))
    assert isinstance(frames[0], Spawned)
    assert isinstance(frames[-1], Close)
    said = {stream: b"".join(bytes(it.piece) for it in frames if isinstance(it, Data) and it.stream == stream)
            for stream in (STDOUT, STDERR)}  # fmt: skip
    assert said == {STDOUT: b"hello", STDERR: b"oops\n"}
    assert [it for it in frames if isinstance(it, Exit)] == [Exit(channel=channel, how="status", number=7)]
    assert {it.stream for it in frames if isinstance(it, EndOfFile)} == {STDOUT, STDERR}


def test_an_id_is_free_after_its_close(guest: Guest) -> None:
    for _ in range(3):
        guest.send(Spawn(channel=9, argv=(b"true",)))
        assert guest.finish(9).exit == Exit(channel=9, how="status", number=0)


@pytest.mark.parametrize("name", ["TERM", "KILL", "HUP", "USR1"])
def test_end_by_signal(guest: Guest, name: str) -> None:
    ended = guest.run("sh", "-c", f"ulimit -c 0; kill -{name} $$").exit
    assert ended and (ended.how, ended.number) == ("signal", number_of(name))


def test_nothing_is_inherited_that_was_not_asked_for(boot: Callable[..., Guest]) -> None:
    guest = boot(token="geheim").greet()
    assert guest.hello.token == b"geheim"
    assert guest.run("env", env=(b"PATH=/bin:/usr/bin", b"A=1")).out == b"PATH=/bin:/usr/bin\nA=1\n"
    inherited = guest.run("env", env=(b"AGENT_OWN=2", b"A=1"), inherit_env=True).out.splitlines()
    assert {b"AGENT_OWN=2", b"A=1", b"PATH=/usr/bin:/bin"} <= set(inherited)
    assert not [line for line in inherited if b"geheim" in line or line.startswith(b"MOORAGE_TOKEN")]
    assert b"geheim" not in Path(f"/proc/{guest.process.pid}/environ").read_bytes()
    assert b"geheim" not in Path(f"/proc/{guest.process.pid}/cmdline").read_bytes()


def test_no_descriptor_is_inherited(guest: Guest) -> None:
    others = [guest.spawn("sleep", "60") for _ in range(3)]
    assert guest.run("ls", "/proc/self/fd").out.split() == [b"0", b"1", b"2", b"3"]  # 3: ls reads the folder
    for other in others:
        guest.send(Close(channel=other))


def test_signals_are_as_a_program_expects_them(guest: Guest) -> None:
    status = dict(line.split(":\t") for line in guest.run("cat", "/proc/self/status").out.decode().splitlines())
    reserved = 0b111 << 31  # 32 to 34 belong to the C library, which lets nobody change them
    assert {int(status[name], 16) & ~reserved for name in ("SigBlk", "SigIgn")} == {0}


def test_a_session_of_its_own(guest: Guest) -> None:
    channel = guest.spawn("cat", "/proc/self/stat")
    pid = guest.next(Spawned, channel).pid
    assert guest.finish(channel).out.rpartition(b")")[2].split()[2:5] == [str(pid).encode()] * 2 + [b"0"]


def test_program_and_argv_are_two_things(guest: Guest) -> None:
    assert guest.run("-sh", "-c", "echo $0", program=b"sh").out == b"-sh\n"
    assert guest.run("", "-c", "echo yes", program=b"/bin/sh").out == b"yes\n"


def test_directory(guest: Guest, tmp_path: Path) -> None:
    assert guest.run("pwd", directory=bytes(tmp_path)).out == bytes(tmp_path) + b"\n"


def test_a_long_command(guest: Guest) -> None:
    text = "x" * 120_000
    assert guest.run("printf", "%s%s", text, text).out.decode() == 2 * text


@pytest.mark.parametrize(
    ("options", "stage", "errno"),
    [
        ({"argv": (b"no-such-program",)}, "exec", 2),
        ({"argv": (b"/etc/passwd",)}, "exec", 13),
        ({"argv": (b"/etc/passwd/x",)}, "exec", 20),
        ({"argv": (b"",)}, "exec", 2),
        ({"argv": (b"true",), "directory": b"/no/such"}, "directory", 2),
    ],
)
@pytest.mark.parametrize("terminal", [None, TERMINAL])
def test_what_does_not_start_says_where(
    guest: Guest, options: dict[str, bytes], stage: str, errno: int, terminal: Terminal | None
) -> None:
    guest.send(Spawn(channel=1, terminal=terminal, **options))  # type: ignore[arg-type]
    assert list(guest.order(1)) == [Err(channel=1, stage=stage, errno=errno), Close(channel=1)]


@as_root
@pytest.mark.parametrize("terminal", [None, TERMINAL])
def test_another_user(guest: Guest, terminal: Terminal | None) -> None:
    user = SpawnUser(uid=NOBODY, gid=NOBODY, groups=(7, 8))
    command = "id -u; id -g; id -G; echo again >/proc/self/fd/1"
    ran = guest.run("sh", "-c", command, user=user, terminal=terminal)
    assert ran.out.split() == b"65534 65534 65534 7 8 again".split(), ran.err


@as_root
@pytest.mark.parametrize("user", [SpawnUser(uid=2**32 - 1, gid=0), SpawnUser(uid=0, gid=2**32 - 1)])
def test_a_user_that_means_no_change_to_the_kernel(guest: Guest, user: SpawnUser) -> None:
    guest.send(Spawn(channel=1, argv=(b"true",), user=user))
    assert list(guest.order(1)) == [Err(channel=1, stage="user", errno=22), Close(channel=1)]


def test_size_and_modes_are_there_before_the_program(guest: Guest) -> None:
    modes = ((53, 0), (3, 8), (1, 255), (72, 0), (91, 1), (200, 5))
    ran = guest.run("stty", "-a", terminal=Terminal(rows=33, columns=111, modes=modes), stdin=None)
    said = ran.out.decode()
    assert "rows 33; columns 111;" in said
    assert " -echo " in said and "erase = ^H;" in said and "intr = <undef>;" in said and "-onlcr" in said
    assert "\r" not in said


def test_a_terminal_is_its_programs_own(guest: Guest) -> None:
    group_of = "cut -d' ' -f8 /proc/$$/stat"  # tpgid, of a program whose name has no blank
    ran = guest.run("sh", "-c", f"tty; {group_of}; echo $$; echo to >/dev/tty", terminal=TERMINAL, stdin=None)
    tty, group, pid, to = ran.out.decode().split("\r\n")[:4]
    assert tty.startswith("/dev/pts/") and group.strip() == pid and to == "to"
    assert ran.exit == Exit(channel=1, how="status", number=0)


def test_resize_tells_the_program(guest: Guest) -> None:
    channel = guest.spawn("sh", "-c", "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.01; done",
                          terminal=TERMINAL)  # fmt: skip
    guest.output(channel, b"ready")
    guest.send(Resize(channel=channel, rows=7, columns=77))
    assert b"7 77" in guest.finish(channel).out


def test_a_terminal_stays_when_the_program_closes_and_opens_it(guest: Guest) -> None:
    command = "exec </dev/null >/dev/null 2>&1; sleep 0.1; echo back >/dev/tty"
    assert guest.run("sh", "-c", command, terminal=TERMINAL, stdin=None).out == b"back\r\n"


def test_end_of_stdin_does_nothing_to_a_terminal(guest: Guest) -> None:
    channel = guest.spawn("sh", "-c", "stty -echo; echo ready; read line; echo got $line", terminal=TERMINAL)
    guest.output(channel, b"ready")
    guest.send(EndOfFile(channel=channel, stream=STDIN), Ping(mark=b"12345678"))
    guest.next(Pong)
    guest.send(Signal(channel=channel, number=signal.SIGHUP))
    assert guest.finish(channel).exit == Exit(channel=channel, how="signal", number=signal.SIGHUP)


def test_signals_go_to_the_group_in_the_foreground(guest: Guest) -> None:
    """As Ctrl-C would: the job and not the shell behind it."""
    channel = guest.spawn("sh", "-i", env=(b"PATH=/usr/bin:/bin", b"PS1=$ "), terminal=TERMINAL)
    guest.send(Data(channel=channel, stream=STDIN, piece=b"sh -c 'echo j\"\"ob; exec sleep 60'\n"))
    guest.output(channel, b"job")
    guest.send(Signal(channel=channel, number=signal.SIGTERM))
    guest.send(Data(channel=channel, stream=STDIN, piece=b"echo code $?\n"))
    guest.output(channel, b"code 143")
    guest.send(Data(channel=channel, stream=STDIN, piece=b"exit 3\n"))
    assert guest.finish(channel).exit == Exit(channel=channel, how="status", number=3)


def test_signals_go_to_the_whole_group_without_a_terminal(guest: Guest) -> None:
    channel = guest.spawn("sh", "-c", "sleep 60 & echo $!; wait")
    child = int(guest.output(channel, b"\n"))
    guest.send(Signal(channel=channel, number=signal.SIGTERM))
    assert guest.finish(channel).exit == Exit(channel=channel, how="signal", number=signal.SIGTERM)
    gone(child)


def test_a_signal_right_behind_the_spawn_is_not_lost(guest: Guest) -> None:
    for _ in range(20):
        channel = guest.spawn("sleep", "60")
        guest.send(Signal(channel=channel, number=signal.SIGINT))
        ran = guest.finish(channel)
        assert ran.exit == Exit(channel=channel, how="signal", number=signal.SIGINT)


def test_exit_does_not_wait_for_a_child_that_holds_the_output(guest: Guest) -> None:
    channel = guest.spawn("sh", "-c", "sleep 60 & echo $!")
    child = int(guest.output(channel, b"\n"))
    assert guest.next(Exit, channel).number == 0
    guest.send(Ping(mark=b"12345678"))
    guest.next(Pong)
    assert alive(child)
    guest.send(Close(channel=channel))
    guest.finish(channel)
    gone(child)


@pytest.mark.parametrize("terminal", [None, TERMINAL])
def test_close_ends_the_whole_session(guest: Guest, terminal: Terminal | None) -> None:
    """Also what ignores signals, and jobs that the shell has put into groups of their own."""
    script = "set -m; trap '' HUP TERM; sleep 60 & a=$!; (trap '' HUP; sleep 60) & echo $$ $a $! .; wait"
    channel = guest.spawn("sh", "-c", script, terminal=terminal)
    pids = list(map(int, guest.output(channel, b".").split(b".")[0].split()))
    assert len(pids) == 3 and all(map(alive, pids))
    guest.send(Close(channel=channel))
    assert guest.finish(channel).exit == Exit(channel=channel, how="signal", number=signal.SIGKILL)
    gone(*pids)


def test_close_at_once(guest: Guest) -> None:
    for _ in range(20):
        channel = guest.spawn("sleep", "60")
        guest.send(Close(channel=channel), Close(channel=channel))
        assert guest.finish(channel).exit == Exit(channel=channel, how="signal", number=signal.SIGKILL)


def test_orphans_are_reaped(guest: Guest) -> None:
    for _ in range(5):
        assert guest.run("sh", "-c", "(sleep 0.01 & sleep 0.01 &) ; exit 0").exit
    children = Path(f"/proc/{guest.process.pid}/task/{guest.process.pid}/children")
    until = time.monotonic() + WAIT_SECONDS
    while children.read_text():
        assert time.monotonic() < until, children.read_text()
        time.sleep(0.01)

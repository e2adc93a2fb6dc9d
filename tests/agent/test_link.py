"""`agent serve`, the link: many programs on it, flow control, and what happens when it breaks."""

import errno
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from protocol.frame_types import (
    DATA_BYTES_MAX,
    STDIN,
    STDOUT,
    Close,
    Credit,
    Data,
    EndOfFile,
    Err,
    Exit,
    HostHello,
    Ping,
    Pong,
    Signal,
    Spawn,
    Spawned,
)
from protocol.frames import encode
from tests.agent.golden import golden
from tests.agent.guest import Ended, Guest
from tests.agent.test_programs import gone

BLOCK = bytes(range(256)) * 256
MARK = b"12345678"


@pytest.mark.parametrize("attached", [True, False])
def test_both_links(boot: Callable[..., Guest], attached: bool) -> None:
    guest = boot(attached=attached, token="t0k3n").greet()
    assert (guest.hello.token, guest.hello.window, guest.hello.channels_max) == (b"t0k3n", 1 << 20, 1024)
    guest.send(Ping(mark=MARK))
    assert guest.next(Pong).mark == MARK
    assert guest.run("echo", "hello").out == b"hello\n"
    assert guest.hang_up() == 0


def test_fifty_programs_at_once(guest: Guest) -> None:
    script = "read n; head -c 70000 /dev/zero; exit $n"
    channels = [guest.spawn("sh", "-c", script) for _ in range(50)]
    for channel in reversed(channels):
        guest.send(Data(channel=channel, stream=STDIN, piece=f"{channel}\n".encode()))
    for channel in channels:
        ran = guest.finish(channel)
        assert (len(ran.out), ran.exit) == (70000, Exit(channel=channel, how="status", number=channel))


def test_output_stops_when_the_credit_is_used_up(boot: Callable[..., Guest]) -> None:
    guest = boot().greet(window=100_000)
    stalled = guest.spawn("cat", "/dev/zero")
    got = 0
    while got < 100_000:
        got += len(guest.next(Data, stalled).piece)
    assert got == 100_000
    assert guest.run("echo", "not held up").out == b"not held up\n"
    guest.send(Ping(mark=MARK))
    guest.next(Pong)
    assert not [it for it in guest._frames if isinstance(it, Data)]
    guest.send(Credit(channel=stalled, stream=STDOUT, bytes=5))
    assert len(guest.next(Data, stalled).piece) == 5
    guest.send(Close(channel=stalled))
    guest.finish(stalled)


def test_input_that_nobody_reads_holds_up_no_other(guest: Guest) -> None:
    stalled = guest.spawn("sleep", "60")
    for _ in range(guest.hello.window // len(BLOCK)):
        guest.send(Data(channel=stalled, stream=STDIN, piece=BLOCK))
    assert guest.run("cat", stdin=b"through").out == b"through"
    guest.send(Close(channel=stalled))
    guest.finish(stalled)


def test_megabytes_both_ways_arrive_as_they_were(guest: Guest) -> None:
    channel, total = guest.spawn("cat"), 6 << 20
    sent, credit, out = 0, guest.hello.window, bytearray()
    while len(out) < total:
        while credit and sent < total:
            piece = BLOCK[: min(credit, total - sent)]
            guest.send(Data(channel=channel, stream=STDIN, piece=piece))
            sent, credit = sent + len(piece), credit - len(piece)
        frame = guest.take(lambda it: it.channel == channel and isinstance(it, Data | Credit))
        if isinstance(frame, Credit):
            credit += frame.bytes
        elif isinstance(frame, Data):
            out += frame.piece
            guest.send(Credit(channel=channel, stream=STDOUT, bytes=len(frame.piece)))
    assert all(out[at : at + len(BLOCK)] == BLOCK for at in range(0, total, len(BLOCK)))
    guest.send(EndOfFile(channel=channel, stream=STDIN))
    assert guest.finish(channel).exit == Exit(channel=channel, how="status", number=0)


def test_a_slow_reader_gets_all_of_it(guest: Guest) -> None:
    channel = guest.spawn("sh", "-c", "sleep 0.1; cksum")
    for _ in range(16):
        guest.send(Data(channel=channel, stream=STDIN, piece=BLOCK))
    guest.send(EndOfFile(channel=channel, stream=STDIN))
    assert guest.finish(channel).out.split()[1] == str(16 * len(BLOCK)).encode()


def test_who_closes_stdin_is_reported(guest: Guest) -> None:
    channel = guest.spawn("sh", "-c", "exec <&-; echo closed; sleep 60")
    guest.output(channel, b"closed")
    guest.send(Data(channel=channel, stream=STDIN, piece=b"nobody reads this"))
    assert guest.next(EndOfFile, channel).stream == STDIN
    guest.send(Close(channel=channel))
    guest.finish(channel)


def test_more_programs_than_there_are_channels(guest: Guest) -> None:
    _, most = resource.prlimit(guest.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(guest.process.pid, resource.RLIMIT_NOFILE, (most, most))
    for channel in range(1, guest.hello.channels_max + 2):
        guest.send(Spawn(channel=channel, argv=(b"/bin/sleep", b"60")))
    over = guest.hello.channels_max + 1
    assert list(guest.order(over)) == [Err(channel=over, stage="limit", errno=errno.EAGAIN), Close(channel=over)]
    guest.send(Close(channel=5))
    guest.finish(5)
    guest.send(Spawn(channel=over, argv=(b"true",)))
    assert guest.finish(over).exit
    assert guest.hang_up() == 0


def test_more_descriptors_than_there_may_be(guest: Guest) -> None:
    resource.prlimit(guest.process.pid, resource.RLIMIT_NOFILE, (24, 24))
    channels = [guest.spawn("sleep", "60") for _ in range(6)]
    refused = guest.next(Err)
    assert (refused.stage, refused.errno) == ("resources", errno.EMFILE)
    for channel in channels:
        guest.send(Close(channel=channel))
        guest.finish(channel)
    assert guest.run("echo", "again").out == b"again\n"


def test_frames_for_a_channel_that_has_ended_are_late_and_not_wrong(guest: Guest) -> None:
    guest.run("true")
    guest.send(
        Data(channel=1, stream=STDIN, piece=b"late"),
        Credit(channel=1, stream=STDOUT, bytes=1),
        Signal(channel=1, number=9),
        Close(channel=1),
        Ping(mark=MARK),
    )
    assert guest.next(Pong).mark == MARK


def broken(guest: Guest) -> None:
    """The link is over by the host's fault: an ERR on channel 0, exit code 5, and nothing left."""
    with pytest.raises(Ended):
        guest.take(lambda frame: frame == Err(channel=0, stage="protocol", errno=errno.EPROTO))
        guest.take(lambda frame: False)
    assert guest.ended() == 5


@pytest.mark.parametrize(("why", "data"), golden("host_bad"), ids=[why for why, _ in golden("host_bad")])
def test_what_no_host_may_send_ends_everything(boot: Callable[..., Guest], why: str, data: bytes) -> None:
    guest = boot()
    if "HELLO" not in why:
        guest.greet()
        if "CREDIT" in why:
            guest.spawn("sleep", "60")
    guest.send_bytes(data)
    broken(guest)


SLEEPER = Spawn(channel=1, argv=(b"/bin/sleep", b"60"))
RULES = {
    "a frame before HELLO": (Ping(mark=MARK),),
    "HELLO twice": (HostHello(window=1), HostHello(window=1)),
    "a channel twice": (HostHello(window=1), SLEEPER, SLEEPER),
    "more DATA than the window": (
        *(HostHello(window=1), SLEEPER),
        *[Data(channel=1, stream=STDIN, piece=bytes(DATA_BYTES_MAX))]
        * 22,  # the window, what the pipe has taken, and one more
    ),
    "DATA behind EOF": (
        *(HostHello(window=1), SLEEPER, EndOfFile(channel=1, stream=STDIN)),
        Data(channel=1, stream=STDIN, piece=b"x"),
    ),
    "more CREDIT than 16 MiB": (
        *(HostHello(window=1), SLEEPER),
        Credit(channel=1, stream=STDOUT, bytes=1 << 24),
    ),
}


@pytest.mark.parametrize("frames", RULES.values(), ids=RULES)
def test_a_host_that_breaks_the_rules(boot: Callable[..., Guest], frames: tuple[Ping, ...]) -> None:
    guest = boot()
    with suppress(BrokenPipeError):  # it need not hear all of it
        guest.send_bytes(b"".join(map(encode, frames)))
    broken(guest)


@pytest.mark.parametrize("attached", [True, False])
def test_loss_of_the_link_ends_all(boot: Callable[..., Guest], attached: bool) -> None:
    """Also what has left its session, and what ignores signals."""
    guest = boot(attached=attached).greet()
    script = "trap '' HUP TERM; setsid sleep 60 & setsid sh -c 'sleep 60 & echo $$ $! .; wait' & echo $$; wait"
    channel = guest.spawn("sh", "-c", script)
    said = guest.output(channel, b".")
    pids = [int(word) for word in said.split() if word.isdigit()]
    assert guest.hang_up() == 0
    gone(*pids)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_engine_stops_the_container(guest: Guest, number: int) -> None:
    channel = guest.spawn("sleep", "60")
    pid = guest.next(Spawned, channel).pid
    guest.process.send_signal(number)
    assert guest.ended() == 0
    gone(pid)


def test_a_host_that_never_greets(boot: Callable[..., Guest]) -> None:
    assert boot("--hello-ms", "50").ended() == 6


def test_a_silent_host(boot: Callable[..., Guest]) -> None:
    guest = boot(attached=True).greet(heartbeat_ms=400)
    pid = guest.next(Spawned, guest.spawn("sleep", "60")).pid
    for _ in range(8):  # twice the deadline in all
        time.sleep(0.1)
        guest.send(Ping(mark=MARK))
        guest.next(Pong)
    assert guest.ended() == 6
    gone(pid)


def test_a_host_that_does_not_read_is_not_waited_for_in_memory(guest: Guest) -> None:
    """Its pings are answered into a buffer of fixed size; then nothing more is read, and it blocks itself."""
    ping = encode(Ping(mark=MARK)) * 1000
    guest._socket.settimeout(0.5)
    with pytest.raises(TimeoutError):
        for _ in range(1000):
            guest.send_bytes(ping)
    assert guest.process.poll() is None


@pytest.mark.skipif(os.geteuid() != 0, reason="root may look everywhere; the owner of a closed file is the proof")
def test_its_memory_is_closed_to_programs_of_its_user(guest: Guest, tmp_path: Path) -> None:
    """PR_SET_DUMPABLE 0 makes /proc/PID root's, whoever runs it; here: by the kernel's own answer."""
    ran = guest.run("cat", f"/proc/{guest.process.pid}/status")
    assert b"Name:\tagent" in ran.out
    code = "import os,sys; os.setgid(65534); os.setuid(65534); os.execv(sys.argv[1], ['agent', 'serve'])"
    binary = tmp_path.parent / "agent-for-nobody"
    binary.write_bytes(Path(f"/proc/{guest.process.pid}/exe").read_bytes())
    binary.chmod(0o755)
    with open(binary, "rb") as program:
        path = f"/proc/self/fd/{program.fileno()}"
        process = subprocess.Popen(
            ["python3", "-c", code, path], stdin=-1, stdout=-1, stderr=-1, pass_fds=(program.fileno(),),
            env={"ASAN_OPTIONS": "detect_leaks=0"},
        )  # fmt: skip
        assert process.stdout and process.stdout.read(12)
        assert os.stat(f"/proc/{process.pid}/environ").st_uid == 0
        process.communicate(timeout=20)

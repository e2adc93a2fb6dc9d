"""Programs that the agent serves, as they should run, on the real engine with OpenSSH's client."""

import hashlib
from typing import Any

import trio

from protocol.frame_types import SIGNALS
from tests.e2e.harness import Client, Done
from tests.e2e.runs_program import _control_master, _shell_at_a_terminal, _stdin_closed
from tests.e2e.served import ALL, Served, served

ENDED = ("SS0711|SS0812",)  # the agent's word on the end, and the end of the output, in either order
BIG = 50_000_000
THIRTEEN_SECONDS_MAX = 90.0  # as many containers at once; 3 s on a quiet machine, 28 on one with five such runs


@served("exec", end="exit status 7", rows=ENDED, quick=ALL)
async def exec_(at: Served) -> None:
    """A command: output, error output and exit status."""
    async with at.harness() as harness:
        assert await harness.ssh("echo out; echo err >&2; exit 7") == Done(7, b"out\n", b"err\n")
        assert "DOCKER_EXEC_CREATE" not in harness.said


@served("shell", end="exit status 9", rows=ENDED)
async def shell(at: Served) -> None:
    """A shell that reads its commands from the client's input and ends at the end of it."""
    async with at.harness() as harness:
        assert await harness.ssh(None, stdin=b"echo from a shell\nexit 9\n") == Done(9, b"from a shell\n", b"")


@served("image-command", end="exit status 3", rows=ENDED, modes=("session",))
async def image_command(at: Served) -> None:
    """No shellCommand: the image's own CMD is the shell."""
    async with at.harness(shell_command=()) as harness:
        assert await harness.ssh(None, stdin=b"echo $0; exit 3\n") == Done(3, b"/bin/sh\n", b"")


@served("subsystem", end="exit status 0", rows=ENDED, quick=("session-socket",))
async def subsystem(at: Served) -> None:
    """A subsystem from the map, fed and read to its end."""
    async with at.harness(subsystems={"echo": "/bin/cat"}) as harness:
        assert await harness.ssh("echo", "-s", stdin=b"back") == Done(0, b"back", b"")


@served("terminal", end="exit status 0", rows=ENDED)
async def terminal(at: Served) -> None:
    """The first thing that the program sees at its terminal: the client's size and modes."""
    async with at.harness() as harness, harness.terminal("stty size; stty -a", 91, 37, "erase ^H -ixon iutf8") as seen:
        assert await seen.end() == 0
    assert seen.shown.startswith(b"37 91\r\n")
    assert b"erase = ^H" in seen.shown and b" -ixon" in seen.shown and b" iutf8" in seen.shown


@served("shell-pty-resize", end="exit status 4", rows=("SS0617", *ENDED), quick=ALL)
async def resize(at: Served) -> None:
    """A terminal of 90x30 made 120x50 by its user, Ctrl-C, and exit."""
    await _shell_at_a_terminal(at, at.mode)  # type: ignore[arg-type]


@served("stdin-closed", end="exit status 5", rows=ENDED)
async def stdin_closed(at: Served) -> None:
    """`ssh -n`: the end of input is a half-close, the program goes on and its status comes."""
    await _stdin_closed(at, at.mode)  # type: ignore[arg-type]


@served("control-master", end="exit statuses 0 to 4", rows=ENDED, quick=("connection-socket",))
async def control_master(at: Served) -> None:
    """Five commands over a ControlMaster with closed input, each its own status."""
    await _control_master(at, at.mode)  # type: ignore[arg-type]


@served("bulk", end="exit status 0", rows=ENDED, quick=("connection-socket", "session-attach"))
async def bulk(at: Served) -> None:
    """50 MB up, 50 MB down, and 50 MB there and back, each byte as it was."""
    data = hashlib.sha512(b"seed").digest() * (BIG // 64)
    async with at.harness() as harness:
        up = await harness.ssh("sha256sum", stdin=data)
        assert up.out.split()[0] == hashlib.sha256(data).hexdigest().encode()
        down = await harness.ssh(f"head -c {BIG} /dev/zero")
        assert (down.status, len(down.out), down.out.count(b"\0")) == (0, BIG, BIG)
        assert await harness.ssh("cat", stdin=data) == Done(0, data, b"")


@served("output-closed", end="exit status 6", rows=("SS0615", "SS0711"))
async def output_closed(at: Served) -> None:
    """A program that closes both outputs, and only then reads its input to the end."""
    async with at.harness() as harness:
        script = "exec >/dev/null 2>&1; sleep 0.3; [ $(wc -c) = 3000000 ] && exit 6"
        assert await harness.ssh(script, stdin=bytes(3_000_000)) == Done(6, b"", b"")


@served("background-child", end="exit status 3", rows=("SS0616", "SS0812"))
async def background(at: Served) -> None:
    """A child that holds the output: the session ends when it does, with the status of the program."""
    async with at.harness() as harness:
        assert await harness.ssh("(sleep 0.5; echo late) & exit 3", "-n", stdin=None) == Done(3, b"late\n", b"")


@served("background-child-pty", end="exit status 3", rows=("SS0616|SS0615", *ENDED), quick=("connection-socket",))
async def background_pty(at: Served) -> None:
    """At a terminal the end of the program hangs up on its child, and nobody waits for it."""
    async with at.harness() as harness:
        with trio.fail_after(10):
            assert await harness.ssh("sleep 60 & exit 3", "-tt") == Done(3, b"", b"")


async def _signals(client: Client, **options: Any) -> None:
    async def one(name: str) -> None:
        process = await client.start("ulimit -c 0; echo ready; exec sleep 60", **options)
        assert (await client.line(process)).strip() == b"ready"
        process.send_signal(name)
        await client.wait(process)
        assert process.exit_signal is not None and process.exit_signal[0] == name

    async with trio.open_nursery() as nursery:
        for name in SIGNALS:
            nursery.start_soon(one, name)


@served("signals", end="exit-signal of each name", rows=("SS0618", *ENDED), needs=("engine",))
async def signals(at: Served) -> None:
    """Every signal of RFC 4254: it ends the program, and the end is told by its name."""
    async with at.harness(seconds_max=THIRTEEN_SECONDS_MAX) as harness, harness.client() as client:
        await _signals(client)
        assert harness.said.count("SSH_EXIT") == len(SIGNALS)


@served(
    "signals-pty", end="exit-signal of each name", rows=("SS0618", *ENDED), needs=("engine",), quick=("session-socket",)
)
async def signals_pty(at: Served) -> None:
    """The same at a terminal."""
    async with at.harness(seconds_max=THIRTEEN_SECONDS_MAX) as harness, harness.client() as client:
        await _signals(client, term_type="xterm", term_size=(80, 24))


@served("signal-trapped", end="exit status 0", rows=("SS0618", *ENDED), needs=("engine",))
async def trapped(at: Served) -> None:
    """A signal that the program takes for itself; one that comes before it runs is not lost either."""
    async with at.harness() as harness, harness.client() as client:
        process = await client.start("trap 'echo taken; exit 0' USR1; echo ready; while :; do sleep 0.05; done")
        await client.line(process)
        process.send_signal("USR1")
        assert await client.line(process) == b"taken\n"
        assert (await client.wait(process)).status == 0

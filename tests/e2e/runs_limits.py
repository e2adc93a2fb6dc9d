"""Limits by user and by address: what a person reads who comes to one, and how the time of a connection ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncssh
import trio

from moorage.testing import FakeImage
from protocol.settings_limits import AddressShare, Limits, LoginRate, Share
from tests.e2e.harness import Client, Done, Harness
from tests.e2e.runs import Setup, run
from tests.e2e.sentence import told

SSH = ("openssh",)
SERVED: dict[str, Any] = {"transport": "served", "links": ("attach",)}
QUIET = "echo ready; cat"


@asynccontextmanager
async def held(harness: Harness, command: str = QUIET) -> AsyncIterator["asyncssh.SSHClientProcess[bytes]"]:
    """A connection with a session that stays."""
    async with harness.client() as client:
        process = await client.start(command)
        assert await client.line(process) == b"ready\n"
        yield process


def nothing_is_counted(harness: Harness) -> None:
    assert harness.server.supervisor.admission.counts.statistics() == {}


def too_many(name: str, limits: Limits, code: str, row: str, words: str, about: str) -> None:
    """A run in which the second login, with OpenSSH's client, is one too many; and the next one is not."""
    mode = "session" if name.startswith("session") else "connection"

    async def go(setup: Setup) -> None:
        async with setup.fake_harness(mode=mode, limits=limits) as harness:
            async with held(harness):
                told(await harness.ssh("true"), code, words)
            await harness.all_gone()
            nothing_is_counted(harness)
            assert (await harness.ssh("exit 7")).status == 7

    go.__doc__ = about
    run(name, end="exit status 125", rows=(row,), needs=SSH, kept=1)(go)


ONE = Share(connections=1)
for one in (
    ("connection-limit-connections", Limits(user=ONE), "MOORAGE_LIMIT_CONNECTIONS", "CN0213",
     "too many connections: you have 1 already, and may have 1 at one time",
     "A user's second connection is one too many: let in, and told why nothing runs."),
    ("session-limit-connections", Limits(user=ONE), "MOORAGE_LIMIT_CONNECTIONS", "CN0213",
     "too many connections: you have 1 already, and may have 1 at one time", "The same in mode session."),
    ("connection-limit-containers", Limits(user=Share(containers=1)), "MOORAGE_LIMIT_CONTAINERS", "CN0214",
     "too many containers: you have 1 already, and may have 1 at one time",
     "A user's second container is one too many, in mode connection at the login."),
    ("session-limit-containers", Limits(address=AddressShare(containers=1)), "MOORAGE_LIMIT_CONTAINERS", "SS0132",
     "too many containers: your address has 1 already, and may have 1 at one time",
     "An address's second container is one too many, in mode session when a program is asked for."),
):  # fmt: skip
    too_many(*one)


async def _login_rate(setup: Setup, limits: Limits, whose: str) -> None:
    async with setup.fake_harness(limits=limits) as harness:
        for _ in range(2):
            assert await harness.ssh("echo ok") == Done(0, b"ok\n", b"")
            await harness.all_gone()
        words = f"too many logins: {whose} had 2 in 3600 s; the next may come in 3600 s"
        told(await harness.ssh("true"), "MOORAGE_LIMIT_LOGIN_RATE", words)


RATE = LoginRate(logins=2, period=3600.0)


@run("connection-limit-login-rate", end="exit status 125", rows=("CN0215",), needs=SSH, kept=2)
async def login_rate(setup: Setup) -> None:
    """A user's third login within the period is one too many: told when the next may come."""
    await _login_rate(setup, Limits(user=Share(login_rate=RATE)), "you have")


@run("connection-limit-login-rate-address", end="exit status 125", rows=("CN0215",), needs=SSH, kept=2)
async def login_rate_address(setup: Setup) -> None:
    """The same for an address."""
    await _login_rate(setup, Limits(address=AddressShare(login_rate=RATE)), "your address has")


@run("connection-limit-address", end="closed by the server", rows=("CN0102", "CN0701"), needs=SSH, kept=1)
async def address_connections(setup: Setup) -> None:
    """An address's second connection is closed before the login; the client shows the reason."""
    async with setup.fake_harness(limits=Limits(address=AddressShare(connections=1))) as harness:
        async with held(harness):
            done = await harness.ssh("true")
            assert (done.status, done.out) == (255, b"")
            assert b": too many connections: your address has 1 already, and may have 1 at one time" in done.err
            assert b"(MOORAGE_LIMIT_CONNECTIONS)" in done.err
        await harness.all_gone()
        nothing_is_counted(harness)
        assert (await harness.ssh("exit 7")).status == 7


async def _sessions(setup: Setup, limits: Limits, whose: str) -> None:
    async with setup.fake_harness(limits=limits) as harness:
        async with held(harness):
            done = await harness.ssh("true", "-v")
            assert (done.status, done.out) == (255, b"")
            words = f"administratively prohibited: too many sessions: {whose} 1 already, and may have 1 at one time"
            assert f"{words} (MOORAGE_LIMIT_SESSIONS)".encode() in done.err
        await harness.all_gone()
        nothing_is_counted(harness)
        assert (await harness.ssh("exit 7")).status == 7


@run("connection-limit-sessions", end="the client leaves", rows=("CN0317|CN0415",), needs=SSH, kept=1)
async def user_sessions(setup: Setup) -> None:
    """A user's second session, in another connection, is one too many: the channel may not open."""
    await _sessions(setup, Limits(user=Share(sessions=1)), "you have")


@run("connection-limit-sessions-address", end="the client leaves", rows=("CN0317|CN0415",), needs=SSH, kept=1)
async def address_sessions(setup: Setup) -> None:
    """The same for an address."""
    await _sessions(setup, Limits(address=AddressShare(sessions=1)), "your address has")


# Time


NEAR = {
    "idle": b"moorage: nothing has moved here for a while; unless something does, this connection ends in ",
    "total": b"moorage: the time for this connection is nearly over; it ends in ",
}
OVER = {
    "idle": b"moorage: nothing has moved here for %s s; this connection ends now (MOORAGE_LIMIT_IDLE)\r\n",
    "total": b"moorage: the time for this connection, %s s, is over; it ends now (MOORAGE_LIMIT_TOTAL)\r\n",
}
SHORT = {"idle": Limits(idle=0.6, warning=0.25), "total": Limits(total=0.6, warning=0.25)}
LONG = {"idle": Limits(idle=5.0, warning=1.0), "total": Limits(total=5.0, warning=1.0)}
SCRIPT = {
    "idle": "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done",
    "total": "trap 'echo bye; exit 3' TERM; echo ready; while :; do echo on >&3; sleep 0.05; done 3>/dev/null",
}
ROWS = {"idle": ("TI0303", "TI0502", "CN0418", "SS0620", "SS0612"),
        "total": ("TI0203", "TI0402", "CN0418", "SS0620", "SS0612")}  # fmt: skip


def sentences(limit: str, warning: bytes, allowed: bytes) -> bytes:
    """What the user reads: the warning, and the end."""
    return (
        NEAR[limit] + warning + b" s (MOORAGE_LIMIT_" + limit.upper().encode() + b"_NEAR)\r\n" + OVER[limit] % allowed
    )


def time_is_over(mode: str, limit: str, about: str) -> None:
    """A program of the real engine that has last words."""

    async def go(setup: Setup) -> None:
        async with setup.harness(mode=mode, limits=LONG[limit], transport="served") as harness:
            done = await harness.ssh(SCRIPT[limit])
            assert (done.status, done.out) == (3, b"ready\nbye\n"), done
            assert done.err.startswith(sentences(limit, b"1", b"5")), done  # its shell has a word about TERM too
            await harness.all_gone()
            nothing_is_counted(harness)

    go.__doc__ = about
    run(f"{mode}-limit-{limit}", end="exit status 3", rows=ROWS[limit], needs=(*SSH, "engine"))(go)


time_is_over("connection", "idle", """Nothing moves: the user is warned, then told; the program is sent TERM, and its
             own status arrives.""")  # fmt: skip
time_is_over("session", "total", """The time since the login is over: the user is warned, then told; the program is
             sent TERM, and its own status arrives.""")  # fmt: skip


def time_is_over_for_a_signal(mode: str, limit: str) -> None:
    async def go(setup: Setup) -> None:
        """The same of a program that TERM ends at once."""
        async with setup.fake_harness(mode=mode, limits=SHORT[limit], **SERVED) as harness:
            done = await harness.ssh("echo ready; sleep 60")
            assert done == Done(255, b"ready\n", sentences(limit, b"0.25", b"0.6")), done
            await harness.all_gone()
            nothing_is_counted(harness)

    run(f"{mode}-limit-{limit}-signal", end="exit signal TERM", rows=ROWS[limit], needs=SSH)(go)


for _mode, _limit in (("connection", "total"), ("session", "idle")):
    time_is_over_for_a_signal(_mode, _limit)


@run("connection-limit-idle-moving", end="exit status 4", rows=("TI0301", "TI0303", "TI0501"), needs=())
async def moving(setup: Setup) -> None:
    """Bytes in either direction keep a connection; after a warning too."""
    async with (
        setup.fake_harness(limits=Limits(idle=0.9, warning=0.4), **SERVED) as harness,
        held(harness, "echo ready; cat; exit 4") as process,
    ):
        await trio.sleep(0.3)
        process.stdin.write(b"early\n")
        await harness.said.until("MOORAGE_LIMIT_IDLE_NEAR")
        process.stdin.write(b"late\n")
        await trio.sleep(0.6)  # it would be over by now
        process.stdin.write_eof()
        done = await Client.wait(None, process)  # type: ignore[arg-type]
        assert (done.status, done.out) == (4, b"early\nlate\n"), done
        assert "MOORAGE_LIMIT_IDLE" not in harness.said


def waiting(mode: str, about: str) -> None:
    """The image is pulled for longer than the limit."""

    async def go(setup: Setup) -> None:
        limits = Limits(idle=0.9, warning=0.3)
        async with setup.fake_harness(mode=mode, limits=limits, image="slow:1") as harness:
            assert harness.fake is not None
            harness.fake.registry["slow:1"] = FakeImage(pull_seconds=1.5)
            done = await harness.ssh("sleep 0.4; echo ok; exit 7")
            assert (done.status, done.out) == (7, b"ok\n"), done
            assert "MOORAGE_LIMIT_IDLE_NEAR" not in harness.said

    go.__doc__ = about
    run(f"{mode}-limit-idle-pull", end="exit status 7", rows=("TI0301",), needs=SSH)(go)


waiting("connection", "Who waits for a pull is not idle, and the time for that begins when the container is there.")
waiting("session", "The same for a container of the session's own.")


@run("connection-limit-idle-no-session", end="closed by the server", rows=("TI0302", "CN0417"), needs=SSH)
async def no_session(setup: Setup) -> None:
    """Nothing is open in an idle connection (`ssh -N`), and `warning` is 0: closed with the reason."""
    async with setup.fake_harness(limits=Limits(idle=0.3, warning=0.0)) as harness:
        done = await harness.ssh(None, "-N")
        assert done.status == 255 and b"nothing has moved here for 0.3 s" in done.err, done
        assert b"(MOORAGE_LIMIT_IDLE)" in done.err


@run("session-limit-total-stubborn", end="closed by the server", rows=("TI0202", "TI0601"), needs=(*SSH, "engine"))
async def stubborn(setup: Setup) -> None:
    """A program that ignores TERM when its time is over: shutdown.kill later its connection is closed."""
    more: dict[str, Any] = {"mode": "session", "shutdown": {"kill": 0.2}, "transport": "served"}
    async with setup.harness(limits=Limits(total=3.0, warning=0.0), **more) as harness:
        done = await harness.ssh("trap '' TERM; echo ready; sleep 60 & while :; do wait; done")
        assert done.out == b"ready\n" and done.err.startswith(OVER["total"] % b"3"), done
        assert done.status == 255 and done.err.endswith(b"it ends now (MOORAGE_LIMIT_TOTAL)\r\n"), done


@run("connection-limit-exec", end="exit status 137", rows=("TI0203", "TI0402", "CN0418", "SS0612"), needs=SSH)
async def of_an_exec(setup: Setup) -> None:
    """Without the agent: the container ends at TERM, and the program with it."""
    async with setup.fake_harness(limits=SHORT["total"]) as harness:
        done = await harness.ssh("echo ready; sleep 60")
        assert done.out == b"ready\n" and done.err.startswith(sentences("total", b"0.25", b"0.6")), done
        assert done.status == 137, done


@run("connection-limit-terminal", end="closed by the server", rows=("TI0203", "SS0620"), needs=(*SSH, "engine"))
async def terminal(setup: Setup) -> None:
    """A person at a shell reads the warning and the end on the screen."""
    async with (
        setup.harness(limits=Limits(total=3.0, warning=1.0), transport="served") as harness,
        harness.terminal(None, 80, 24) as person,
    ):
        await person.type(b"echo he''re\r")
        await person.until(b"here")
        await person.until(NEAR["total"] + b"1 s (MOORAGE_LIMIT_TOTAL_NEAR)")
        await person.until(b"the time for this connection, 3 s, is over; it ends now (MOORAGE_LIMIT_TOTAL)")
        await person.end()

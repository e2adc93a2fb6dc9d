"""Limits by user and by address: what a person reads who comes to one, and how the time of a connection ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncssh
import trio

from protocol.settings_limits import AddressShare, Limits, LoginRate, Share
from tests.e2e.harness import Client, Done, Harness
from tests.e2e.runs import Setup, run
from tests.e2e.sentence import told

SSH = ("openssh",)
SERVED: dict[str, Any] = {"transport": "served", "links": ("attach",)}
QUIET = "echo ready; cat"
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.05; done"


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
    ("connection-limit-connections", Limits(user=ONE), "MOORAGE_LIMIT_CONNECTIONS", "CN0211",
     "too many connections: you have 1 already, and may have 1 at one time",
     "A user's second connection is one too many: let in, and told why nothing runs."),
    ("session-limit-connections", Limits(user=ONE), "MOORAGE_LIMIT_CONNECTIONS", "CN0211",
     "too many connections: you have 1 already, and may have 1 at one time", "The same in mode session."),
    ("connection-limit-containers", Limits(user=Share(containers=1)), "MOORAGE_LIMIT_CONTAINERS", "CN0212",
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


@run("connection-limit-login-rate", end="exit status 125", rows=("CN0213",), needs=SSH, kept=2)
async def login_rate(setup: Setup) -> None:
    """A user's third login within the period is one too many: told when the next may come."""
    await _login_rate(setup, Limits(user=Share(login_rate=RATE)), "you have")


@run("connection-limit-login-rate-address", end="exit status 125", rows=("CN0213",), needs=SSH, kept=2)
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
            done = await harness.ssh("true")
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


@run("connection-limit-sessions-stranded", end="exit status 125", rows=("CN0514",), needs=())
async def sessions_stranded(setup: Setup) -> None:
    """Of a connection without a container too, a session is one too many."""
    limits = Limits(user=Share(sessions=1))
    async with setup.fake_harness("create_container: fail(denied)", limits=limits) as harness:
        async with harness.client() as client:
            await client.start("cat") if False else None
            channel = await client.silent()
            await harness.said.until("SSH_BACKEND_REJECTED_HANDSHAKE")
            await client.refused("MOORAGE_LIMIT_SESSIONS")
            channel.close()


# Time


NEAR = {
    "idle": b"moorage: nothing has moved here for a while; unless something does, this connection ends in ",
    "total": b"moorage: the time for this connection is nearly over; it ends in ",
}
OVER = {
    "idle": b"moorage: nothing has moved here for 0.6 s; this connection ends now (MOORAGE_LIMIT_IDLE)\r\n",
    "total": b"moorage: the time for this connection, 0.6 s, is over; it ends now (MOORAGE_LIMIT_TOTAL)\r\n",
}
LIMITS = {"idle": Limits(idle=0.6, warning=0.25), "total": Limits(total=0.6, warning=0.25)}


def time_is_over(name: str, limit: str, end: str, rows: tuple[str, ...], about: str, **more: Any) -> None:
    """A program that is silent, or that writes on: a warning, the end in a sentence, TERM, and its own status."""
    script = {
        "idle": "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done",
        "total": "trap 'echo bye; exit 3' TERM; echo ready; while :; do echo on >&3; sleep 0.05; done 3>/dev/null",
    }

    async def go(setup: Setup) -> None:
        async with setup.fake_harness(limits=LIMITS[limit], **more) as harness:
            done = await harness.ssh(script[limit])
            near, over, *rest = done.err.splitlines(keepends=True)
            assert near == NEAR[limit] + b"0.25 s (MOORAGE_LIMIT_%s_NEAR)\r\n" % limit.upper().encode(), done
            assert over == OVER[limit], done
            if more.get("transport") == "served":
                assert done == Done(3, b"ready\nbye\n", near + over), done
            await harness.all_gone()
            nothing_is_counted(harness)

    go.__doc__ = about
    run(name, end=end, rows=rows, needs=SSH)(go)


time_is_over(
    "connection-limit-idle", "idle", "exit status 3", ("TI0303", "TI0502", "CN0418", "SS0620", "SS0612"),
    "Nothing moves: the user is warned, then told; the program is sent TERM, and its own status arrives.", **SERVED,
)  # fmt: skip
time_is_over(
    "session-limit-idle", "idle", "exit status 3", ("TI0303", "TI0502", "CN0418", "SS0620", "SS0612"),
    "The same in mode session.", mode="session", **SERVED,
)  # fmt: skip
time_is_over(
    "connection-limit-total", "total", "exit status 3", ("TI0203", "TI0402", "CN0418", "SS0620", "SS0612"),
    "The time since the login is over: the user is warned, then told; the program is sent TERM.", **SERVED,
)  # fmt: skip
time_is_over(
    "session-limit-total", "total", "exit status 3", ("TI0203", "TI0402", "CN0418", "SS0620", "SS0612"),
    "The same in mode session.", mode="session", **SERVED,
)  # fmt: skip
